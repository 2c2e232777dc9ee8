//! Tests of the service through its gRPC API, with a fake release-svc.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod posting;
mod rules;
