//! The session cookie of browsers: who gets it, and which requests it counts for.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;
use slipway_tests::{
    ADMIN_PASSWORD, Answer, Client, Options, Process,
    team::{PASSWORD, id, task_ids},
};

use crate::api::{full::Full, start, unauthorized};

const MONTH: u64 = 30 * 86_400;

/// Signs a browser in; returns the name and value of its cookie, whose attributes must be as
/// documented.
async fn sign_in(client: &Client, username: &str) -> anyhow::Result<String> {
    let body = json!({"username": username, "password": PASSWORD});
    let answer = client.post("/auth/session", &body).await?;
    let cookie = cookie(&answer, &["HttpOnly", "Path=/", "SameSite=Lax"]);
    assert!(!answer.text.contains("token"), "{}", answer.text);
    assert_eq!(answer.expect(200)["user"]["username"], username);
    Ok(cookie)
}

#[track_caller]
fn cookie(answer: &Answer, expected: &[&str]) -> String {
    let text = answer.header("set-cookie").to_owned();
    let mut parts = text.split("; ");
    let pair = parts.next().expect("a name and a value").to_owned();
    let (values, flags): (Vec<_>, Vec<_>) = parts.partition(|part| part.contains("Max-Age="));
    let flags: BTreeSet<_> = flags.into_iter().collect();
    assert_eq!(flags, expected.iter().copied().collect());
    let age: u64 = values[0]["Max-Age=".len()..].parse().expect("seconds");
    assert!((MONTH - 60..=MONTH).contains(&age), "{age}");
    pair
}

/// Sends a request with the cookie, as a page of this server.
async fn send(client: &Client, method: Method, path: &str, cookie: &str) -> anyhow::Result<Answer> {
    let request = client
        .request(method, path)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin");
    client.send(request.json(&json!({}))).await
}

#[tokio::test]
async fn signing_a_browser_in_sets_a_cookie_that_scripts_cannot_read() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let cookie = sign_in(&server.client(), "dev-0").await?;
    assert!(cookie.starts_with("slipway_session=slb_"), "{cookie}");
    let me = send(&server.client(), Method::GET, "/auth/me", &cookie).await?;
    assert_eq!(me.expect(200)["username"], "dev-0");
    Ok(())
}

#[tokio::test]
async fn signing_in_for_tokens_sets_no_cookie() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let answer = server.client().post("/auth/login", &body).await?;
    assert!(!answer.headers.contains_key("set-cookie"));
    let body = json!({"username": "eve", "email": "eve@example.com", "password": PASSWORD});
    let answer = team.admin.post("/auth/register", &body).await?;
    assert!(!answer.headers.contains_key("set-cookie"));
    Ok(())
}

#[tokio::test]
async fn with_an_https_public_url_the_cookie_is_secure_and_of_this_host() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_PUBLIC_URL", "HTTPS://slipway.example.com");
    let server = Process::start_with(&options).await?;
    let body = json!({"username": "admin", "password": ADMIN_PASSWORD});
    let answer = server.client().post("/auth/session", &body).await?;
    let flags = ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"];
    let cookie = cookie(&answer, &flags);
    assert!(
        cookie.starts_with("__Host-slipway_session=slb_"),
        "{cookie}"
    );
    send(&server.client(), Method::GET, "/auth/me", &cookie)
        .await?
        .expect(200);
    // Another host of the domain could have set this one.
    let tossed = cookie.replace("__Host-", "");
    let answer = send(&server.client(), Method::GET, "/auth/me", &tossed).await?;
    unauthorized(answer, "UNAUTHENTICATED");
    Ok(())
}

#[tokio::test]
async fn the_cookie_is_accepted_for_every_list() -> anyhow::Result<()> {
    let full = Full::new().await?;
    let client = full.server.client();
    let developer = sign_in(&client, "dev-0").await?;
    let body = json!({"username": "admin", "password": ADMIN_PASSWORD});
    let answer = client.post("/auth/session", &body).await?;
    let admin = cookie(&answer, &["HttpOnly", "Path=/", "SameSite=Lax"]);
    for list in full.lists() {
        let cookie = match list.reader.token() == full.team.admin.token() {
            true => &admin,
            false => &developer,
        };
        let cookie = format!("theme=dark; {cookie}; x=y");
        let request = client.request(Method::GET, &list.path);
        let answer = client.send(request.header("cookie", cookie)).await?;
        answer.expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn the_cookie_counts_for_changes_by_own_pages_only() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let task = task_ids(&release).remove(0);
    let client = server.client();
    let cookie = sign_in(&client, "dev-0").await?;
    let host = server.http.trim_start_matches("http://").to_owned();
    let own = format!("http://{host}");
    let path = format!("/tasks/{task}/start");
    for headers in [
        vec![],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site"), ("origin", &*own)],
        vec![("sec-fetch-site", "none")],
        vec![("origin", "http://127.0.0.1:1")],
        vec![("origin", "null")],
    ] {
        let mut request = client
            .request(Method::PATCH, &path)
            .header("cookie", &cookie);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = client.send(request).await?;
        answer.refused(403, "CROSS_ORIGIN");
    }
    let before = team
        .admin
        .get(&format!("/releases/{}", id(&release)))
        .await?;
    assert_eq!(before.expect(200)["tasks"][0]["status"], "TODO");
    let request = client
        .request(Method::PATCH, &path)
        .header("cookie", &cookie);
    client
        .send(request.header("origin", &own))
        .await?
        .expect(200);
    let path = format!("/tasks/{task}/complete");
    send(&client, Method::PATCH, &path, &cookie)
        .await?
        .expect(200);
    Ok(())
}

#[tokio::test]
async fn an_admin_in_a_browser_creates_admins() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let client = server.client();
    let body = json!({"username": "admin", "password": ADMIN_PASSWORD});
    let answer = client.post("/auth/session", &body).await?;
    let cookie = cookie(&answer, &["HttpOnly", "Path=/", "SameSite=Lax"]);
    let account = json!({
        "username": "eve", "email": "eve@example.com", "password": PASSWORD, "role": "ADMIN",
    });
    let request = || {
        let request = client.request(Method::POST, "/auth/register");
        request.header("cookie", &cookie).json(&account)
    };
    let foreign = request().header("sec-fetch-site", "cross-site");
    client.send(foreign).await?.refused(403, "ADMIN_REQUIRED");
    let own = request().header("sec-fetch-site", "same-origin");
    client.send(own).await?.expect(201);
    Ok(())
}

#[tokio::test]
async fn a_header_wins_over_the_cookie_even_if_it_is_malformed() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let client = server.client();
    let cookie = sign_in(&client, "dev-0").await?;
    for (header, code) in [
        ("Basic YTpi", "UNAUTHENTICATED"),
        ("Bearer garbage", "INVALID_TOKEN"),
    ] {
        let request = client.request(Method::GET, "/auth/me");
        let request = request
            .header("cookie", &cookie)
            .header("authorization", header);
        unauthorized(client.send(request).await?, code);
    }
    // With it, another site makes no difference: no site can send it.
    let request = team.admin.request(Method::POST, "/releases");
    let request = request
        .header("cookie", &cookie)
        .header("sec-fetch-site", "cross-site");
    let answer = client.send(request.json(&json!({"name": "a"}))).await?;
    answer.expect(201);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_ends_a_session_that_the_browser_brings() -> anyhow::Result<()> {
    let (server, _team) = start(2).await?;
    let client = server.client();
    let planted = sign_in(&client, "dev-0").await?;
    let body = json!({"username": "dev-1", "password": PASSWORD});
    let request = client.request(Method::POST, "/auth/session");
    let request = request
        .header("cookie", &planted)
        .header("sec-fetch-site", "same-origin");
    let answer = client.send(request.json(&body)).await?;
    let own = cookie(&answer, &["HttpOnly", "Path=/", "SameSite=Lax"]);
    assert_ne!(own, planted);
    let me = send(&client, Method::GET, "/auth/me", &own).await?;
    assert_eq!(me.expect(200)["username"], "dev-1");
    let me = send(&client, Method::GET, "/auth/me", &planted).await?;
    me.refused(401, "SESSION_ENDED");
    // Another site cannot end one: its request has no cookie that counts.
    let kept = sign_in(&client, "dev-0").await?;
    let request = client.request(Method::POST, "/auth/session");
    let request = request.header("cookie", &kept);
    client.send(request.json(&body)).await?.expect(200);
    let me = send(&client, Method::GET, "/auth/me", &kept).await?;
    me.expect(200);
    Ok(())
}

#[tokio::test]
async fn signing_out_ends_the_session_and_works_with_a_dead_cookie() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let client = server.client();
    let cookie = sign_in(&client, "dev-0").await?;
    send(&client, Method::GET, "/auth/me", &cookie)
        .await?
        .expect(200);
    let foreign = client
        .request(Method::DELETE, "/auth/session")
        .header("cookie", &cookie)
        .header("sec-fetch-site", "cross-site");
    client.send(foreign).await?.refused(403, "CROSS_ORIGIN");
    for _ in 0..2 {
        let answer = send(&client, Method::DELETE, "/auth/session", &cookie).await?;
        let gone = "slipway_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0";
        assert_eq!((answer.status, answer.header("set-cookie")), (204, gone));
        for _ in 0..2 {
            let answer = send(&client, Method::GET, "/auth/me", &cookie).await?;
            unauthorized(answer, "SESSION_ENDED");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_cookie_of_no_session_is_refused() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let cookie = sign_in(&server.client(), "dev-0").await?;
    let value = cookie.trim_start_matches("slipway_session=");
    let last = value.len() - 4;
    for (cookie, code) in [
        ("slipway_session=".to_owned(), "INVALID_SESSION"),
        ("slipway_session=garbage".to_owned(), "INVALID_SESSION"),
        (
            format!("slipway_session={}AAAA", &value[..last]),
            "INVALID_SESSION",
        ),
        (format!("session={value}"), "UNAUTHENTICATED"),
        (format!("x_slipway_session={value}"), "UNAUTHENTICATED"),
        ("slipway_session".to_owned(), "UNAUTHENTICATED"),
    ] {
        let answer = send(&server.client(), Method::GET, "/auth/me", &cookie).await?;
        unauthorized(answer, code);
    }
    Ok(())
}
