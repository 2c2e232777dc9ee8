//! The suites that every adapter of the bus passes: what it does ([`contract`]), and what the
//! consumer runner does on it ([`consumer`]). A test crate runs them with
//! [`bus_contract`](crate::bus_contract) and [`consumer_contract`](crate::consumer_contract)
//! on a [`Stage`](stage::Stage) of the adapter. And a [`double`] of a bus for other tests.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "tests: their names say what they show, and one that cannot go on has failed"
)]

pub mod consumer;
pub mod contract;
pub mod double;
pub mod stage;
