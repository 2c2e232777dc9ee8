//! What a process reports about itself: its log, its standard output and its build.

use serde_json::{Value, json};
use slipway_proto::release::v1::{
    ListReleasesRequest, release_service_client::ReleaseServiceClient,
};
use slipway_tests::{Client, Options, Process, Team, process, until};
use tonic::transport::Endpoint;

use crate::journey;

/// The lines of a log, each a JSON object.
fn lines(log: &str) -> Vec<Value> {
    let parsed = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(line.is_object(), "{line}");
        line
    });
    parsed.collect()
}

fn with_message<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    let found = lines.iter().filter(|line| line["message"] == message);
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_have_only_json_and_no_warning_after_a_clean_stop() {
    // As few as any open-file limit allows.
    let options = Options::default().env("SLIPWAY_MAX_CONNECTIONS", "64");
    let server = Process::start_with(&options).await.unwrap();
    let (http, grpc, ops) = (server.http.clone(), server.grpc.clone(), server.ops.clone());
    let pid = server.pid();
    let team = Team::new(&server, 1).await.unwrap();
    let mut stream = team.admin.stream("", None).await.unwrap();
    team.release("watched", &[0]).await.unwrap();
    stream.entry().await.unwrap();
    server.signal("TERM").await.unwrap();
    let (status, output, log) = server.ended_with_output().await.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(0), ""), "{log}");

    let lines = lines(&log);
    for line in &lines {
        let level = line["level"].as_str().unwrap();
        assert!(!["WARN", "ERROR"].contains(&level), "{line}");
    }
    let started = with_message(&lines, "started");
    let expected = json!({
        "version": env!("CARGO_PKG_VERSION"), "role": "all", "pid": pid,
        "http": http, "grpc": grpc, "ops": ops,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&started[0][name], value, "{}", started[0]);
    }
    assert_eq!(
        (started.len(), with_message(&lines, "stopped").len()),
        (1, 1)
    );
}

#[tokio::test]
async fn with_json_logs_a_failed_start_is_one_line() {
    let server = Process::start().await.unwrap();
    let taken = server.http.trim_start_matches("http://");
    let options = Options::default().env("SLIPWAY_HTTP_ADDR", taken);
    let wrong = Options::default().env("SLIPWAY_TOKEN_TTL", "a while");
    for (options, code, why) in [(options, 1, taken), (wrong, 2, "SLIPWAY_TOKEN_TTL")] {
        let dir = tempfile::tempdir().unwrap();
        let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
        assert_eq!((status.code(), output.as_str()), (Some(code), ""));
        let lines = lines(&errors);
        let last = lines.last().unwrap();
        assert_eq!(last["level"], "ERROR");
        assert!(last["message"].as_str().unwrap().contains(why), "{last}");
    }
}

#[tokio::test]
async fn the_addresses_are_printed_on_standard_output() {
    let options = Options::default().env("SLIPWAY_LOG_FORMAT", "human");
    let server = Process::start_with(&options).await.unwrap();
    let http = server.http.clone();
    server.signal("TERM").await.unwrap();
    let (_, output, log) = server.ended_with_output().await.unwrap();
    assert!(output.contains(&format!("HTTP   {http}")), "{output}");
    assert!(output.ends_with("ready; stop with Ctrl-C\n"), "{output}");
    assert!(log.contains("started") && log.contains("stopped"), "{log}");
    let dir = tempfile::tempdir().unwrap();
    let options = options.env("SLIPWAY_TOKEN_TTL", "a while");
    let (_, _, errors) = process::run(dir.path(), &options).await.unwrap();
    assert!(errors.starts_with("slipway: the configuration"), "{errors}");
}

#[tokio::test]
async fn metrics_have_the_build_information() {
    let server = Process::start().await.unwrap();
    let Value::String(metrics) = Client::new(&server.ops)
        .get("/metrics")
        .await
        .unwrap()
        .expect(200)
    else {
        panic!("metrics are text")
    };
    let line = metrics
        .lines()
        .find(|line| line.starts_with("slipway_build_info{"));
    let line = line.unwrap();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    for part in [version.as_str(), "role=\"all\"", "features=\"", "} 1"] {
        assert!(line.contains(part), "{part} is not in: {line}");
    }
}

/// The lines of the access log of a process that has ended.
async fn accesses(server: Process) -> (Vec<Value>, String) {
    server.signal("TERM").await.unwrap();
    let (_, log) = server.ended().await.unwrap();
    let mut lines = lines(&log);
    lines.retain(|line| line["target"] == "slipway::access");
    (lines, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_has_a_line_for_each_request_and_no_secret() {
    let options = Options::default().env("SLIPWAY_ACCESS_LOG", "true");
    let server = Process::start_with(&options).await.unwrap();
    let admin = server.admin().await.unwrap();
    let me = admin.get("/auth/me").await.unwrap().expect(200);
    let answer = admin.get("/tasks/my?limit=7").await.unwrap();
    let trace = answer
        .header("traceparent")
        .split('-')
        .nth(1)
        .unwrap()
        .to_owned();
    let unknown = admin.get("/no/such/place").await.unwrap();
    assert_eq!((answer.status, unknown.status), (200, 404));
    let channel = Endpoint::from_shared(server.grpc.clone()).unwrap();
    let mut releases = ReleaseServiceClient::new(channel.connect().await.unwrap());
    let mut call = tonic::Request::new(ListReleasesRequest::default());
    let bearer = format!("Bearer {}", admin.token());
    call.metadata_mut()
        .insert("authorization", bearer.parse().unwrap());
    releases.list_releases(call).await.unwrap();
    let refused = releases.list_releases(ListReleasesRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);

    let token = admin.token().to_owned();
    let (lines, log) = accesses(server).await;
    let of = |name: &str, value: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line[name] == value).collect()
    };
    let mine = of("route", "/tasks/my");
    assert_eq!(mine.len(), 1, "{lines:#?}");
    let expected = json!({
        "message": "request", "method": "GET", "status": 200, "client": "127.0.0.1",
        "user": me["id"], "trace_id": trace,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&mine[0][name], value, "{}", mine[0]);
    }
    assert!(mine[0]["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(of("route", "/auth/login")[0]["user"], Value::Null);
    assert_eq!(of("route", "unmatched")[0]["status"], 404);
    // Calls between services in this process are not client requests.
    let calls = of("method", "/slipway.release.v1.ReleaseService/ListReleases");
    assert_eq!(calls.len(), 2, "{lines:#?}");
    assert_eq!(
        (&calls[0]["code"], &calls[0]["user"]),
        (&json!("Ok"), &me["id"])
    );
    assert_eq!(calls[0]["client"], "127.0.0.1");
    assert_eq!(calls[1]["code"], "Unauthenticated");
    for secret in ["limit=7", token.as_str(), slipway_tests::ADMIN_PASSWORD] {
        assert!(!log.contains(secret), "{secret} is in: {log}");
    }
}

#[tokio::test]
async fn the_access_log_is_off_by_default() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let _ = admin.get("/tasks/my").await.unwrap().expect(200);
    let (lines, log) = accesses(server).await;
    assert!(lines.is_empty(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_gateway_forwards_is_logged_with_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default()
        .of_the_mesh()
        .signing(dir.path())
        .unwrap()
        .env("SLIPWAY_ACCESS_LOG", "true");
    let services = Process::start_with(&options).await.unwrap();
    let gateway = Options::default().of_the_mesh().gateway(&services.grpc);
    let gateway = Process::start_with(&gateway).await.unwrap();
    let anybody = Client::from_address(&gateway.http, [127, 0, 0, 9]);
    let admin = until(async || anybody.login("admin", slipway_tests::ADMIN_PASSWORD).await);
    let admin = admin.await.unwrap();
    let _ = admin.get("/tasks/my").await.unwrap().expect(200);
    drop(gateway);
    let (lines, log) = accesses(services).await;
    let call = lines
        .iter()
        .find(|line| line["method"] == "/slipway.release.v1.TaskService/ListMyTasks");
    let call = call.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(call["client"], "127.0.0.9");
    let asked = |line: &Value| line["method"].as_str().unwrap().contains("grpc.health");
    assert!(!lines.iter().any(asked), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_has_a_secret_or_a_text_of_somebody() {
    for level in ["info", "debug"] {
        let journey = journey::make(level).await;
        let lines = lines(&journey.log);
        let is_debug = |line: &Value| line["level"] == "DEBUG";
        assert_eq!(lines.iter().any(is_debug), level == "debug");
        // What they are about is logged.
        for message in [
            "request",
            "sign-in failed",
            "event became a dead letter",
            "notification failed",
        ] {
            assert!(!with_message(&lines, message).is_empty(), "{message}");
        }
        let leaks = journey.leaks();
        assert!(leaks.is_empty(), "at level {level}: {}", leaks.join("\n"));
    }
}
