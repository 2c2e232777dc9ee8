//! Logs, metrics, and the trace context that ties them together.

pub mod logs;
pub mod metrics;
pub mod trace;

pub use trace::TraceContext;
