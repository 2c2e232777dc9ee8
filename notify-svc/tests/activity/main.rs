//! The wall of activity, through the entry point that the binary uses: events go in at the
//! bus, entries come out at the service.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod consuming;
mod harness;
mod list;
mod watch;
