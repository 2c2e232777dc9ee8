//! W3C trace context. It is passed from the first request through gRPC metadata, the outbox row and
//! the event's headers to the consumer.

use std::{fmt, future::Future, str::FromStr};

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header and metadata key.
pub const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The trace and the span that something belongs to. Stored as a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// A text that is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct MalformedTraceparent;

impl TraceContext {
    /// A new trace.
    #[must_use]
    pub fn generate() -> Self {
        Self {
            trace_id: rand::random::<u128>().max(1),
            span_id: rand::random::<u64>().max(1),
            flags: 1,
        }
    }

    /// The same trace under a new span.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: rand::random::<u64>().max(1),
            ..self
        }
    }

    /// Reads a `traceparent`; `None` if there is none, or it is malformed.
    #[must_use]
    pub fn read(traceparent: Option<&str>) -> Option<Self> {
        traceparent?.parse().ok()
    }

    /// The context of `span`, which was just created: it continues the trace `parent`, or begins a
    /// new one. If spans are exported, it is the exported span.
    pub fn of(span: &Span, parent: Option<Self>) -> Self {
        if let Some(parent) = parent {
            let remote = Context::new().with_remote_span_context(parent.into());
            // Fails if spans are not exported, or this one is not.
            let _ = span.set_parent(remote);
        }
        let context = span.context();
        let exported = context.span().span_context().clone();
        if exported.is_valid() {
            exported.into()
        } else {
            parent.map_or_else(Self::generate, Self::child)
        }
    }

    /// The trace of the current request or delivery; a new one outside of both.
    #[must_use]
    pub fn current() -> Self {
        Self::scoped().unwrap_or_else(Self::generate)
    }

    /// The trace of the current request or delivery; `None` outside of both.
    #[must_use]
    pub fn scoped() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// Runs `work` within this trace.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CURRENT.scope(self, work).await
    }

    /// The trace's id, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

impl TryFrom<String> for TraceContext {
    type Error = MalformedTraceparent;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceContext> for SpanContext {
    fn from(context: TraceContext) -> Self {
        Self::new(
            context.trace_id.into(),
            context.span_id.into(),
            TraceFlags::new(context.flags),
            true,
            TraceState::NONE,
        )
    }
}

impl From<SpanContext> for TraceContext {
    fn from(context: SpanContext) -> Self {
        Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceContext {
    type Err = MalformedTraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower_hex = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MalformedTraceparent);
        };
        let shape = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
        // Later versions may append parts; this one has exactly four.
        let version_fits = version != "ff" && (version != "00" || parts.next().is_none());
        if !shape || !version_fits || ![version, trace, span, flags].into_iter().all(lower_hex) {
            return Err(MalformedTraceparent);
        }
        let context = Self {
            trace_id: u128::from_str_radix(trace, 16).map_err(|_| MalformedTraceparent)?,
            span_id: u64::from_str_radix(span, 16).map_err(|_| MalformedTraceparent)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| MalformedTraceparent)?,
        };
        if context.trace_id == 0 || context.span_id == 0 {
            return Err(MalformedTraceparent);
        }
        Ok(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_the_same_after_a_round_trip() {
        assert_eq!(
            EXAMPLE.parse::<TraceContext>().unwrap().to_string(),
            EXAMPLE
        );
    }

    #[test]
    fn a_trace_continues_under_a_new_span() {
        let next = TraceContext::of(&Span::none(), TraceContext::read(Some(EXAMPLE)));
        assert_eq!(next.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(next.to_string(), EXAMPLE);
    }

    #[test]
    fn a_malformed_traceparent_begins_a_new_trace() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
            let next = TraceContext::of(&Span::none(), TraceContext::read(Some(bad)));
            assert_ne!(next.to_string(), bad);
        }
    }

    #[tokio::test]
    async fn work_has_its_trace() {
        let context = TraceContext::generate();
        assert_eq!(
            context.scope(async { TraceContext::current() }).await,
            context
        );
        assert_ne!(TraceContext::current(), context);
    }
}
