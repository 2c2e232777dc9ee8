//! The whole service: from a call to the model and back, against servers that speak
//! Ollama's API well and badly, and a release service that answers each caller their own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conversation;
mod deletion;
mod failures;
mod harness;
mod leaving;
mod limits;
mod ollama;
mod privacy;
mod readiness;
mod request;
mod thinking;
mod work;
