//! The metrics recorder, and the macro with which a crate declares its metrics:
//! [`metrics!`](crate::metrics).
//!
//! | module | content |
//! | --- | --- |
//! | [`own`] | the metrics of the process itself |
//! | [`passing`] | series that come and go |

pub mod own;
pub mod passing;

use std::{path::PathBuf, time::Duration};

use metrics::{Gauge, Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// How often the samples of histograms are aggregated. Until then each sample is kept, so without
/// this a process whose metrics are never scraped would grow with every request.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The metrics of this process, as Prometheus reads them.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    /// The file system of this directory is measured.
    data_dir: PathBuf,
}

impl Metrics {
    /// Aggregates samples periodically until `stop`. It must run as long as metrics are recorded.
    pub async fn upkeep(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(UPKEEP_EVERY) => self.handle.run_upkeep(),
            }
        }
    }

    /// All metrics in Prometheus's text format. Those of the process and of its disk are measured
    /// now.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        own::measure_disk(&self.data_dir);
        self.handle.render() + &passing::render()
    }
}

/// Starts recording in this process, whose data is in `data_dir`.
///
/// # Errors
/// If there is already a recorder.
pub fn init(data_dir: PathBuf) -> Result<Metrics, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".into()), SIZES)?
        .install_recorder()?;
    own::describe();
    let process = metrics_process::Collector::default();
    process.describe();
    Ok(Metrics {
        handle,
        process,
        data_dir,
    })
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

/// A declared metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its kind.
    pub kind: Kind,
    /// Its name in Prometheus.
    pub name: &'static str,
    /// The names of its labels. Each has few different values: never ids.
    pub labels: &'static [&'static str],
    /// What it measures, and of which values its labels are.
    pub help: &'static str,
}

impl Metric {
    /// Describes it to the recorder. A counter or a histogram without labels exists from now on,
    /// with 0: a counter that began with its first increment would hide this increment from
    /// Prometheus's `rate` and `increase`.
    pub fn describe(&self) {
        let Self { name, help, .. } = *self;
        let begins = self.labels.is_empty();
        match self.kind {
            Kind::counter => {
                describe_counter!(name, help);
                if begins {
                    metrics::counter!(name).increment(0);
                }
            }
            Kind::gauge => describe_gauge!(name, self.unit(), help),
            Kind::histogram => {
                describe_histogram!(name, self.unit(), help);
                if begins {
                    drop(metrics::histogram!(name));
                }
            }
        }
    }

    fn unit(&self) -> Unit {
        match self.name.ends_with("_seconds") {
            true => Unit::Seconds,
            false => Unit::Count,
        }
    }
}

/// Counts one in a gauge while it exists.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    /// Adds one to `gauge` until it is dropped.
    #[must_use]
    pub fn new(gauge: Gauge) -> Self {
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Declares the metrics of a crate, each once: kind, constant, its labels in braces if it has any,
/// name and help text. Defines `METRICS`, the list of them, and `describe`, which registers them
/// with the recorder.
#[macro_export]
macro_rules! metrics {
    ($vis:vis fn describe; $(
        $kind:ident $constant:ident $({ $($label:ident),+ })? = $name:literal, $help:literal;
    )*) => {
        $(
            #[doc = $help]
            $vis const $constant: &str = $name;
        )*

        /// The metrics of this crate.
        $vis const METRICS: &[$crate::telemetry::metrics::Metric] = &[
            $($crate::telemetry::metrics::Metric {
                kind: $crate::telemetry::metrics::Kind::$kind,
                name: $constant,
                labels: &[$($(stringify!($label)),+)?],
                help: $help,
            },)*
        ];

        /// Describes this crate's metrics to the recorder.
        $vis fn describe() {
            METRICS.iter().for_each($crate::telemetry::metrics::Metric::describe);
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    mod declared {
        crate::metrics! {
            pub(super) fn describe;
            counter DONE = "done_total", "What is done";
            counter BY_TYPE {type} = "by_type_total", "What is done, by type";
            gauge OPEN = "open", "What is open";
            histogram TOOK_SECONDS = "took_seconds", "How long it took";
        }
    }

    #[test]
    fn counters_and_histograms_without_labels_begin_at_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            declared::describe();
            let open = Counted::new(metrics::gauge!(declared::OPEN));
            let other = Counted::new(metrics::gauge!(declared::OPEN));
            drop(open);
            std::mem::forget(other);
        });
        let text = handle.render();
        for line in ["done_total 0", "took_seconds_count 0", "open 1"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("by_type_total"), "{text}");
        assert_eq!(declared::METRICS[1].labels, ["type"]);
    }
}
