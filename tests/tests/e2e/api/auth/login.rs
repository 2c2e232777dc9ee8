//! POST /auth/login and GET /auth/me.

use anyhow::Context as _;
use serde_json::{Value, json};
use slipway_tests::{Answer, Client, team::PASSWORD};

use crate::api::{invalid, start};

async fn login(client: &Client, name: &str, password: &str) -> anyhow::Result<Answer> {
    let field = if name.contains('@') {
        "email"
    } else {
        "username"
    };
    client
        .post("/auth/login", &json!({field: name, "password": password}))
        .await
}

#[tokio::test]
async fn a_user_signs_in_by_name_or_email_in_any_case() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let me = team.developers[0].get("/auth/me").await?.expect(200);
    for name in ["dev-0", "DEV-0", "dev-0@example.com", "Dev-0@EXAMPLE.com"] {
        let answer = login(&server.client(), name, PASSWORD).await?;
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let session = answer.expect(200);
        for (field, value) in session["user"].as_object().context("a user")? {
            assert_eq!(*value, me[field], "{field}");
        }
        assert_eq!(session["tokenType"], "Bearer");
        let token = session["token"].as_str().context("a token")?;
        let client = server.client().with_token(token);
        assert_eq!(client.get("/auth/me").await?.expect(200), me);
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_get_the_same_answer() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let mut answers = Vec::new();
    for (name, password) in [
        ("dev-0", "a wrong password"),
        ("nobody", PASSWORD),
        ("dev-0@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("dev-0", "A PASSWORD FOR TESTS"),
    ] {
        let answer = login(&server.client(), name, password).await?;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(answer.headers.get("set-cookie").is_none());
        let mut names: Vec<_> = answer
            .headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort_unstable();
        let mut problem = answer.refused(401, "INVALID_CREDENTIALS");
        problem
            .as_object_mut()
            .context("an object")?
            .remove("traceId");
        answers.push((names, problem));
    }
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    Ok(())
}

#[tokio::test]
async fn a_password_is_compared_as_a_whole() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    for near in [
        format!("{PASSWORD} "),
        format!(" {PASSWORD}"),
        format!("{PASSWORD}\0"),
        PASSWORD[..PASSWORD.len() - 1].to_owned(),
        "x".repeat(10_000),
    ] {
        let answer = login(&server.client(), "dev-0", &near).await?;
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    Ok(())
}

#[tokio::test]
async fn sign_in_needs_either_a_name_or_an_email() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    for body in [
        json!({"password": PASSWORD}),
        json!({"username": null, "password": PASSWORD}),
        json!({"username": "dev-0", "email": "dev-0@example.com", "password": PASSWORD}),
        json!({"username": "", "password": PASSWORD}),
        json!({"username": "\u{200b}\u{2028}", "password": PASSWORD}),
        json!({"username": "x".repeat(255), "password": PASSWORD}),
    ] {
        invalid(
            server.client().post("/auth/login", &body).await?,
            "username",
        );
    }
    for body in [
        json!({"email": "", "password": PASSWORD}),
        json!({"email": format!("{}@x.org", "x".repeat(250)), "password": PASSWORD}),
    ] {
        invalid(server.client().post("/auth/login", &body).await?, "email");
    }
    Ok(())
}

#[tokio::test]
async fn an_invalid_name_is_treated_as_unknown() -> anyhow::Result<()> {
    let (server, _team) = start(0).await?;
    for name in ["\0a", "' OR 1=1 --", "\u{1f6a2}", "%", "a b"] {
        let answer = login(&server.client(), name, PASSWORD).await?;
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    Ok(())
}

#[tokio::test]
async fn every_sign_in_gives_a_new_token_and_all_stay_valid() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let first = server.client().login("dev-0", PASSWORD).await?;
    let second = server.client().login("dev-0", PASSWORD).await?;
    assert_ne!(first.token(), second.token());
    for client in [&team.developers[0], &first, &second] {
        let me = client.get("/auth/me").await?.expect(200);
        assert_eq!(me["username"], "dev-0");
    }
    Ok(())
}

#[tokio::test]
async fn a_user_sees_their_own_account() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let admin = team.admin.get("/auth/me").await?.expect(200);
    assert_eq!(
        (&admin["username"], &admin["role"]),
        (&json!("admin"), &json!("ADMIN"))
    );
    let answer = team.developers[0].get("/auth/me").await?;
    assert_eq!(answer.header("cache-control"), "private, no-store");
    let developer = answer.expect(200);
    assert_eq!(developer["email"], "dev-0@example.com");
    assert_eq!(developer["password"], Value::Null);
    Ok(())
}
