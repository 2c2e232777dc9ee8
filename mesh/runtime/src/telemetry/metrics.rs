//! The metrics recorder, and the macro with which a crate declares its metrics:
//! [`metrics!`](crate::metrics).

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Metric with the version and role of the process in its labels.
const BUILD_INFO: &str = "slipway_build_info";

const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often the samples of histograms are aggregated. Until then each sample is kept, so without
/// this a process whose metrics are never scraped would grow with every request.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Aggregates samples periodically until `stop`.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(UPKEEP_EVERY) => handle.run_upkeep(),
        }
    }
}

/// Starts recording in this process; the handle renders the metrics. [`upkeep`] must run as long as
/// metrics are recorded.
///
/// # Errors
/// If there is already a recorder.
pub fn init() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), SIZES)?
        .install_recorder()?;
    describe(
        Kind::gauge,
        BUILD_INFO,
        "1, with what this process is: its version, role and the cargo features it was built with",
    );
    Ok(handle)
}

/// Records the version, role and features of this process.
pub fn build_info(version: &'static str, role: &'static str, features: &'static str) {
    metrics::gauge!(
        BUILD_INFO, "version" => version, "role" => role, "features" => features
    )
    .set(1.0);
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "as they are written in `metrics!`")]
pub enum Kind {
    /// Only increases.
    counter,
    /// Increases and decreases.
    gauge,
    /// A distribution.
    histogram,
}

/// Describes a metric to the recorder. One whose name ends in `_seconds` is in seconds.
pub fn describe(kind: Kind, name: &'static str, help: &'static str) {
    let unit = match name.ends_with("_seconds") {
        true => Unit::Seconds,
        false => Unit::Count,
    };
    match kind {
        Kind::counter => describe_counter!(name, help),
        Kind::gauge => describe_gauge!(name, unit, help),
        Kind::histogram => describe_histogram!(name, unit, help),
    }
}

/// Declares the metrics of a crate, each once: kind, constant, name and help text, which names the
/// labels. Also defines `describe`, which registers them with the recorder.
#[macro_export]
macro_rules! metrics {
    ($vis:vis fn describe; $($kind:ident $constant:ident = $name:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            $vis const $constant: &str = $name;
        )*

        /// Describes this crate's metrics to the recorder.
        $vis fn describe() {
            use $crate::telemetry::metrics::{Kind, describe};
            $(describe(Kind::$kind, $constant, $help);)*
        }
    };
}
