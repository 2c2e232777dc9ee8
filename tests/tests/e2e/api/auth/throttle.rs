//! How many failed sign-ins are borne: 10 in 15 minutes for a name or an address. The
//! tests are several clients by several addresses of this machine.

use futures::future::try_join_all;
use serde_json::json;
use slipway_tests::{Answer, Client, Process, team::PASSWORD};

use crate::api::start;

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
    let seconds: u64 = answer.header("retry-after").parse().expect("whole seconds");
    assert!((1..=15 * 60).contains(&seconds), "{seconds}");
    let limit = format!("\"default\";r=0;t={seconds}");
    assert_eq!(answer.header("ratelimit"), limit);
    assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=10;w=900");
    assert!(answer.headers.get("set-cookie").is_none());
    answer.refused(429, "TOO_MANY_ATTEMPTS");
}

#[tokio::test]
async fn ten_failures_close_a_name_wherever_one_comes_from_and_no_other_name() -> anyhow::Result<()>
{
    let (server, team) = start(2).await?;
    fail(&server, "dev-0", 10..20).await?;
    for password in [PASSWORD, "a wrong password"] {
        throttled(login(&at(&server, 30), "dev-0", password).await?);
    }
    // The same account by its other name.
    let body = json!({"email": "DEV-0@example.com", "password": PASSWORD});
    throttled(at(&server, 31).post("/auth/login", &body).await?);
    login(&at(&server, 30), "dev-1", PASSWORD)
        .await?
        .expect(200);
    login(&at(&server, 10), "dev-1", PASSWORD)
        .await?
        .expect(200);
    // Who is signed in stays so.
    team.developers[0].get("/auth/me").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn ten_failures_close_an_address_for_every_name_and_no_other_address() -> anyhow::Result<()> {
    let (server, _team) = start(2).await?;
    for n in 0..10 {
        fail(&server, &format!("guess-{n}"), 10..11).await?;
    }
    for name in ["dev-0", "dev-1", "guess-1", "guess-99"] {
        throttled(login(&at(&server, 10), name, PASSWORD).await?);
    }
    login(&at(&server, 11), "dev-0", PASSWORD)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn an_unknown_name_is_closed_like_a_known_one() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    fail(&server, "nobody", 10..20).await?;
    throttled(login(&at(&server, 30), "NOBODY", PASSWORD).await?);
    Ok(())
}

#[tokio::test]
async fn a_success_before_the_tenth_failure_begins_a_names_count_anew() -> anyhow::Result<()> {
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
async fn what_a_client_says_of_its_address_does_not_count() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let client = at(&server, 10);
    let mut last = None;
    for n in 0..11 {
        let body = json!({"username": format!("guess-{n}"), "password": "wrong"});
        let request = client
            .request(reqwest::Method::POST, "/auth/login")
            .header("x-forwarded-for", format!("192.0.2.{n}"))
            .header("slipway-client-address", format!("192.0.2.{n}"));
        last = Some(client.send(request.json(&body)).await?);
    }
    throttled(last.expect("there were eleven"));
    Ok(())
}

#[tokio::test]
async fn trying_many_passwords_at_once_does_not_get_around_it() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let attempts = (0..100_u8).map(|n| {
        let client = at(&server, 10 + n);
        async move { login(&client, "dev-0", "a wrong password").await }
    });
    let answers = try_join_all(attempts).await?;
    let tried = answers.iter().filter(|answer| answer.status == 401).count();
    // As many tries too many as hashes are computed at once.
    assert!((10..40).contains(&tried), "{tried}");
    assert!(answers.iter().all(|a| a.status == 401 || a.status == 429));
    Ok(())
}
