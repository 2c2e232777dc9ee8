//! What surrounds every gRPC service, and clients of services near and far.
//!
//! A service crate builds its [`tonic::service::Routes`]. Wiring puts the [`Surround`]
//! around them once: trace, deadline, access. The same surrounded routes are served on a
//! socket ([`GrpcServer`]) and called in process ([`Link::local`]), so that there is one
//! behaviour.

mod call;
mod health;
mod link;
mod server;

pub use call::panic_text;
pub use health::ServiceCheck;
pub use link::{CLIENT_ADDRESS, IDEMPOTENCY_KEY, Link, LinkError, Outbound, Surrounded};
pub use server::{GrpcHealth, GrpcServer, Surround};
