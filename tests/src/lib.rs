//! What the end-to-end tests and the benchmark stand on: a running Slipway process, a
//! client that speaks to it as a user would, and a reader of its live stream.
//!
//! A process is ready when it says so, an event has arrived when it is read from the
//! stream. What nobody tells is looked for with [`until`]; nothing sleeps for a fixed time.

pub mod backbones;
pub mod certificates;
pub mod client;
pub mod kept;
pub mod mesh;
pub mod process;
pub mod stream;
pub mod team;
pub mod topics;

pub use backbones::Backbones;
pub use certificates::Authority;
pub use client::{Answer, Client};
pub use mesh::{ALERTED, Mesh, Role};
pub use process::{Options, Process};
pub use slipway_runtime::testing::{TIMEOUT, until};
pub use stream::{Stream, StreamEvent};
pub use team::Team;

/// The first admin's password in every process that is started here.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";
