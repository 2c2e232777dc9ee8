//! Tests of the metrics.

use http::Method;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::{Gateway, TASK};

/// Runs `work` and returns the metrics in Prometheus format.
fn counted(work: impl Future<Output = ()>) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(work));
    handle.render()
}

#[test]
fn requests_are_counted_by_the_template_of_their_route() {
    let text = counted(async {
        let gateway = Gateway::new();
        gateway.get(&format!("/tasks/{TASK}")).await;
        gateway.get(&format!("/nowhere/{TASK}")).await;
        let made_up = gateway.request(Method::from_bytes(b"BREW").unwrap(), "/users");
        gateway.send(made_up.body("".into()).unwrap()).await;
    });
    for labels in [
        r#"route="/tasks/{id}",method="GET",status="200""#,
        r#"route="unmatched",method="GET",status="404""#,
        r#"route="/users",method="OTHER",status="405""#,
    ] {
        let line = format!("slipway_http_requests_total{{{labels}}} 1");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(text.contains("# HELP slipway_http_request_duration_seconds"));
    assert!(!text.contains(TASK));
}

#[test]
fn stream_clients_and_sent_frames_are_counted() {
    let text = counted(async {
        let gateway = Gateway::new();
        let mut reader = gateway.stream("", None).await;
        drop(gateway.stream("", None).await);
        gateway.log.grow(3);
        reader.numbers(3).await;
        // Not dropped, so that it is still connected when the metrics are read.
        std::mem::forget(reader);
    });
    assert!(text.contains("slipway_stream_clients 1"), "{text}");
    assert!(
        text.contains("slipway_stream_frames_sent_total 3"),
        "{text}"
    );
}
