//! Spans, and their export by OTLP.
//!
//! Spans are those of `tracing`. Without an [`Exporter`] they only add context to log lines, and
//! [`STEPS`] are off, unless the log's level is `debug`. With one, each is exported as part of the trace of its
//! [`TraceContext`].

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
    tonic_types::transport::ClientTlsConfig,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata, Span, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, filter_fn},
    registry::LookupSpan,
};

use super::TraceContext;

/// Target of the spans that are for the export, at the level `debug`: they are on the hot path.
pub const STEPS: &str = "slipway::steps";

/// Maximum time for the export of the last spans.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Sends the spans of this process to an OTLP collector, in batches. If the collector is
/// unavailable, spans are dropped; nothing waits for it.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Exports to the collector at `url` (OTLP over gRPC), `percent` of the traces that begin in
    /// this process, and those that a caller has decided to record. `role` is the name of the
    /// service. The connection is made later; call it within the runtime.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn new(
        url: &str,
        percent: u8,
        role: &str,
        version: &'static str,
    ) -> Result<Self, ExporterBuildError> {
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(url);
        if url.starts_with("https:") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_native_roots());
        }
        let ratio = Sampler::TraceIdRatioBased(f64::from(percent) / 100.0);
        let resource = Resource::builder()
            .with_service_name(format!("slipway-{role}"))
            .with_attribute(opentelemetry::KeyValue::new("service.version", version));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.build()?)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    /// The layer that collects the spans.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("slipway"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_exported).with_max_level_hint(LevelFilter::DEBUG))
    }

    /// Exports the last spans.
    pub async fn shut_down(self) {
        let shutdown =
            tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH_DEADLINE));
        if let Ok(Err(error)) = shutdown.await {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}

/// Whether it is a span of a request or of one of its [`STEPS`].
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && (*metadata.level() <= Level::INFO || metadata.target() == STEPS)
}

/// Spans of one step that several traces have in common, such as the publication of a batch. The
/// step ends when they are dropped.
pub fn shared_step(
    traces: impl IntoIterator<Item = Option<TraceContext>>,
    span: impl Fn() -> Span,
) -> Vec<Span> {
    if !tracing::span_enabled!(target: STEPS, Level::DEBUG) {
        return Vec::new();
    }
    let continued = traces.into_iter().flatten().map(|trace| {
        let span = span();
        TraceContext::of(&span, Some(trace));
        span
    });
    continued.collect()
}
