//! Series that come and go, such as those of the newest releases. The recorder of a process keeps
//! every series until the process ends; these are replaced as a whole with each measurement, so
//! there are only as many as are of interest now.

use std::{collections::BTreeMap, sync::LazyLock};

use metrics::{Label, describe_gauge};
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;

use super::Metric;

/// The series of each metric in Prometheus's text format. Global, like the recorder.
static SERIES: LazyLock<Mutex<BTreeMap<&'static str, String>>> = LazyLock::new(Mutex::default);

/// Replaces all series of the gauge `metric` by `series`: labels and value of each.
pub fn replace(metric: &Metric, series: impl IntoIterator<Item = (Vec<Label>, f64)>) {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        describe_gauge!(metric.name, metric.help);
        for (labels, value) in series {
            metrics::gauge!(metric.name, labels).set(value);
        }
    });
    let text = recorder.handle().render();
    SERIES.lock().insert(metric.name, text);
}

pub(super) fn render() -> String {
    SERIES.lock().values().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Kind;

    #[test]
    fn a_measurement_replaces_the_one_before() {
        const METRIC: Metric = Metric {
            kind: Kind::gauge,
            name: "passing_test",
            labels: &["of"],
            help: "A test",
        };
        let of = |name: &'static str| vec![Label::new("of", name)];
        replace(&METRIC, [(of("a"), 1.0), (of("b \"quoted\""), 2.0)]);
        let first = render();
        assert!(first.contains("# TYPE passing_test gauge"), "{first}");
        assert!(
            first.contains(r#"passing_test{of="b \"quoted\""} 2"#),
            "{first}"
        );
        replace(&METRIC, [(of("a"), 3.0)]);
        let second = render();
        assert!(second.contains(r#"passing_test{of="a"} 3"#), "{second}");
        assert!(!second.contains("quoted"), "{second}");
    }
}
