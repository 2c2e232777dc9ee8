//! Support for the end-to-end tests and the benchmark: a running Slipway process, a client that
//! uses it like a user, and a reader of its live stream.
//!
//! A process is ready when it reports so; an event has arrived when it is read from the stream.
//! Everything else is polled with [`until`]; nothing sleeps for a fixed time.

pub mod backbones;
pub mod browser;
pub mod certificates;
pub mod client;
pub mod kept;
pub mod mesh;
pub mod monitoring;
pub mod outages;
pub mod plain;
pub mod process;
pub mod programs;
pub mod stream;
pub mod team;
pub mod topics;

pub use backbones::Backbones;
pub use browser::Browser;
pub use certificates::Authority;
pub use client::{Answer, Client};
pub use mesh::{ALERTED, Mesh, Role};
pub use plain::PlainBrowser;
pub use process::{Options, Process};
pub use slipway_runtime::testing::{TIMEOUT, until};
pub use stream::{Stream, StreamEvent};
pub use team::Team;

/// The first admin's password in every process that tests start.
pub const ADMIN_PASSWORD: &str = "correct horse battery staple";
