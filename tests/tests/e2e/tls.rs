//! TLS between processes, with certificates on both sides.

use std::{fs, path::Path};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{Authority, Client, Options, Process, certificates::Files, process, until};

fn options() -> Options {
    Options::default().of_the_mesh()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// With its own certificate.
fn known(options: Options, files: &Files) -> Options {
    options
        .env("SLIPWAY_TLS_CERT_FILE", path(&files.cert))
        .env("SLIPWAY_TLS_KEY_FILE", path(&files.key))
}

/// Trusts certificates of this CA.
fn believing(options: Options, files: &Files) -> Options {
    options.env("SLIPWAY_TLS_CA_FILE", path(&files.ca))
}

/// Services that require a client certificate: release, and notify, which calls it.
async fn services(files: &Files) -> (Process, Process) {
    let strict = believing(known(options(), files), files)
        .env("SLIPWAY_TLS_CLIENT_CA_FILE", path(&files.ca));
    let release = Process::start_with(&strict.clone().arg("release"))
        .await
        .unwrap();
    let notify = strict
        .arg("notify")
        .env("SLIPWAY_RELEASE_URL", &release.grpc);
    (release, Process::start_with(&notify).await.unwrap())
}

async fn gateway(options: Options, release: &str, notify: &str) -> Process {
    let options = options.gateway(notify).env("SLIPWAY_RELEASE_URL", release);
    Process::start_with(&options).await.unwrap()
}

async fn ready(gateway: &Process) -> (u16, Value) {
    let answer = Client::new(&gateway.ops).get("/readyz").await.unwrap();
    (answer.status, answer.body)
}

/// Asks repeatedly until every check reports this cause.
async fn until_unready(gateway: &Process, cause: &str) {
    let unready = until(async || {
        let (status, body) = ready(gateway).await;
        assert_eq!(status, 503);
        let checks = body["checks"].as_array().unwrap().iter();
        // Nothing is known of the secrets of others.
        let mut services = checks.filter(|check| check["dependency"] != "service secret");
        let names = |check: &Value| check["problem"].as_str().unwrap().contains(cause);
        ensure!(services.all(names), "{cause} is not in {body:#}");
        Ok(())
    });
    unready.await.unwrap();
}

#[tokio::test]
async fn processes_with_trusted_certificates_work_together() {
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new("ours").unwrap().write(dir.path()).unwrap();
    let (release, notify) = services(&files).await;
    assert!(release.grpc.starts_with("https://"), "{}", release.grpc);
    // By its name and by its address.
    let named = release.grpc.replace("127.0.0.1", "localhost");
    let known = believing(known(options(), &files), &files);
    let gateway = gateway(known, &named, &notify.grpc).await;
    let admin = gateway.admin().await.unwrap();
    let private = json!({"name": "in private"});
    admin.post("/releases", &private).await.unwrap().expect(201);
    // notify-svc verifies the token with keys it asks release-svc for.
    admin.get("/activity").await.unwrap().expect(200);
    until(async || admin.stream("", None).await).await.unwrap();
    let (status, body) = ready(&gateway).await;
    assert_eq!(status, 200, "{body:#}");
}

#[tokio::test]
async fn connections_without_a_trusted_certificate_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new("ours").unwrap().write(dir.path()).unwrap();
    let stranger = Authority::new("theirs").unwrap();
    let stranger = stranger.write(&dir.path().join("stranger")).unwrap();
    let (release, notify) = services(&files).await;
    let (release, notify) = (release.grpc.as_str(), notify.grpc.as_str());
    let plain = |url: &str| url.replace("https://", "http://");

    let unsure = believing(known(options(), &files), &stranger);
    let nameless = believing(options(), &files);
    let unknown = believing(known(options(), &stranger), &files);
    let gateways = [
        (gateway(unsure, release, notify).await, "UnknownIssuer"),
        (gateway(nameless, release, notify).await, "certificate"),
        (gateway(unknown, release, notify).await, "certificate"),
        (
            gateway(options(), &plain(release), &plain(notify)).await,
            "",
        ),
    ];
    for (gateway, cause) in gateways {
        let login = json!({"username": "admin", "password": slipway_tests::ADMIN_PASSWORD});
        let answer = gateway.client().post("/auth/login", &login).await.unwrap();
        assert_eq!(answer.header("retry-after"), "1");
        let _ = answer.refused(503, "UNAVAILABLE");
        until_unready(&gateway, cause).await;
    }
}

#[tokio::test]
async fn invalid_files_are_reported_before_anything_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new("ours").unwrap().write(dir.path()).unwrap();
    let other = Authority::new("theirs").unwrap();
    let other = other.write(&dir.path().join("other")).unwrap();
    let text = dir.path().join("text.pem");
    fs::write(&text, "not PEM").unwrap();
    let encrypted = dir.path().join("encrypted.pem");
    let pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(&encrypted, pem).unwrap();
    let nowhere = dir.path().join("nowhere.pem");
    let (cert, key) = ("SLIPWAY_TLS_CERT_FILE", "SLIPWAY_TLS_KEY_FILE");
    let (ca, client_ca) = ("SLIPWAY_TLS_CA_FILE", "SLIPWAY_TLS_CLIENT_CA_FILE");
    let cases: [(_, String); 9] = [
        (
            vec![(cert, &nowhere), (key, &files.key)],
            format!(
                "{cert}: its file {} cannot be read: No such file",
                path(&nowhere)
            ),
        ),
        (
            vec![(cert, &text), (key, &text)],
            format!(
                "{cert}: its file {} holds no certificate in PEM",
                path(&text)
            ),
        ),
        (
            vec![(cert, &files.cert), (key, &text)],
            format!(
                "{key}: its file {} holds no private key in PEM",
                path(&text)
            ),
        ),
        (
            vec![(cert, &files.cert), (key, &encrypted)],
            format!(
                "{key}: its file {} holds a private key that is encrypted with a passphrase",
                path(&encrypted)
            ),
        ),
        (
            vec![(cert, &files.cert), (key, &other.key)],
            format!(
                "{key}: its file {} does not belong to the certificate",
                path(&other.key)
            ),
        ),
        (
            vec![(cert, &files.cert)],
            "tls_key_file: must be set when tls_cert_file is".into(),
        ),
        (
            vec![(key, &files.key)],
            "tls_cert_file: must be set when tls_key_file is".into(),
        ),
        (
            vec![(ca, &text)],
            format!("{ca}: its file {} holds no certificate in PEM", path(&text)),
        ),
        (
            vec![(client_ca, &files.ca)],
            "tls_cert_file: must be set when tls_client_ca_file is".into(),
        ),
    ];
    for (set, expected) in cases {
        let options = set
            .iter()
            .fold(options().arg("release"), |options, (name, file)| {
                options.env(name, path(file))
            });
        let (status, _, errors) = process::run(dir.path(), &options).await.unwrap();
        assert_eq!(status.code(), Some(2), "{errors}");
        assert!(errors.contains(&expected), "{expected} is not in {errors}");
    }
    let unverified = options()
        .arg("notify")
        .env("SLIPWAY_RELEASE_URL", "https://release:50051");
    let (status, _, errors) = process::run(dir.path(), &unverified).await.unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(
        errors.contains("tls_ca_file: must be set when a service has an https URL"),
        "{errors}"
    );
}
