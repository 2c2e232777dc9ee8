//! Calls between clients and services, and between services.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`access`] | tokens, and who may call which method |
//! | [`error`] | one way for errors to leave a service |
//! | [`grpc`] | what wraps every gRPC service; clients of services, near and far |
//! | [`http`] | serving HTTP connections with bounds, and draining them |
//! | [`metadata`] | names of what calls carry |
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
