//! The whole service, from a call to the model and back, with fake servers for Ollama's API, which
//! can misbehave, and for the release service, which gives each caller their own work.

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
