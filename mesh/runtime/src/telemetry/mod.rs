//! Logs, metrics, and the trace context that ties them together.

pub mod access;
pub mod logs;
pub mod metrics;
pub mod spans;
pub mod trace;

pub use trace::TraceContext;
