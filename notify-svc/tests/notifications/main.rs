//! Notifications from end to end: events go into the bus, mails arrive at a mail server, and the
//! log has the outcome of each.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: that is what panics are for here"
)]

mod conversation;
mod digests;
mod encrypted;
mod harness;
mod life;
mod links;
mod outage;
