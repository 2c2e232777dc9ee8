//! Calls between clients and services, and between services.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`access`] | tokens, and which roles may call which method |
//! | [`error`] | the error type that leaves a service |
//! | [`grpc`] | gRPC servers with middleware; clients of local and remote services |
//! | [`http`] | serving HTTP connections with limits, and draining them |
//! | [`metadata`] | names of call metadata |
//! | [`page`] | keyset pages and their cursors |
//!
//! Nothing in here knows the domain.

pub mod access;
pub mod error;
pub mod grpc;
pub mod http;
pub mod metadata;
pub mod metrics;
pub mod page;
