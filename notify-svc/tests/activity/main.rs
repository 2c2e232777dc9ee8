//! The activity feed, through the entry point of the binary: events go into the bus, entries come
//! out of the service. So do entries of the audit trail.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod consuming;
mod harness;
mod list;
mod recording;
mod watch;
