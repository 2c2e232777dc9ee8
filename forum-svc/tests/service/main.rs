//! The service through its contract, with a made-up release-svc behind it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod posting;
mod rules;
