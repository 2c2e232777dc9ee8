//! Tests of the gateway's router with fake services.
//!
//! The modules mirror the routes. Time is tokio's paused time and a manual clock.
#![allow(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod activity;
mod bodies;
mod chat;
mod comments;
mod conventions;
mod document;
mod headers;
mod metrics;
mod releases;
mod seam;
mod sessions;
mod stream;
mod strict;
mod support;
mod tasks;
mod tokens;
