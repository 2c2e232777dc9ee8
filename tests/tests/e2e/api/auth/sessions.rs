//! POST /auth/refresh, POST /auth/logout, GET and DELETE /auth/sessions.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_proto::{
    chat::v1::{StreamMessageRequest, chat_service_client::ChatServiceClient},
    identity::v1::{
        GetMeRequest, RefreshSessionRequest, identity_service_client::IdentityServiceClient,
    },
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_tests::{
    Answer, Client, Options, Process, StreamEvent,
    team::{PASSWORD, id},
    until,
};
use tokio::sync::Barrier;
use tonic::transport::{Channel, Endpoint};

use super::refuses;
use crate::api::{call, invalid, items, pluck, start, unauthorized};

async fn login(client: &Client, username: &str) -> anyhow::Result<Value> {
    let body = json!({"username": username, "password": PASSWORD});
    Ok(client.post("/auth/login", &body).await?.expect(200))
}

async fn refresh(client: &Client, token: &Value) -> anyhow::Result<Answer> {
    let body = json!({"refreshToken": token});
    client.post("/auth/refresh", &body).await
}

/// A client with the access token of this session.
fn of(server: &Process, session: &Value) -> anyhow::Result<Client> {
    let token = session["token"].as_str().context("a token")?;
    Ok(server.client().with_token(token))
}

async fn channel(server: &Process) -> anyhow::Result<Channel> {
    Ok(Endpoint::from_shared(server.grpc.clone())?
        .connect()
        .await?)
}

#[tokio::test]
async fn a_refresh_replaces_both_tokens_and_keeps_the_session() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let nobody = server.client();
    let first = login(&nobody, "dev-0").await?;
    let second = refresh(&nobody, &first["refreshToken"]).await?.expect(200);
    for member in ["token", "refreshToken"] {
        assert_ne!(first[member], second[member], "{member}");
    }
    assert_eq!(first["sessionId"], second["sessionId"]);
    assert_eq!(first["user"], second["user"]);
    // An access token lasts until it expires.
    for session in [&first, &second] {
        of(&server, session)?.get("/auth/me").await?.expect(200);
    }
    let third = refresh(&nobody, &second["refreshToken"]).await?.expect(200);
    of(&server, &third)?.get("/auth/me").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn the_token_before_the_last_is_refused_and_an_older_one_ends_the_session()
-> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let nobody = server.client();
    let first = login(&nobody, "dev-0").await?;
    let other = login(&nobody, "dev-0").await?;
    let second = refresh(&nobody, &first["refreshToken"]).await?.expect(200);
    let answer = refresh(&nobody, &first["refreshToken"]).await?;
    answer.refused(409, "REFRESH_SUPERSEDED");
    let third = refresh(&nobody, &second["refreshToken"]).await?.expect(200);
    // It is not the one before the last any more: somebody uses a copy.
    let answer = refresh(&nobody, &first["refreshToken"]).await?;
    unauthorized(answer, "REFRESH_REUSED");
    let token = third["token"].as_str().context("a token")?;
    refuses(&server, token, "SESSION_ENDED").await?;
    let answer = refresh(&nobody, &third["refreshToken"]).await?;
    unauthorized(answer, "SESSION_ENDED");
    of(&server, &other)?.get("/auth/me").await?.expect(200);
    let log = server.log();
    assert!(log.contains("AN OLD REFRESH TOKEN WAS USED"), "{log}");
    Ok(())
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_gets_tokens() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let session = login(&server.client(), "dev-0").await?;
    let barrier = Arc::new(Barrier::new(2));
    let racers = [(), ()].map(|()| {
        let (barrier, client) = (Arc::clone(&barrier), server.client());
        let token = session["refreshToken"].clone();
        tokio::spawn(async move {
            barrier.wait().await;
            refresh(&client, &token).await
        })
    });
    let mut won = Vec::new();
    for racer in racers {
        let answer = racer.await??;
        match answer.status {
            200 => won.push(answer.body),
            _ => drop(answer.refused(409, "REFRESH_SUPERSEDED")),
        }
    }
    assert_eq!(won.len(), 1);
    let next = refresh(&server.client(), &won[0]["refreshToken"]).await?;
    next.expect(200);
    Ok(())
}

#[tokio::test]
async fn an_unknown_session_and_a_wrong_secret_get_the_same_answer() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let nobody = server.client();
    let session = login(&nobody, "dev-0").await?;
    let token = session["refreshToken"].as_str().context("a token")?;
    let (head, secret) = token.rsplit_once('_').context("a secret")?;
    let unknown = format!("slr_{}_{secret}", "0".repeat(32));
    let wrong = format!("{head}_{}", "A".repeat(64));
    let mut answers = Vec::new();
    for token in [
        &*unknown,
        &*wrong,
        "",
        "garbage",
        &token.replace("slr", "slb"),
    ] {
        let answer = refresh(&nobody, &json!(token)).await?;
        let mut problem = answer.refused(401, "INVALID_REFRESH_TOKEN");
        problem
            .as_object_mut()
            .context("an object")?
            .remove("traceId");
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    invalid(
        nobody.post("/auth/refresh", &json!({})).await?,
        "refreshToken",
    );
    // The session is not affected.
    refresh(&nobody, &json!(token)).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let session = login(&server.client(), "dev-0").await?;
    let token = session["refreshToken"].as_str().context("a token")?;
    refuses(&server, token, "INVALID_TOKEN").await
}

#[tokio::test]
async fn a_logout_is_refused_on_every_way_in() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let session = login(&server.client(), "dev-0").await?;
    let client = of(&server, &session)?;
    let mut stream = client.stream("", None).await?;
    let chat = client.post("/chat/session", &json!({})).await?.expect(201);
    call(&client, Method::POST, "/auth/logout")
        .await?
        .expect(204);

    refuses(&server, client.token(), "SESSION_ENDED").await?;
    let goodbye = StreamEvent::Goodbye(json!({"reason": "session_ended"}));
    assert_eq!(stream.next().await?, goodbye);
    stream.ended().await?;
    let outbound = Outbound::with_token(client.token().to_owned());
    let mut identity = IdentityServiceClient::new(channel(&server).await?);
    let refused = identity.get_me(outbound.request(GetMeRequest {})).await;
    assert_eq!(Fault::from(refused.unwrap_err()).code, "SESSION_ENDED");
    let mut chats = ChatServiceClient::new(channel(&server).await?);
    let message = StreamMessageRequest {
        session_id: id(&chat).to_owned(),
        content: "What next?".into(),
    };
    let refused = chats.stream_message(outbound.request(message)).await;
    assert_eq!(Fault::from(refused.unwrap_err()).code, "SESSION_ENDED");
    let refresh_token = session["refreshToken"].as_str().context("a token")?;
    let refresh_token = refresh_token.to_owned();
    let refused = identity
        .refresh_session(RefreshSessionRequest { refresh_token })
        .await;
    assert_eq!(Fault::from(refused.unwrap_err()).code, "SESSION_ENDED");
    // The user has other sessions.
    login(&server.client(), "dev-0").await?;
    Ok(())
}

#[tokio::test]
async fn a_logout_lasts_across_a_power_failure() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let session = login(&server.client(), "dev-0").await?;
    let client = of(&server, &session)?;
    call(&client, Method::POST, "/auth/logout")
        .await?
        .expect(204);
    let server = Process::start_on(server.kill().await?, &Options::default()).await?;
    refuses(&server, client.token(), "SESSION_ENDED").await
}

#[tokio::test]
async fn sessions_are_listed_with_where_and_since_when() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let developer = &team.developers[0];
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let nobody = server.client();
    let request = nobody.request(Method::POST, "/auth/session");
    let request = request
        .header("user-agent", "Firefox\u{9}on Linux")
        .json(&body);
    nobody.send(request).await?.expect(200);

    let page = developer.get("/auth/sessions").await?.expect(200);
    let sessions = items(&page)?;
    assert_eq!(pluck(sessions, "kind"), ["BROWSER", "API"]);
    assert_eq!(pluck(sessions, "current"), [false, true]);
    assert_eq!(pluck(sessions, "address"), ["127.0.0.1", "127.0.0.1"]);
    assert_eq!(
        pluck(sessions, "userAgent"),
        [&json!("Firefox on Linux"), &Value::Null]
    );
    let first = developer.get("/auth/sessions?limit=1").await?.expect(200);
    let cursor = first["nextCursor"].as_str().context("a cursor")?;
    let path = format!("/auth/sessions?limit=1&cursor={cursor}");
    let second = developer.get(&path).await?.expect(200);
    assert_eq!(items(&second)?, &sessions[1..]);
    assert_eq!(second["nextCursor"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_only() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let session = login(&server.client(), "dev-0").await?;
    let path = format!(
        "/auth/sessions/{}",
        session["sessionId"].as_str().context("an id")?
    );
    for stranger in [&team.developers[1], &team.admin] {
        let answer = call(stranger, Method::DELETE, &path).await?;
        answer.refused(404, "SESSION_NOT_FOUND");
    }
    let client = of(&server, &session)?;
    client.get("/auth/me").await?.expect(200);
    call(&team.developers[0], Method::DELETE, &path)
        .await?
        .expect(204);
    unauthorized(client.get("/auth/me").await?, "SESSION_ENDED");
    let answer = call(&team.developers[0], Method::DELETE, &path).await?;
    answer.refused(404, "SESSION_NOT_FOUND");
    let listed = team.developers[0].get("/auth/sessions").await?.expect(200);
    assert_eq!(items(&listed)?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn all_sessions_of_a_user_are_ended_together() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let session = login(&server.client(), "dev-0").await?;
    call(&team.developers[0], Method::DELETE, "/auth/sessions")
        .await?
        .expect(204);
    for client in [&of(&server, &session)?, &team.developers[0]] {
        unauthorized(client.get("/auth/me").await?, "SESSION_ENDED");
    }
    team.developers[1].get("/auth/me").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn of_more_than_a_hundred_sessions_the_one_unused_for_longest_ends() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let nobody = server.client();
    let used = login(&nobody, "dev-0").await?;
    let mut sessions = Vec::new();
    for _ in 0..98 {
        sessions.push(login(&nobody, "dev-0").await?);
    }
    let used = refresh(&nobody, &used["refreshToken"]).await?.expect(200);
    team.developers[0].get("/auth/me").await?.expect(200);
    let last = login(&nobody, "dev-0").await?;
    // The oldest is the one of the registration.
    unauthorized(team.developers[0].get("/auth/me").await?, "SESSION_ENDED");
    for session in [&used, &sessions[0], &last] {
        of(&server, session)?.get("/auth/me").await?.expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn an_access_token_does_not_outlive_its_session() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_SESSION_TTL", "1m");
    let server = Process::start_with(&options).await?;
    let body = json!({"username": "admin", "password": slipway_tests::ADMIN_PASSWORD});
    let session = server
        .client()
        .post("/auth/login", &body)
        .await?
        .expect(200);
    let time = |member: &str| session[member].as_str()?.parse::<jiff::Timestamp>().ok();
    let token = time("expiresAt").context("a time")?;
    let refresh = time("refreshExpiresAt").context("a time")?;
    assert!(token <= refresh, "{token} {refresh}");
    Ok(())
}

#[tokio::test]
async fn ends_of_sessions_are_in_the_audit_trail_and_not_in_the_activity_feed() -> anyhow::Result<()>
{
    let (server, team) = start(1).await?;
    let nobody = server.client();
    let session = login(&nobody, "dev-0").await?;
    call(&of(&server, &session)?, Method::POST, "/auth/logout")
        .await?
        .expect(204);
    let stolen = login(&nobody, "dev-0").await?;
    let next = refresh(&nobody, &stolen["refreshToken"]).await?.expect(200);
    refresh(&nobody, &next["refreshToken"]).await?.expect(200);
    unauthorized(
        refresh(&nobody, &stolen["refreshToken"]).await?,
        "REFRESH_REUSED",
    );

    let entries = until(async || {
        let page = team.admin.get("/admin/audit?type=session.ended").await?;
        let entries = items(&page.expect(200))?.to_vec();
        ensure!(entries.len() == 2, "{entries:?}");
        Ok(entries)
    });
    let entries = entries.await?;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let actor = &entry["actor"]["username"];
            (&entry["subject"], &entry["data"]["reason"], actor.as_str())
        })
        .collect();
    let expected = [
        (&stolen["sessionId"], &json!("REFRESH_REUSED"), None),
        (&session["sessionId"], &json!("LOGOUT"), Some("dev-0")),
    ];
    assert_eq!(told, expected);
    let feed = team.admin.feed().await?;
    assert!(feed.iter().all(|entry| entry["type"] != "session.ended"));
    Ok(())
}

#[tokio::test]
async fn guesses_from_an_address_stop_neither_right_tokens_nor_sign_ins() -> anyhow::Result<()> {
    let (server, _team) = start(1).await?;
    let nobody = server.client();
    let session = login(&nobody, "dev-0").await?;
    for _ in 0..100 {
        let answer = refresh(&nobody, &json!("slr_guess")).await?;
        unauthorized(answer, "INVALID_REFRESH_TOKEN");
    }
    let answer = refresh(&nobody, &json!("slr_guess")).await?;
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    refresh(&nobody, &session["refreshToken"])
        .await?
        .expect(200);
    login(&nobody, "dev-0").await?;
    Ok(())
}
