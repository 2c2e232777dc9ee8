//! Notifications from outside: events go in on a bus, mails come out at a mail server,
//! and the log says what became of each.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed: that is what panics are for here"
)]

mod conversation;
mod digests;
mod encrypted;
mod harness;
mod life;
mod outage;
