//! Starting, refusing to start, and stopping.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use slipway_tests::{
    Client, Options, Process, StreamEvent, Team,
    process::{self, Unheard},
    team::id,
    until,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

/// What one client of a stopping process has received.
struct Seen {
    accepted: Vec<String>,
    lost: Option<String>,
}

/// Creates one release after the other until the process announces that it will stop.
async fn plan_until_refused(admin: Client, answered: mpsc::UnboundedSender<()>) -> Seen {
    let mut accepted = Vec::new();
    loop {
        let name = uuid::Uuid::now_v7().to_string();
        match admin.post("/releases", &json!({"name": name})).await {
            Ok(answer) => {
                let going = answer.header("connection") == "close";
                accepted.push(id(&answer.expect(201)).to_owned());
                let _ = answered.send(());
                if going {
                    return Seen {
                        accepted,
                        lost: None,
                    };
                }
            }
            Err(error) => {
                let lost = Some(format!("{error:#}"));
                return Seen { accepted, lost };
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_answers_accepted_requests_and_exits_with_0() {
    let server = Process::start().await.unwrap();
    let admin = server.admin().await.unwrap();
    let mut stream = admin.stream("", None).await.unwrap();
    let (answered, mut answers) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(plan_until_refused(admin.clone(), answered.clone()));
    }
    for _ in 0..200 {
        answers.recv().await.unwrap();
    }
    server.signal("TERM").await.unwrap();
    let data = Arc::clone(&server.data);
    let ended = tokio::time::timeout(Duration::from_secs(10), server.ended());
    let (status, log) = ended.await.expect("it ends within 10 s").unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let seen = clients.join_all().await;
    for seen in &seen {
        assert_eq!(seen.lost, None, "a request was sent and not answered");
    }
    loop {
        match stream.next().await.unwrap() {
            StreamEvent::Entry { .. } => {}
            StreamEvent::Goodbye(reason) => {
                assert_eq!(reason["reason"], "shutdown");
                break;
            }
            StreamEvent::Gap(gap) => panic!("{gap}"),
        }
    }
    stream.ended().await.unwrap();

    let server = Process::start_on(data, &Options::default()).await.unwrap();
    let admin = server.admin().await.unwrap();
    for release in seen.iter().flat_map(|seen| &seen.accepted) {
        let _ = admin
            .get(&format!("/releases/{release}"))
            .await
            .unwrap()
            .expect(200);
    }
}

#[tokio::test]
async fn an_incomplete_request_is_answered_before_the_stop() {
    let options = Options::default().env("SLIPWAY_DRAIN_DEADLINE", "2s");
    let server = Process::start_with(&options).await.unwrap();
    let address = server.http.trim_start_matches("http://").to_owned();
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut half = TcpStream::connect(&address).await.unwrap();
        let head = "POST /auth/login HTTP/1.1\r\nhost: slipway\r\n\
                    content-type: application/json\r\ncontent-length: 2\r\n\r\n{";
        half.write_all(head.as_bytes()).await.unwrap();
        halves.push(half);
    }
    server.signal("TERM").await.unwrap();
    // One of them is completed while the process drains.
    let draining = until(async || {
        let log = server.log();
        anyhow::ensure!(log.contains("draining"), "{log}");
        Ok(())
    });
    draining.await.unwrap();
    halves[0].write_all(b"}").await.unwrap();
    for (half, words) in halves
        .iter_mut()
        .zip(["HTTP/1.1 400 ", "The server is stopping"])
    {
        let mut answer = String::new();
        half.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(words), "{words} is not in: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let (status, log) = server.ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[tokio::test]
async fn a_data_directory_can_be_used_by_one_process_at_a_time() {
    let server = Process::start().await.unwrap();
    let (status, _, errors) = process::run(server.data.path(), &Options::default())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains(&format!("in use by process {}", server.pid())),
        "{errors}"
    );
    let data = server.kill().await.unwrap();
    // A killed process holds no lock.
    Process::start_on(data, &Options::default()).await.unwrap();
}

#[tokio::test]
async fn addresses_in_use_are_reported_together_before_anything_is_created() {
    let server = Process::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    let taken = [
        ("http_addr", &server.http),
        ("grpc_addr", &server.grpc),
        ("ops_addr", &server.ops),
    ]
    .map(|(key, url)| (key, url.trim_start_matches("http://")));
    for (key, address) in taken {
        options = options.env(&format!("SLIPWAY_{}", key.to_uppercase()), address);
    }
    let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""));
    for (key, address) in taken {
        let expected = format!("{address} ({key}): Address already in use");
        assert!(errors.contains(&expected), "{expected} is not in: {errors}");
    }
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn an_unwritable_ready_file_is_reported_before_anything_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default()
        .arg("--ready-file")
        .arg("nowhere/ready.json");
    let (status, output, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!((status.code(), output.as_str()), (Some(1), ""));
    assert!(
        errors.contains("the ready file nowhere/ready.json"),
        "{errors}"
    );
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn a_ready_file_is_there_only_while_the_process_serves() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ready.json");
    std::fs::write(&file, "of an earlier process").unwrap();
    let options = Options::default()
        .arg("--ready-file")
        .arg(file.to_str().unwrap())
        .env("SLIPWAY_HTTP_ADDR", "192.0.2.1:1");
    let (status, _, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(!file.exists(), "a start that failed leaves no file");

    let options = Options::default()
        .arg("--ready-file")
        .arg(dir.path().to_str().unwrap());
    let (status, _, errors) = process::run(dir.path(), &options).await.unwrap();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("the ready file"), "{errors}");
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn the_first_admins_password_is_generated_and_shown_once() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let options = Options {
        without: vec!["SLIPWAY_ADMIN_PASSWORD".into()],
        ..Options::default()
    };
    let server = Process::start_on(Arc::clone(&dir), &options).await.unwrap();
    let shown = until(async || {
        serde_json::from_str::<Value>(server.output().lines().next().unwrap_or_default())
    });
    let shown = shown.await.unwrap();
    assert_eq!(shown["username"], "admin");
    let password = shown["password"].as_str().unwrap().to_owned();
    server.client().login("admin", &password).await.unwrap();
    server.signal("TERM").await.unwrap();
    let (_, log) = server.ended().await.unwrap();
    assert!(
        !log.contains(&password),
        "a password does not belong in the log"
    );

    let server = Process::start_on(dir, &options).await.unwrap();
    server.client().login("admin", &password).await.unwrap();
    server.signal("TERM").await.unwrap();
    let (_, output, _) = server.ended_with_output().await.unwrap();
    assert_eq!(output, "");
}

#[tokio::test]
async fn no_admin_is_created_if_the_password_cannot_be_shown() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let options = Options {
        without: vec!["SLIPWAY_ADMIN_PASSWORD".to_owned()],
        ..Options::default()
    };
    for output in [Unheard::Gone, Unheard::Closed, Unheard::Full] {
        let unheard = process::run_unheard(data.path(), &options, output).await;
        let (status, log) = unheard.unwrap();
        assert!(!status.success(), "{log}");
        assert!(log.contains("cannot be shown"), "{log}");
    }
    // The next start creates one, and shows its password.
    let server = Process::start_on(data, &options).await.unwrap();
    let output = server.output();
    let shown: Value = serde_json::from_str(output.trim()).expect(&output);
    let password = shown["password"].as_str().expect(&output);
    let _ = server.client().login("admin", password).await.unwrap();
}

/// Starts on data that has an admin, stops, and returns the log.
async fn restarted(data: &Arc<tempfile::TempDir>, options: &Options) -> String {
    let server = Process::start_on(Arc::clone(data), options).await.unwrap();
    let _ = server.admin().await.unwrap();
    server.signal("TERM").await.unwrap();
    server.ended().await.unwrap().1
}

#[tokio::test]
async fn a_missing_signing_key_is_logged() {
    const WARNING: &str = "all users must sign in again";
    let server = Process::start().await.unwrap();
    assert!(!server.log().contains(WARNING), "a first start has nobody");
    let data = server.kill().await.unwrap();
    let log = restarted(&data, &Options::default()).await;
    assert!(!log.contains(WARNING), "{log}");
    std::fs::remove_file(data.path().join("data/jwt-key.pem")).unwrap();
    let log = restarted(&data, &Options::default()).await;
    assert!(log.contains(WARNING), "{log}");
}

#[tokio::test]
async fn late_settings_of_the_first_admin_are_logged() {
    const NOT_APPLIED: &str = "this setting is not applied";
    let data = Process::start().await.unwrap().kill().await.unwrap();
    let unset = Options {
        without: vec!["SLIPWAY_ADMIN_PASSWORD".into()],
        ..Options::default()
    };
    for same in [
        Options::default(),
        unset,
        Options::default().env("SLIPWAY_ADMIN_USERNAME", "Admin"),
    ] {
        let log = restarted(&data, &same).await;
        assert!(!log.contains(NOT_APPLIED), "{log}");
    }
    for (key, value) in [
        ("admin_password", "another horse, same stable"),
        ("admin_username", "boss"),
        ("admin_email", "boss@example.com"),
    ] {
        let name = format!("SLIPWAY_{}", key.to_uppercase());
        let log = restarted(&data, &Options::default().env(&name, value)).await;
        let warnings = log.lines().filter(|line| line.contains(NOT_APPLIED));
        let warnings: String = warnings.collect();
        assert!(warnings.contains(&format!("\"key\":\"{key}\"")), "{log}");
        let is_of_admin = warnings.contains("\"administrator\":\"admin\"");
        assert_eq!(is_of_admin, key != "admin_username", "{log}");
        assert!(!warnings.contains("boss"), "nobody is called so: {log}");
        assert!(!log.contains("same stable"), "{log}");
    }
}

#[tokio::test]
async fn the_ops_port_reports_readiness() {
    let server = Process::start().await.unwrap();
    let ops = Client::new(&server.ops);
    let _ = ops.get("/healthz").await.unwrap().expect(200);
    let ready = ops.get("/readyz").await.unwrap().expect(200);
    assert_eq!(ready["ready"], true);
    let checks = ready["checks"].as_array().unwrap();
    assert!(
        checks.iter().all(|check| check["problem"].is_null()),
        "{ready:#}"
    );
    let team = Team::new(&server, 1).await.unwrap();
    team.release("counted", &[0]).await.unwrap();
    let Value::String(metrics) = ops.get("/metrics").await.unwrap().expect(200) else {
        panic!("metrics are text")
    };
    for metric in [
        "slipway_commands_total{command=\"release.created\"} 1",
        "slipway_registrations_total{role=\"Developer\"} 1",
        "# HELP slipway_outbox_pending",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in:\n{metrics}");
    }
}

/// Whether child processes of this process ignore SIGHUP, as under `nohup`.
fn ignores_hup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

#[tokio::test]
async fn every_terminating_signal_stops_it_gracefully() {
    let signals = ["HUP", "INT", "QUIT", "USR1", "USR2"];
    for signal in signals.into_iter().skip(usize::from(ignores_hup())) {
        let server = Process::start().await.unwrap();
        server.signal(signal).await.unwrap();
        let (status, log) = server.ended().await.unwrap();
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert!(log.contains("\"message\":\"stopped\""), "{signal}: {log}");
    }
}

#[tokio::test]
async fn a_stop_while_waiting_for_a_server_ends_the_start() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for (key, value) in [
        ("SLIPWAY_MONGODB_URL", format!("mongodb://{address}")),
        ("SLIPWAY_KAFKA_BROKERS", address),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::default().signing(dir.path()).unwrap();
        let child = process::begin(dir.path(), &options.env(key, value)).unwrap();
        let _waited_for = silent.accept().await.unwrap();
        process::signal(&child, "TERM").await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
        let ended = ended.await.expect("it ends").unwrap();
        let log = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{key}: {log}");
        assert!(log.contains("stopped during the start"), "{key}: {log}");
    }
}
