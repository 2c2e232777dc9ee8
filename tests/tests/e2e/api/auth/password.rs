//! POST /auth/password, and `slipway admin reset-password`.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, Options, Process, process, team::PASSWORD, until};

use crate::api::{invalid, start, unauthorized};

/// Another password.
const NEXT: &str = "another good one, 42";

async fn login(client: &Client, name: &str, password: &str) -> anyhow::Result<Answer> {
    let body = json!({"username": name, "password": password});
    client.post("/auth/login", &body).await
}

async fn refresh(client: &Client, session: &Value) -> anyhow::Result<Answer> {
    let body = json!({"refreshToken": session["refreshToken"]});
    client.post("/auth/refresh", &body).await
}

async fn change(client: &Client, current: &str, new: &str) -> anyhow::Result<Answer> {
    let body = json!({"currentPassword": current, "newPassword": new});
    client.post("/auth/password", &body).await
}

fn of(server: &Process, session: &Value) -> anyhow::Result<Client> {
    let token = session["token"].as_str().context("a token")?;
    Ok(server.client().with_token(token))
}

#[tokio::test]
async fn a_change_ends_all_other_sessions() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let nobody = server.client();
    let own = login(&nobody, "dev-0", PASSWORD).await?.expect(200);
    let other = login(&nobody, "dev-0", PASSWORD).await?.expect(200);
    let client = of(&server, &own)?;
    change(&client, PASSWORD, NEXT).await?.expect(204);

    client.get("/auth/me").await?.expect(200);
    refresh(&nobody, &own).await?.expect(200);
    for ended in [&of(&server, &other)?, &team.developers[0]] {
        unauthorized(ended.get("/auth/me").await?, "SESSION_ENDED");
    }
    unauthorized(refresh(&nobody, &other).await?, "SESSION_ENDED");
    let old = login(&nobody, "dev-0", PASSWORD).await?;
    unauthorized(old, "INVALID_CREDENTIALS");
    login(&nobody, "dev-0", NEXT).await?.expect(200);
    // Nobody else's.
    team.developers[1].get("/auth/me").await?.expect(200);

    let path = "/admin/audit?type=user.password_changed";
    let entries = until(async || {
        let page = team.admin.get(path).await?.expect(200);
        ensure!(page["items"][0].is_object(), "not recorded yet");
        Ok(page)
    });
    let text = entries.await?.to_string();
    assert!(
        text.contains("\"dev-0\"") && text.contains("\"OWN\""),
        "{text}"
    );
    for secret in [PASSWORD, NEXT, "argon2"] {
        assert!(!text.contains(secret) && !server.log().contains(secret));
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_or_weak_password_changes_nothing() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let client = &team.developers[0];
    for (new, why) in [
        ("short", "8 to 128 characters"),
        ("dev-0@example.com", "close to the username"),
        ("password123", "most common"),
        (PASSWORD, "must differ"),
    ] {
        let told = invalid(change(client, PASSWORD, new).await?, "newPassword");
        assert!(told.contains(why), "{told}");
    }
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEXT, "username": "dev-1"});
    client.post("/auth/password", &body).await?.expect(400);
    unauthorized(
        change(&server.client(), PASSWORD, NEXT).await?,
        "UNAUTHENTICATED",
    );
    // Guesses count as failed sign-ins.
    for _ in 0..10 {
        let answer = change(client, "a wrong password", NEXT).await?;
        answer.refused(403, "WRONG_PASSWORD");
    }
    let answer = change(client, PASSWORD, NEXT).await?;
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    client.get("/auth/me").await?.expect(200);
    let other = login(&server.client(), "dev-1", PASSWORD).await?;
    other.expect(200);
    Ok(())
}

async fn reset(dir: &Path, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String, String)> {
    let options = ["admin", "reset-password"].iter().chain(arguments);
    let options = options.fold(Options::default(), |options, argument| {
        options.arg(*argument)
    });
    let (status, output, errors) = process::run(dir, &options).await?;
    Ok((status.code(), output, errors))
}

#[tokio::test]
async fn an_operator_resets_a_password_while_no_server_runs() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let before = login(&server.client(), "dev-0", PASSWORD)
        .await?
        .expect(200);
    for _ in 0..10 {
        let wrong = login(&server.client(), "dev-0", "a wrong password").await?;
        unauthorized(wrong, "INVALID_CREDENTIALS");
    }
    let dir = Arc::clone(&server.data);
    let (code, _, errors) = reset(dir.path(), &["dev-0"]).await?;
    assert_eq!(code, Some(1));
    assert!(errors.contains("is in use by"), "{errors}");

    server.signal("TERM").await?;
    let (status, log) = server.ended().await?;
    ensure!(status.success(), "{log}");
    let (code, _, errors) = reset(dir.path(), &["nobody"]).await?;
    assert_eq!(code, Some(2));
    assert!(errors.contains("no account with this name"), "{errors}");
    let (code, output, errors) = reset(dir.path(), &["DEV-0@example.com"]).await?;
    assert_eq!(code, Some(0), "{errors}");
    let (said, password) = output.trim().rsplit_once(' ').context("a sentence")?;
    assert_eq!(said, "The new password of dev-0, a developer, is");

    // Each leaves the database closed and noted as it is.
    for _ in 0..5 {
        let (code, _, errors) = reset(dir.path(), &["admin"]).await?;
        assert_eq!(code, Some(0), "{errors}");
    }
    let (code, output, errors) = reset(dir.path(), &["admin"]).await?;
    assert_eq!(code, Some(0), "{errors}");
    let (_, admins) = output.trim().rsplit_once(' ').context("a sentence")?;

    let server = Process::start_on(dir, &Options::default()).await?;
    // Also after ten failures.
    login(&server.client(), "dev-0", password)
        .await?
        .expect(200);
    let old = login(&server.client(), "dev-0", PASSWORD).await?;
    unauthorized(old, "INVALID_CREDENTIALS");
    unauthorized(refresh(&server.client(), &before).await?, "SESSION_ENDED");
    let path = "/admin/audit?type=user.password_changed";
    let admin = server.client().login("admin", admins).await?;
    let recorded = until(async || {
        let page = admin.get(path).await?.expect(200);
        let text = page["items"][0].to_string();
        ensure!(text.contains("OPERATOR"), "not recorded yet: {text}");
        Ok(())
    });
    recorded.await
}

#[tokio::test]
async fn a_reset_needs_data() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (code, _, errors) = reset(dir.path(), &["admin"]).await?;
    assert_eq!(code, Some(1));
    assert!(errors.contains("has no data of Slipway"), "{errors}");
    assert!(!dir.path().join("slipway-data").exists());
    Ok(())
}
