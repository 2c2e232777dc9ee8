//! gRPC servers with their middleware, and clients of local and remote services.
//!
//! A service crate builds its [`tonic::service::Routes`]. Wiring wraps them once in the
//! [`Middleware`]: trace, deadline, access. The same wrapped routes are served on a socket
//! ([`GrpcServer`]) and called in process ([`Link::local`]), so both behave the same. A service in
//! another process is called over connections that [`remote`] manages; [`Outbound`] holds the
//! metadata of a call.

mod call;
mod deadline;
mod health;
mod link;
mod method;
mod outbound;
mod remote;
mod server;
mod tls;

pub use health::{SecretCheck, ServiceCheck};
pub use link::{Link, LocalService};
pub(crate) use method::Method;
pub use outbound::{ForwardedClient, Outbound};
pub use remote::{MalformedOrigin, Origin, Origins};
pub use server::{GrpcHealth, GrpcServer, Middleware};
pub use tls::{Authorities, ClientTls, Identity, ServerTls, TlsError};
