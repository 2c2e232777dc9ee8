//! Alerts of other programs (Alertmanager, Grafana), which become incidents.
//!
//! Senders of alerts do not repeat a request that was refused with 4xx, so an alert would be lost.
//! Therefore every alert is accepted if the request is valid JSON, and each alert is read on its
//! own, so that a malformed alert does not affect the others. Values that are blank, `null` or of
//! another type count as absent, and every absent value has a default.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use slipway_proto::notify::v1;
use slipway_runtime::text::is_blank;
use utoipa::ToSchema;
use uuid::Uuid;

use super::proto::to_proto;
use crate::extract::{or_absent, time};

/// Alerts of one request that get their own report; further alerts share one.
const ALERTS: usize = 1000;

/// The label with an alert's name.
const NAME: &str = "alertname";

/// The webhook payload of Alertmanager and Grafana, as far as it is used here. Both send more
/// fields.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct AlertsHook {
    /// The status of alerts without a status of their own.
    #[serde(default, deserialize_with = "or_absent")]
    #[schema(example = "firing")]
    status: Option<String>,
    /// Each becomes an incident; those beyond the first 1,000 become one incident together. May be
    /// empty, but not `null`.
    #[schema(value_type = Vec<Alert>)]
    alerts: Vec<Box<RawValue>>,
}

/// One alert. Values that are blank, `null` or of another type count as left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Alert {
    /// `resolved` if it is over; otherwise it is active. Left out: the status of the request.
    #[serde(default, deserialize_with = "or_absent")]
    #[schema(example = "firing")]
    status: Option<String>,
    /// Labels, which identify it; `alertname` is its name.
    #[serde(default, deserialize_with = "or_absent")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    labels: Option<Map<String, Value>>,
    /// Texts; `summary` or `description` is shown to administrators.
    #[serde(default, deserialize_with = "or_absent")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    annotations: Option<Map<String, Value>>,
    /// When it began; left out: now.
    #[serde(default, deserialize_with = "or_absent")]
    #[schema(value_type = Option<Timestamp>)]
    starts_at: Option<Since>,
    /// Identifies an alert without a name. Alerts with a name and the same labels are the same alert,
    /// whoever sends them.
    #[serde(default, deserialize_with = "or_absent")]
    fingerprint: Option<String>,
}

/// A time in an alert. Go programs write the year 1 for "no time".
#[derive(Debug, Deserialize)]
struct Since(#[serde(deserialize_with = "time")] Option<Timestamp>);

impl AlertsHook {
    /// The reports of all alerts, received at `now`.
    pub(crate) fn reports(self, now: Timestamp) -> impl Iterator<Item = v1::ReportRequest> {
        let mut alerts = self.alerts;
        let left_out = alerts.len().saturating_sub(ALERTS);
        alerts.truncate(ALERTS);
        let rest = (left_out > 0).then(|| rest(left_out, now));
        let reports = alerts.into_iter().map(|alert| Alert::read(alert.get()));
        let status = self.status.unwrap_or_default();
        let reports = reports.map(move |alert| alert.report(&status, now));
        reports.chain(rest)
    }
}

/// The shared report for the alerts beyond the limit.
fn rest(count: usize, now: Timestamp) -> v1::ReportRequest {
    v1::ReportRequest {
        id: Uuid::now_v7().to_string(),
        service: "alerts".to_owned(),
        kind: "alerts-left-out".to_owned(),
        fingerprint: "alerts/left-out".to_owned(),
        summary: format!(
            "{count} alerts are not told one by one: they came with {ALERTS} others at once"
        ),
        since: Some(to_proto(now)),
        count: 1,
        resolved: false,
        lasts: false,
        trace_id: String::new(),
    }
}

impl Alert {
    /// Reads an alert leniently: JSON that is not an object, or has half a surrogate pair, is an
    /// alert without values. Of a duplicate name the last value counts.
    fn read(json: &str) -> Self {
        let value: Option<Value> = serde_json::from_str(json).ok();
        let object = value.filter(Value::is_object);
        let alert = object.and_then(|object| serde_json::from_value(object).ok());
        alert.unwrap_or_default()
    }

    /// The report of this alert, received at `now`; `status` is the status of the request.
    fn report(self, status: &str, now: Timestamp) -> v1::ReportRequest {
        let labels = texts(self.labels);
        let annotations = texts(self.annotations);
        let label = |name: &str| labels.get(name).map(String::as_str);
        let annotation = |name: &str| annotations.get(name).map(String::as_str);
        let summary = annotation("summary")
            .or_else(|| annotation("description"))
            .or_else(|| label(NAME))
            .unwrap_or("an alert without a name");
        let of_labels = || {
            let own = labels.iter().filter(|(name, _)| !is_of_sender(name));
            identity(own.map(|(name, value)| (&**name, &**value)))
        };
        // Alertmanager and Grafana may both be asked to tell of the same fault. Each computes its
        // own fingerprint.
        let fingerprint = match self.fingerprint.filter(|text| !is_blank(text)) {
            _ if labels.contains_key(NAME) => of_labels(),
            Some(given) => given,
            None if labels.is_empty() => identity([("summary", summary)]),
            None => of_labels(),
        };
        let own = self.status.filter(|own| !is_blank(own));
        let status = own.as_deref().unwrap_or(status);
        let resolved = status.trim().eq_ignore_ascii_case("resolved");
        let since = self.starts_at.and_then(|since| since.0);
        let since = since.filter(|since| *since >= Timestamp::UNIX_EPOCH);
        v1::ReportRequest {
            id: Uuid::now_v7().to_string(),
            service: label("job")
                .or_else(|| label("service"))
                .unwrap_or("alerts")
                .to_owned(),
            kind: "alert".to_owned(),
            fingerprint: format!("alert/{fingerprint}"),
            summary: summary.to_owned(),
            since: Some(to_proto(since.unwrap_or(now))),
            count: u64::from(!resolved),
            resolved,
            lasts: true,
            trace_id: String::new(),
        }
    }
}

/// Whether a label says nothing about the fault, but how the sender found it.
fn is_of_sender(label: &str) -> bool {
    label.starts_with("__") || label == "grafana_folder"
}

/// The labels or annotations that are not blank, as texts; numbers are converted.
fn texts(fields: Option<Map<String, Value>>) -> BTreeMap<String, String> {
    let texts = fields.unwrap_or_default().into_iter();
    let texts = texts.filter_map(|(name, value)| match value {
        Value::String(text) if !is_blank(&text) => Some((name, text)),
        Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
        _ => None,
    });
    texts.collect()
}

/// The identity of an alert by its labels, such as `alertname=Disk,job=node`. Separators within
/// labels are escaped, so that different labels have different identities.
fn identity<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let marked = |text: &str| {
        let text = text.replace('\\', "\\\\");
        text.replace(',', "\\,").replace('=', "\\=")
    };
    let mut identity = String::new();
    for (name, value) in labels {
        let between = if identity.is_empty() { "" } else { "," };
        // Writing to a `String` does not fail.
        let _ = write!(identity, "{between}{}={}", marked(name), marked(value));
    }
    identity
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use slipway_runtime::json::Objects;

    use super::*;

    fn read(json: &str) -> Vec<v1::ReportRequest> {
        let mut json = serde_json::Deserializer::from_str(json);
        let hook: AlertsHook = serde_path_to_error::deserialize(Objects(&mut json)).unwrap();
        hook.reports("2026-03-01T10:00:00Z".parse().unwrap())
            .collect()
    }

    fn reports(alerts: &Value) -> Vec<v1::ReportRequest> {
        read(&json!({ "alerts": alerts }).to_string())
    }

    #[test]
    fn an_alert_without_a_status_has_that_of_all() {
        let alerts = r#"[{}, {"status": null}, {"status": " "}, {"status": "firing"}]"#;
        for (all, over) in [("resolved", true), ("firing", false), ("", false)] {
            let reports = read(&format!(r#"{{"status": "{all}", "alerts": {alerts}}}"#));
            let resolved: Vec<_> = reports.iter().map(|report| report.resolved).collect();
            assert_eq!(resolved, [over, over, over, false], "{all}");
        }
        assert!(!read(r#"{"status": 7, "alerts": [{}]}"#)[0].resolved);
    }

    #[test]
    fn alertmanager_is_understood() {
        let reports = read(
            r#"{"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing",
                "receiver": "slipway", "groupLabels": {}, "commonLabels": {},
                "commonAnnotations": {}, "externalURL": "http://am:9093",
                "alerts": [
                  {"status": "firing", "labels": {"alertname": "HighLatency", "job": "gateway"},
                   "annotations": {"summary": "p99 is 2 s"}, "startsAt": "2026-01-02T03:04:05.678Z",
                   "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p:9090/graph",
                   "fingerprint": "c0ffee"},
                  {"status": "resolved", "labels": {"alertname": "Down"}, "annotations": {},
                   "startsAt": "2026-01-02T03:04:05Z", "endsAt": "2026-01-02T03:05:05Z",
                   "generatorURL": "", "fingerprint": "beef"}]}"#,
        );
        let [firing, resolved] = reports.as_slice() else {
            panic!("two alerts")
        };
        let identity = "alert/alertname=HighLatency,job=gateway";
        assert_eq!(firing.fingerprint, identity);
        assert_eq!(
            (&*firing.service, &*firing.summary),
            ("gateway", "p99 is 2 s")
        );
        assert_eq!((firing.resolved, firing.count), (false, 1));
        let since = firing.since.unwrap();
        assert_eq!((since.seconds, since.nanos), (1_767_323_045, 678_000_000));
        assert_eq!((&*resolved.service, &*resolved.summary), ("alerts", "Down"));
        assert!(resolved.resolved && resolved.lasts && resolved.count == 0);
    }

    #[test]
    fn grafana_is_understood() {
        let reports = read(
            r#"{"receiver": "webhook", "status": "firing", "orgId": 1, "title": "[FIRING:1]",
                "state": "alerting", "message": "**Firing**",
                "alerts": [{"status": "firing", "labels": {"alertname": "Disk", "grafana_folder": "x"},
                  "annotations": {"description": "90 % full"}, "startsAt": "2026-01-02T03:04:05+01:00",
                  "endsAt": "0001-01-01T00:00:00Z", "values": {"B": 90}, "fingerprint": "",
                  "silenceURL": "http://g/", "dashboardURL": "", "panelURL": "", "imageURL": ""}]}"#,
        );
        assert_eq!(reports[0].summary, "90 % full");
        assert_eq!(reports[0].fingerprint, "alert/alertname=Disk");
    }

    #[test]
    fn alertmanager_and_grafana_tell_of_one_fault() {
        let labels = json!({"alertname": "Down", "role": "chat"});
        let mut of_grafana = labels.clone();
        of_grafana["grafana_folder"] = json!("Slipway");
        of_grafana["__alert_rule_uid__"] = json!("slipway-down");
        let reports = reports(&json!([
            {"labels": labels, "fingerprint": "5ef77f1f8a3ecfc1"},
            {"labels": of_grafana, "fingerprint": "c0ffee0123456789"},
        ]));
        assert_eq!(reports[0].fingerprint, reports[1].fingerprint);
    }

    #[test]
    fn an_alert_without_a_name_is_identified_by_its_fingerprint() {
        let labels = json!({"job": "node"});
        let given = json!({"labels": labels, "fingerprint": "c0ffee"});
        let reports = reports(&json!([given, {"labels": labels}]));
        assert_eq!(reports[0].fingerprint, "alert/c0ffee");
        assert_eq!(reports[1].fingerprint, "alert/job=node");
    }

    #[test]
    fn blank_null_or_malformed_values_count_as_absent() {
        let summary = |annotations: Value| {
            let alert = json!({"labels": {"alertname": "Disk"}, "annotations": annotations});
            reports(&json!([alert])).remove(0).summary
        };
        for nothing in [
            json!(null),
            json!({}),
            json!({"summary": null}),
            json!({"summary": "", "description": " \u{200b}\n"}),
            json!({"summary": ["x"]}),
            json!([]),
            json!("x"),
        ] {
            assert_eq!(summary(nothing), "Disk");
        }
        let blank = json!({"summary": " ", "description": "90 % full"});
        assert_eq!(summary(blank), "90 % full");

        let null = json!({"status": null, "labels": null, "annotations": null,
            "startsAt": null, "fingerprint": null});
        let other = json!({"status": 1, "labels": [], "annotations": 2, "startsAt": "now",
            "fingerprint": {}});
        let blank = json!({"status": "", "labels": {"alertname": "", "job": " "},
            "annotations": {"summary": ""}, "startsAt": "", "fingerprint": " "});
        let no_object = [json!(null), json!("x"), json!(7), json!(["firing"])];
        let odd = [json!({}), null, other, blank].into_iter().chain(no_object);
        for nothing in odd {
            let report = reports(&json!([nothing])).remove(0);
            assert_eq!(report.summary, "an alert without a name", "{nothing}");
            assert_eq!(report.service, "alerts");
            assert_eq!(report.fingerprint, "alert/summary=an alert without a name");
            assert!(!report.resolved && report.count == 1);
            assert_eq!(report.since.unwrap().seconds, 1_772_359_200);
        }
    }

    #[test]
    fn every_alert_is_accepted_whatever_the_others_are() {
        let good = json!({"labels": {"alertname": "Disk", "code": 500}});
        let reports = reports(&json!([null, {"annotations": null}, good, {"status": "burning"}]));
        let told: Vec<_> = reports.iter().map(|report| &*report.summary).collect();
        let unnamed = "an alert without a name";
        assert_eq!(told, [unnamed, unnamed, "Disk", unnamed]);
        assert_eq!(reports[2].fingerprint, "alert/alertname=Disk,code=500");
    }

    #[test]
    fn a_malformed_alert_does_not_affect_the_others() {
        let twice = r#"{"labels": {"alertname": "a", "alertname": "Twice"}, "labels": {"alertname": "Last"}}"#;
        let half = r#"{"labels": {"alertname": "\ud800"}}"#;
        let good = r#"{"labels": {"alertname": "Disk"}}"#;
        let reports = read(&format!(r#"{{"alerts": [{twice}, {half}, {good}]}}"#));
        let told: Vec<_> = reports.iter().map(|report| &*report.summary).collect();
        assert_eq!(told, ["Last", "an alert without a name", "Disk"]);
    }

    #[test]
    fn the_year_1_counts_as_absent() {
        let alert = json!({"startsAt": "0001-01-01T00:00:00Z"});
        let since = reports(&json!([alert])).remove(0).since;
        assert_eq!(since.unwrap().seconds, 1_772_359_200);
    }

    #[test]
    fn other_labels_are_another_alert() {
        let fingerprint = |labels: Value| {
            reports(&json!([{ "labels": labels }]))
                .remove(0)
                .fingerprint
        };
        assert_ne!(
            fingerprint(json!({"a": "1,b=2"})),
            fingerprint(json!({"a": "1", "b": "2"}))
        );
        assert_ne!(
            fingerprint(json!({"a": "1\\,b=2"})),
            fingerprint(json!({"a": "1\\", "b": "2"}))
        );
    }

    #[test]
    fn alerts_beyond_a_thousand_share_one_report() {
        let names = (0..1_003).map(|n| json!({"labels": {"alertname": n.to_string()}}));
        let reports = reports(&names.collect());
        assert_eq!(reports.len(), 1_001);
        let last = &reports[1_000];
        assert_eq!(last.kind, "alerts-left-out");
        assert!(last.summary.starts_with("3 alerts"), "{}", last.summary);
    }
}
