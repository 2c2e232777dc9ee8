//! What wraps every gRPC service, and clients of services near and far.
//!
//! A service crate builds its [`tonic::service::Routes`]. Wiring puts the [`Middleware`]
//! around them once: trace, deadline, access. The same wrapped routes are served on a
//! socket ([`GrpcServer`]) and called in process ([`Link::local`]), so that there is one
//! behaviour. A service in other processes is called over connections that [`remote`]
//! keeps; what goes along with each call is an [`Outbound`].

mod call;
mod deadline;
mod health;
mod link;
mod method;
mod outbound;
mod remote;
mod server;
mod tls;

pub use health::ServiceCheck;
pub use link::{Link, LocalService};
pub use outbound::{ForwardedClient, Outbound};
pub use remote::{MalformedOrigin, Origin, Origins};
pub use server::{GrpcHealth, GrpcServer, Middleware};
pub use tls::{Authorities, ClientTls, Identity, ServerTls, TlsError};
