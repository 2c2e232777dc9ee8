//! Limits of failed sign-ins within 15 minutes: 10 for a name, 100 for an address. The tests act as
//! several clients with several local addresses.

use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::json;
use slipway_proto::identity::v1::{LoginRequest, identity_service_client::IdentityServiceClient};
use slipway_rpc::{
    access::{ServiceSecret, ServiceTokens},
    error::Fault,
};
use slipway_runtime::clock::SystemClock;
use slipway_tests::{Answer, Client, Process, process::SECRET, team::PASSWORD};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::api::{post_with_key, start};

async fn login(client: &Client, name: &str, password: &str) -> anyhow::Result<Answer> {
    let body = json!({"username": name, "password": password});
    client.post("/auth/login", &body).await
}

fn at(server: &Process, host: u8) -> Client {
    Client::from_address(&server.http, [127, 0, 0, host])
}

async fn fail(server: &Process, name: &str, hosts: impl Iterator<Item = u8>) -> anyhow::Result<()> {
    for host in hosts {
        let answer = login(&at(server, host), name, "a wrong password").await?;
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    Ok(())
}

#[track_caller]
fn throttled(answer: Answer) {
    refused(answer, 10);
}

#[track_caller]
fn refused(answer: Answer, limit: usize) {
    let seconds: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=15 * 60).contains(&seconds), "{seconds}");
    let left = format!("\"default\";r=0;t={seconds}");
    assert_eq!(answer.header("ratelimit"), left);
    let policy = format!("\"default\";q={limit};w=900");
    assert_eq!(answer.header("ratelimit-policy"), policy);
    assert!(answer.headers.get("set-cookie").is_none());
    answer.refused(429, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn ten_failures_block_a_name_from_every_address() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    fail(&server, "dev-0", 10..20).await?;
    for password in [PASSWORD, "a wrong password"] {
        throttled(login(&at(&server, 30), "dev-0", password).await?);
    }
    // The same account by its email address.
    let body = json!({"email": "DEV-0@example.com", "password": PASSWORD});
    throttled(at(&server, 31).post("/auth/login", &body).await?);
    login(&at(&server, 30), "dev-1", PASSWORD)
        .await?
        .expect(200);
    login(&at(&server, 10), "dev-1", PASSWORD)
        .await?
        .expect(200);
    // Existing sessions stay valid.
    team.developers[0].get("/auth/me").await?.expect(200);
    Ok(())
}

/// A hundred failures from this address, with unknown names.
async fn flood(server: &Process, host: u8) -> anyhow::Result<()> {
    let client = at(server, host);
    for ten in 0..10 {
        let attempts = (0..10).map(|n| {
            let (client, name) = (client.clone(), format!("guess-{ten}{n}"));
            async move { login(&client, &name, "a wrong password").await }
        });
        for answer in try_join_all(attempts).await? {
            answer.refused(401, "INVALID_CREDENTIALS");
        }
    }
    Ok(())
}

#[tokio::test]
async fn failures_with_other_names_do_not_block_a_correct_password() -> anyhow::Result<()> {
    let (server, _team) = start(2).await?;
    flood(&server, 10).await?;
    let client = at(&server, 10);
    // Once more, and the same for an unknown name: the answers do not differ.
    for name in ["dev-1", "nobody"] {
        refused(login(&client, name, "a wrong password").await?, 100);
    }
    for name in ["dev-0", "admin"] {
        let password = match name {
            "admin" => slipway_tests::ADMIN_PASSWORD,
            _ => PASSWORD,
        };
        login(&client, name, password).await?.expect(200);
    }
    // The account's one guess is used: now even the right password is refused.
    refused(login(&client, "dev-1", PASSWORD).await?, 100);
    login(&at(&server, 11), "dev-1", PASSWORD)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn an_address_with_many_failures_gets_one_guess_for_a_name() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    flood(&server, 10).await?;
    let client = at(&server, 10);
    let attempts = (0..30).map(|n| {
        let client = client.clone();
        // The right password is among them.
        let password = if n == 29 {
            PASSWORD
        } else {
            "a wrong password"
        };
        async move { login(&client, "dev-0", password).await }
    });
    for answer in try_join_all(attempts).await?.into_iter().take(29) {
        refused(answer, 100);
    }
    // Only one of them was tried, so the name is not blocked for others.
    login(&at(&server, 11), "dev-0", PASSWORD)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn an_unknown_name_is_blocked_like_a_known_one() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    fail(&server, "nobody", 10..20).await?;
    throttled(login(&at(&server, 30), "NOBODY", PASSWORD).await?);
    Ok(())
}

#[tokio::test]
async fn a_success_before_the_tenth_failure_resets_the_count() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    for round in 0..3_u8 {
        let first = 10 + round * 10;
        fail(&server, "dev-0", first..first + 9).await?;
        login(&at(&server, 100), "dev-0", PASSWORD)
            .await?
            .expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn refused_attempts_do_not_prolong_the_wait() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    fail(&server, "dev-0", 10..20).await?;
    let client = at(&server, 30);
    let first = login(&client, "dev-0", "x").await?;
    let mut waits: Vec<u64> = vec![first.header("retry-after").parse()?];
    for _ in 0..10 {
        let answer = login(&client, "dev-0", "x").await?;
        waits.push(answer.header("retry-after").parse()?);
    }
    assert!(waits.is_sorted_by(|a, b| a >= b), "{waits:?}");
    Ok(())
}

#[tokio::test]
async fn an_address_claimed_over_http_is_ignored() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let client = at(&server, 10);
    flood(&server, 10).await?;
    let body = json!({"username": "guess-100", "password": "wrong"});
    let request = client
        .request(reqwest::Method::POST, "/auth/login")
        .header("x-forwarded-for", "192.0.2.1")
        .header("slipway-client-address", "192.0.2.1")
        .header("slipway-service-token", "192.0.2.1");
    refused(client.send(request.json(&body)).await?, 100);
    Ok(())
}

async fn identity(server: &Process) -> anyhow::Result<IdentityServiceClient<Channel>> {
    let endpoint = Endpoint::from_shared(server.grpc.clone())?;
    Ok(IdentityServiceClient::new(endpoint.connect().await?))
}

/// Signs in over gRPC, with metadata that claims this address.
async fn login_as_if_at(
    identity: &IdentityServiceClient<Channel>,
    address: &str,
    metadata: &[(&'static str, &str)],
    (login, password): (&str, &str),
) -> anyhow::Result<Result<(), Fault>> {
    let mut request = tonic::Request::new(LoginRequest {
        login: login.to_owned(),
        password: password.to_owned(),
    });
    let said = [("slipway-client-address", address)];
    for (name, value) in said.iter().chain(metadata) {
        request.metadata_mut().insert(*name, value.parse()?);
    }
    let answer = identity.clone().login(request).await;
    Ok(answer.map(|_| ()).map_err(Fault::from))
}

#[tokio::test]
async fn an_address_claimed_over_grpc_is_ignored() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let identity = identity(&server).await?;
    let developer = team.developers[0].token().to_owned();
    let bearer = format!("Bearer {developer}");
    let forged = ServiceTokens::new(ServiceSecret::new(SECRET), "gateway", Arc::new(SystemClock));
    let forged = forged.current();
    let ways: [Vec<(&str, &str)>; 4] = [
        vec![],
        vec![("authorization", &bearer)],
        vec![("slipway-service-token", &developer)],
        vec![("slipway-service-token", &forged)],
    ];
    for n in 0..100_usize {
        // Each claims a different address.
        let (address, name) = (format!("192.0.2.{n}"), format!("guess-{n}"));
        let guess = (&*name, "a wrong password");
        let answer = login_as_if_at(&identity, &address, &ways[n % 4], guess).await?;
        assert_eq!(answer.unwrap_err().code, "INVALID_CREDENTIALS");
    }
    for way in &ways {
        let name = format!("{}", Uuid::now_v7());
        let guess = (&*name, "a wrong password");
        let answer = login_as_if_at(&identity, "192.0.2.200", way, guess).await?;
        assert_eq!(answer.unwrap_err().code, "TOO_MANY_ATTEMPTS");
    }
    Ok(())
}

#[tokio::test]
async fn another_address_cannot_be_blocked_over_grpc() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let identity = identity(&server).await?;
    for n in 0..100 {
        let name = format!("guess-{n}");
        let guess = (&*name, "a wrong password");
        let answer = login_as_if_at(&identity, "127.0.0.10", &[], guess).await?;
        assert_eq!(answer.unwrap_err().code, "INVALID_CREDENTIALS");
    }
    // The claimed address has no failures; the real one has.
    let body = json!({"username": "guess-100", "password": "a wrong password"});
    let answer = at(&server, 10).post("/auth/login", &body).await?;
    answer.refused(401, "INVALID_CREDENTIALS");
    let answer = server.client().post("/auth/login", &body).await?;
    refused(answer, 100);
    Ok(())
}

#[tokio::test]
async fn repeating_a_registration_with_other_passwords_is_throttled() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let account = |password: &str| json!({"username": "ada", "email": "ada@example.com", "password": password});
    let repeat = |host, password| {
        let client = at(&server, host);
        let body = account(password);
        async move { post_with_key(&client, "/auth/register", &body, "key").await }
    };
    repeat(10, PASSWORD).await?.expect(201);
    for host in 20..30 {
        let answer = repeat(host, "a wrong password").await?;
        answer.refused(409, "IDEMPOTENCY_KEY_REUSED");
    }
    for password in [PASSWORD, "a wrong password"] {
        throttled(repeat(30, password).await?);
    }
    throttled(login(&at(&server, 31), "ada", PASSWORD).await?);
    Ok(())
}

#[tokio::test]
async fn concurrent_guesses_do_not_bypass_the_limit() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let attempts = (0..100_u8).map(|n| {
        let client = at(&server, 10 + n);
        async move { login(&client, "dev-0", "a wrong password").await }
    });
    let answers = try_join_all(attempts).await?;
    let tried = answers.iter().filter(|answer| answer.status == 401).count();
    // Exceeds the limit by at most the number of hashes computed concurrently.
    assert!((10..40).contains(&tried), "{tried}");
    assert!(answers.iter().all(|a| a.status == 401 || a.status == 429));
    Ok(())
}
