//! The browser cookie: it makes `EventSource` work, and no form can use it to act for the user.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use slipway_tests::{
    Answer, Client, Options, Process,
    team::{PASSWORD, task_ids},
};

use crate::api::{begin, full::Full, start, unauthorized};

/// The name and value of the cookie; its attributes must be as documented.
#[track_caller]
fn cookie(answer: &Answer) -> String {
    let text = answer.header("set-cookie").to_owned();
    let mut parts = text.split("; ");
    let pair = parts.next().expect("a name and a value").to_owned();
    let (flags, values): (BTreeSet<_>, Vec<_>) = {
        let (values, flags): (Vec<_>, Vec<_>) = parts.partition(|part| part.contains("Max-Age="));
        (flags.into_iter().collect(), values)
    };
    assert_eq!(flags, ["HttpOnly", "Path=/", "SameSite=Strict"].into());
    let age: u64 = values[0]["Max-Age=".len()..].parse().expect("seconds");
    assert!((8 * 3600 - 60..=8 * 3600).contains(&age), "{age}");
    let token = answer.body["token"].as_str().expect("a token");
    assert_eq!(pair, format!("slipway_token={token}"));
    pair
}

async fn send(client: &Client, method: Method, path: &str, cookie: &str) -> anyhow::Result<Answer> {
    let request = client.request(method, path).header("cookie", cookie);
    client.send(request.json(&json!({}))).await
}

#[tokio::test]
async fn signing_in_sets_a_strict_cookie_that_scripts_cannot_read() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let client = server.client();
    let body = json!({"username": "dev-0", "password": PASSWORD});
    cookie(&client.post("/auth/login", &body).await?);
    let body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    cookie(&client.post("/auth/register", &body).await?);
    Ok(())
}

#[tokio::test]
async fn an_admin_who_creates_an_account_stays_signed_in() -> anyhow::Result<()> {
    let (_server, team) = start(0).await?;
    let body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    let answer = team.admin.post("/auth/register", &body).await?;
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(answer.expect(201)["user"]["username"], "eve");
    Ok(())
}

#[tokio::test]
async fn behind_https_the_cookie_is_secure() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let request = server
        .client()
        .request(Method::POST, "/auth/login")
        .json(&body);
    let request = request.header("x-forwarded-proto", "https");
    let answer = server.client().send(request).await?;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    Ok(())
}

#[tokio::test]
async fn with_an_https_public_url_the_cookie_is_always_secure() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_PUBLIC_URL", "HTTPS://slipway.example.com");
    let server = Process::start_with(&options).await?;
    let body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    let request = server
        .client()
        .request(Method::POST, "/auth/register")
        .json(&body);
    let request = request.header("x-forwarded-proto", "http");
    let answer = server.client().send(request).await?;
    assert!(answer.header("set-cookie").ends_with("; Secure"));
    Ok(())
}

#[tokio::test]
async fn the_cookie_is_accepted_for_reads() -> anyhow::Result<()> {
    let full = Full::new().await?;
    let own = ["/auth/me", "/preferences"].map(|path| (path, &full.team.admin));
    let lists = full.lists.iter();
    for (path, reader) in lists
        .map(|list| (list.path.as_str(), &list.reader))
        .chain(own)
    {
        let cookie = format!("theme=dark; slipway_token={}; x=y", reader.token());
        let answer = send(&full.server.client(), Method::GET, path, &cookie).await?;
        answer.expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn the_cookie_is_not_accepted_for_changes() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = task_ids(&release).remove(0);
    let admin = format!("slipway_token={}", team.admin.token());
    let developer = format!("slipway_token={}", team.developers[0].token());
    let id = slipway_tests::team::id(&release);
    for (method, path, cookie) in [
        (Method::POST, "/releases".to_owned(), &admin),
        (Method::POST, format!("/releases/{id}/tasks"), &admin),
        (Method::PATCH, format!("/releases/{id}/complete"), &admin),
        (Method::PATCH, format!("/tasks/{task}/start"), &developer),
        (Method::PATCH, format!("/tasks/{task}/complete"), &developer),
    ] {
        let answer = send(&server.client(), method, &path, cookie).await?;
        unauthorized(answer, "UNAUTHENTICATED");
    }
    // Nor can a registration with it create an admin.
    let body = json!({
        "username": "eve", "email": "eve@example.com", "password": PASSWORD, "role": "ADMIN",
    });
    let request = server.client().request(Method::POST, "/auth/register");
    let request = request.header("cookie", &admin).json(&body);
    let answer = server.client().send(request).await?;
    answer.refused(403, "ADMIN_REQUIRED");
    begin(&team.developers[0], &task).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_header_wins_over_the_cookie_even_if_it_is_malformed() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let cookie = format!("slipway_token={}", team.admin.token());
    for (header, code) in [
        ("Basic YTpi", "UNAUTHENTICATED"),
        ("Bearer garbage", "INVALID_TOKEN"),
    ] {
        let client = server.client();
        let request = client.request(Method::GET, "/auth/me");
        let request = request
            .header("cookie", &cookie)
            .header("authorization", header);
        unauthorized(client.send(request).await?, code);
    }
    Ok(())
}

#[tokio::test]
async fn a_cookie_without_a_token_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let token = team.admin.token();
    for (cookie, code) in [
        ("slipway_token=".to_owned(), "INVALID_TOKEN"),
        ("slipway_token=garbage".to_owned(), "INVALID_TOKEN"),
        (format!("token={token}"), "UNAUTHENTICATED"),
        (format!("x_slipway_token={token}"), "UNAUTHENTICATED"),
        ("slipway_token".to_owned(), "UNAUTHENTICATED"),
    ] {
        let answer = send(&server.client(), Method::GET, "/auth/me", &cookie).await?;
        unauthorized(answer, code);
    }
    Ok(())
}
