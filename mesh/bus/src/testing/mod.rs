//! The suites that every adapter of the bus passes: for the bus itself ([`contract`]) and for the
//! consumer runner ([`consumer`]). A test crate runs them with
//! [`bus_contract`](crate::bus_contract) and [`consumer_contract`](crate::consumer_contract) on a
//! [`Stage`](stage::Stage) of the adapter. [`double`] is a test double of a bus for other tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests: the name says what each one shows, and a panic is a failure"
)]

pub mod consumer;
pub mod contract;
pub mod double;
pub mod stage;
