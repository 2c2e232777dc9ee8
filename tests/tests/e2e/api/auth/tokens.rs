//! Where a token is read from, and malformed tokens.

use reqwest::Method;
use slipway_tests::{Options, Process, team::task_ids};

use super::refuses;
use crate::api::{begin, start, unauthorized};

#[tokio::test]
async fn a_request_without_a_token_is_refused() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    let client = server.client();
    for header in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Basic YTpi"),
        Some("Token abc"),
        Some("Bearer schl\u{fc}ssel"),
    ] {
        let mut request = client.request(Method::GET, "/releases");
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        unauthorized(client.send(request).await?, "UNAUTHENTICATED");
    }
    Ok(())
}

#[tokio::test]
async fn the_scheme_is_case_insensitive() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    for scheme in ["bearer", "BEARER"] {
        let request = server.client().request(Method::GET, "/auth/me");
        let request = request.header("authorization", format!("{scheme} {}", team.admin.token()));
        server.client().send(request).await?.expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_in_the_query_is_ignored() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let token = team.admin.token();
    for name in ["token", "access_token", "slipway_token"] {
        for path in ["/auth/me", "/releases", "/activity/stream"] {
            let answer = server
                .client()
                .get(&format!("{path}?{name}={token}"))
                .await?;
            unauthorized(answer, "UNAUTHENTICATED");
        }
    }
    Ok(())
}

#[tokio::test]
async fn garbage_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let token = team.admin.token();
    let long = "x".repeat(10_000);
    let last = token.len() - 2;
    for garbage in [
        "garbage",
        "a.b.c",
        "..",
        &long,
        &token[..last],
        &format!("{token}x"),
        &token.replacen('.', "", 1),
        &token.replacen('.', "..", 1),
    ] {
        refuses(&server, garbage, "INVALID_TOKEN").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_stays_valid_after_a_restart() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let token = team.developers[0].token().to_owned();
    let server = Process::start_on(server.kill().await?, &Options::default()).await?;
    let developer = server.client().with_token(&token);
    begin(&developer, &task_ids(&release)[0]).await?.expect(200);
    Ok(())
}
