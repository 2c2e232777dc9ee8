//! The edge of Slipway: TLS at the gateway, and reverse proxies in front of it.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::json;
use slipway_tests::{ADMIN_PASSWORD, Answer, Authority, Client, Options, Process, process, until};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// What a trusted proxy at 127.0.0.8 says, or somebody at another address of this machine claims.
async fn fail_to_sign_in(
    server: &Process,
    peer: u8,
    forwarded_for: &str,
    name: &str,
) -> anyhow::Result<Answer> {
    let client = Client::from_address(&server.http, [127, 0, 0, peer]);
    let body = json!({"username": name, "password": "wrong"});
    let request = client
        .request(reqwest::Method::POST, "/auth/login")
        .header("x-forwarded-for", forwarded_for);
    client.send(request.json(&body)).await
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_one_of_its_own() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_TRUSTED_PROXIES", "127.0.0.8");
    let server = Process::start_with(&options).await?;
    for n in 0..100 {
        // What the attacker claims in front of what the proxy appends does not matter.
        let forwarded_for = format!("192.0.2.{n}, 203.0.113.9");
        let answer = fail_to_sign_in(&server, 8, &forwarded_for, &format!("guess-{n}")).await?;
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    let attacker = fail_to_sign_in(&server, 8, "203.0.113.9", "guess-100").await?;
    attacker.refused(429, "TOO_MANY_ATTEMPTS");
    let other = fail_to_sign_in(&server, 8, "203.0.113.10", "guess-101").await?;
    other.refused(401, "INVALID_CREDENTIALS");
    // Nobody else can name a client.
    let stranger = fail_to_sign_in(&server, 9, "203.0.113.9", "guess-102").await?;
    stranger.refused(401, "INVALID_CREDENTIALS");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_in_everybody_is_warned_of() -> anyhow::Result<()> {
    for (networks, is_warned) in [("10.0.0.0/8,0.0.0.0/0", true), ("10.0.0.0/8", false)] {
        let options = Options::default().env("SLIPWAY_TRUSTED_PROXIES", networks);
        let server = Process::start_with(&options).await?;
        let log = server.log();
        assert_eq!(log.contains("trusts every address"), is_warned, "{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_change_are_used_without_dropping_a_connection() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let files = Authority::new("first")?.write(dir.path())?;
    let options = Options::default()
        .env(
            "SLIPWAY_HTTP_TLS_CERT_FILE",
            files.cert.display().to_string(),
        )
        .env("SLIPWAY_HTTP_TLS_KEY_FILE", files.key.display().to_string())
        .env("SLIPWAY_TLS_CERT_FILE", files.cert.display().to_string())
        .env("SLIPWAY_TLS_KEY_FILE", files.key.display().to_string());
    let server = Process::start_with(&options).await?;
    let first = fs::read(&files.ca)?;
    let early = Client::trusting(&server.http, &first)?;
    let early = early.login("admin", ADMIN_PASSWORD).await?;
    let me = early.get("/auth/me").await?;
    let hsts = me.header("strict-transport-security").to_owned();
    assert_eq!(hsts, "max-age=31536000");
    let command = Options::default()
        .arg("dead-letters")
        .arg("list")
        .env("SLIPWAY_URL", &server.http)
        .env("SLIPWAY_TOKEN", early.token())
        .env("SSL_CERT_FILE", files.ca.display().to_string());
    let (status, _, errors) = process::run(dir.path(), &command).await?;
    assert!(status.success(), "{errors}");
    let mut stream = until(async || early.stream("", None).await).await?;
    reach(&server.grpc, &first).await?;

    // A new certificate with the key of the old one is not used.
    let next = Authority::new("second")?;
    let draft = next.write(&dir.path().join("draft"))?;
    fs::copy(&draft.cert, &files.cert)?;
    let refused = until(async || {
        let log = server.log();
        let is_said = log.contains("the earlier ones stay in use");
        ensure!(is_said, "not logged: {log}");
        Ok(())
    });
    refused.await?;
    early.get("/auth/me").await?.expect(200);
    fs::copy(&draft.key, &files.key)?;
    let second = fs::read(&draft.ca)?;
    let late = until(async || {
        let client = Client::trusting(&server.http, &second)?;
        client.login("admin", ADMIN_PASSWORD).await
    });
    let late = late.await?;
    reach(&server.grpc, &second).await?;
    let stale = Client::trusting(&server.http, &first)?;
    stale.get("/auth/me").await.unwrap_err();

    let release = late.post("/releases", &json!({"name": "Spring"})).await?;
    let release = release.expect(201);
    let (_, entry) = stream.entry().await?;
    assert_eq!(entry["subject"], release["id"]);
    Ok(())
}

/// Connects to gRPC with trust in this CA alone.
async fn reach(grpc: &str, ca: &[u8]) -> anyhow::Result<()> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let endpoint = Endpoint::from_shared(grpc.to_owned())?.tls_config(tls)?;
    endpoint.connect().await.context("gRPC cannot be reached")?;
    Ok(())
}
