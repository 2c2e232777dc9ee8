//! `/auth/tokens`, and what a token for programs may do on every route.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Map, Value, json};
use slipway_proto::{
    identity::v1::{GetMeRequest, LogoutRequest, identity_service_client::IdentityServiceClient},
    notify::v1::{ActivityServiceWatchRequest, activity_service_client::ActivityServiceClient},
    release::v1::{
        CreateReleaseRequest, ListReleasesRequest, release_service_client::ReleaseServiceClient,
    },
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_tests::{
    Answer, Client, Options, Process, StreamEvent, Team,
    team::{PASSWORD, id, task_ids},
    until,
};
use tonic::transport::{Channel, Endpoint};

use super::refuses;
use crate::api::{
    begin, call, invalid, items, pluck,
    routes::{Path, document, fill, operations},
    start, unauthorized,
};

/// What no token may do, whatever its scope.
const SIGN_IN_ONLY: [(&str, &str); 7] = [
    ("DELETE", "/auth/sessions"),
    ("DELETE", "/auth/sessions/{id}"),
    ("DELETE", "/auth/tokens/{id}"),
    ("PATCH", "/auth/me"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("POST", "/auth/tokens"),
];

/// An answer that does not end.
const STREAM: &str = "/activity/stream";

async fn create(owner: &Client, name: &str, scope: &str) -> anyhow::Result<Value> {
    let body = json!({"name": name, "scope": scope});
    Ok(owner.post("/auth/tokens", &body).await?.expect(201))
}

/// A client with a new token of this scope.
async fn program(server: &Process, owner: &Client, scope: &str) -> anyhow::Result<Client> {
    let token = create(owner, &format!("a token to {scope}"), scope).await?;
    Ok(server.client().with_token(text(&token)?))
}

fn text(token: &Value) -> anyhow::Result<&str> {
    token["token"].as_str().context("a token")
}

async fn revoke(owner: &Client, token: &Value) -> anyhow::Result<Answer> {
    let path = format!("/auth/tokens/{}", id(token));
    call(owner, Method::DELETE, &path).await
}

async fn channel(server: &Process) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(server.grpc.clone())?;
    Ok(endpoint.connect().await?)
}

/// An operation that is neither public nor of webhooks, with the example of its body.
struct Operation {
    method: Method,
    template: String,
    example: Value,
}

impl Operation {
    async fn call(&self, client: &Client) -> anyhow::Result<Answer> {
        let path = fill(&self.template, &Map::new()).replace("{type}", "a-type");
        let request = client.request(self.method.clone(), &path);
        let request = match &self.example {
            Value::Null => request,
            body => request.json(body),
        };
        client.send(request).await
    }

    fn name(&self) -> (&str, &str) {
        (self.method.as_str(), &self.template)
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET
    }
}

async fn all_operations(client: &Client) -> anyhow::Result<Vec<Operation>> {
    let mut found = Vec::new();
    let paths: Vec<Path> = operations(&document(client).await?)?;
    for (template, operations) in paths {
        for (method, operation) in operations {
            let security = operation["security"].as_array().context("security")?;
            let is_public = security.iter().any(|way| *way == json!({}));
            if is_public || template.starts_with("/hooks/") || template == STREAM {
                continue;
            }
            let body = &operation["requestBody"]["content"]["application/json"];
            found.push(Operation {
                example: body["example"].clone(),
                method,
                template: template.clone(),
            });
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    Ok(found)
}

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or_default()
}

fn is_of_scope(answer: &Answer) -> bool {
    ["SCOPE_REQUIRED", "SIGN_IN_REQUIRED"].contains(&code(answer))
}

#[tokio::test]
async fn a_token_to_read_has_no_effect_on_any_route() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    for owner in [&team.admin, &team.developers[0]] {
        let program = program(&server, owner, "READ").await?;
        for operation in all_operations(&program).await? {
            let answer = operation.call(&program).await?;
            let name = operation.name();
            if operation.is_read() {
                assert!(!is_of_scope(&answer), "{name:?} {}", answer.body);
                let signed_in = operation.call(owner).await?;
                assert_eq!(answer.status, signed_in.status, "{name:?}");
            } else {
                assert_eq!(answer.status, 403, "{name:?} {}", answer.body);
                let is_admins = code(&answer) == "ADMIN_REQUIRED";
                assert!(
                    is_of_scope(&answer) || is_admins,
                    "{name:?} {}",
                    answer.body
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_token_to_work_does_what_a_developer_does_even_for_an_admin() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let admin = program(&server, &team.admin, "WORK").await?;
    let developer = program(&server, &team.developers[0], "WORK").await?;
    for operation in all_operations(&admin).await? {
        let name = operation.name();
        if operation.is_read() {
            for (program, owner) in [(&admin, &team.admin), (&developer, &team.developers[0])] {
                let answer = operation.call(program).await?;
                assert_eq!(
                    answer.status,
                    operation.call(owner).await?.status,
                    "{name:?}"
                );
            }
            continue;
        }
        let answer = operation.call(&developer).await?;
        let of_admin = operation.call(&admin).await?;
        match code(&answer) {
            // What only admins may do needs the scope of one.
            "ADMIN_REQUIRED" | "FORBIDDEN" => {
                assert_eq!(code(&of_admin), "SCOPE_REQUIRED", "{name:?}");
            }
            "SIGN_IN_REQUIRED" => assert_eq!(code(&of_admin), "SIGN_IN_REQUIRED", "{name:?}"),
            other => {
                assert_eq!(
                    (code(&of_admin), of_admin.status),
                    (other, answer.status),
                    "{name:?}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_token_of_an_admin_does_everything_but_what_needs_a_sign_in() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let admin = program(&server, &team.admin, "ADMIN").await?;
    let mut refused = BTreeSet::new();
    let operations = all_operations(&admin).await?;
    for operation in &operations {
        let answer = operation.call(&admin).await?;
        match code(&answer) {
            "SIGN_IN_REQUIRED" => {
                refused.insert(operation.name());
            }
            code => {
                let of_role = ["SCOPE_REQUIRED", "ADMIN_REQUIRED", "FORBIDDEN"];
                assert!(!of_role.contains(&code), "{:?} {code}", operation.name());
            }
        }
    }
    assert_eq!(refused, BTreeSet::from(SIGN_IN_ONLY));
    // The scope does not exceed the role.
    let developer = program(&server, &team.developers[0], "ADMIN").await?;
    let answer = developer.post("/releases", &json!({"name": "a"})).await?;
    answer.refused(403, "ADMIN_REQUIRED");
    Ok(())
}

#[tokio::test]
async fn no_token_of_lesser_scope_registers_an_admin() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    // A program without the scope to register anybody is an anonymous caller.
    for (scope, code) in [("READ", "ADMIN_REQUIRED"), ("WORK", "SCOPE_REQUIRED")] {
        let program = program(&server, &team.admin, scope).await?;
        let body = json!({
            "username": format!("eve-{scope}"),
            "email": format!("eve-{scope}@example.com"),
            "password": PASSWORD,
            "role": "ADMIN",
        });
        let answer = program.post("/auth/register", &body).await?;
        answer.refused(403, code);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_rule_keeps_for_admins_needs_the_scope_of_one() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let release = team.release("a", &[0]).await?;
    let path = format!("/tasks/{}", task_ids(&release)[0]);
    let change = json!({"title": "another"});
    for (owner, scope, code) in [
        (&team.admin, "WORK", "SCOPE_REQUIRED"),
        // Another scope would not help the token of a developer.
        (&team.developers[0], "WORK", "ADMIN_REQUIRED"),
        (&team.developers[0], "ADMIN", "ADMIN_REQUIRED"),
    ] {
        let program = program(&server, owner, scope).await?;
        let request = program.request(Method::PATCH, &path).json(&change);
        program.send(request).await?.refused(403, code);
    }
    let program = program(&server, &team.admin, "ADMIN").await?;
    let request = program.request(Method::PATCH, &path).json(&change);
    program.send(request).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_token_works_for_months_and_is_shown_once() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let developer = &team.developers[0];
    let release = team.release("a", &[0]).await?;
    let begun = Timestamp::now();
    let token = create(developer, "nightly build", "WORK").await?;
    let expires_at: Timestamp = token["expiresAt"].as_str().context("a time")?.parse()?;
    assert!(expires_at >= begun + SignedDuration::from_hours(90 * 24));
    let prefix = token["prefix"].as_str().context("a prefix")?;
    assert!(text(&token)?.starts_with(&format!("{prefix}_")) && prefix.starts_with("slp_"));

    let program = server.client().with_token(text(&token)?);
    begin(&program, &task_ids(&release)[0]).await?.expect(200);
    let me = program.get("/auth/me").await?.expect(200);
    assert_eq!(me["username"], "dev-0");

    let listed = developer.get("/auth/tokens").await?;
    let [secret, shown] = [text(&token)?, &listed.text];
    assert!(!shown.contains(secret), "{shown}");
    let [listed] = items(&listed.body)? else {
        panic!("one: {}", listed.body)
    };
    assert_eq!(listed["name"], "nightly build");
    assert!(listed["lastUsedAt"].is_string(), "{listed}");
    // It is no session.
    let sessions = developer.get("/auth/sessions").await?.expect(200);
    assert_eq!(pluck(items(&sessions)?, "kind"), ["API"]);
    let path = format!("/auth/sessions/{}", id(&token));
    let answer = call(developer, Method::DELETE, &path).await?;
    answer.refused(404, "SESSION_NOT_FOUND");
    Ok(())
}

#[tokio::test]
async fn what_a_token_must_be_is_checked() -> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let developer = &team.developers[0];
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let far = Timestamp::now() + SignedDuration::from_hours(367 * 24);
    for (body, field) in [
        (json!({"name": " ", "scope": "READ"}), "name"),
        (json!({"name": "a".repeat(81), "scope": "READ"}), "name"),
        (json!({"name": "a", "scope": "ROOT"}), "scope"),
        (json!({"name": "a"}), "scope"),
        (
            json!({"name": "a", "scope": "READ", "expiresAt": past}),
            "expiresAt",
        ),
        (
            json!({"name": "a", "scope": "READ", "expiresAt": far}),
            "expiresAt",
        ),
    ] {
        invalid(developer.post("/auth/tokens", &body).await?, field);
    }
    create(developer, "Nightly build", "READ").await?;
    let body = json!({"name": "nightly BUILD", "scope": "READ"});
    let answer = developer.post("/auth/tokens", &body).await?;
    answer.refused(409, "TOKEN_NAME_TAKEN");
    for n in 1..50 {
        create(developer, &format!("t-{n}"), "READ").await?;
    }
    let body = json!({"name": "one more", "scope": "READ"});
    let answer = developer.post("/auth/tokens", &body).await?;
    assert_eq!(answer.refused(409, "TOO_MANY_TOKENS")["limit"], 50);
    // Another user has tokens of their own.
    create(&team.admin, "Nightly build", "READ").await?;
    Ok(())
}

#[tokio::test]
async fn malformed_and_unknown_tokens_get_the_same_answer() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let token = create(&team.developers[0], "a", "READ").await?;
    let token = text(&token)?;
    let (head, secret) = token.split_at(4 + 32 + 1);
    for wrong in [
        "slp_",
        "slp__",
        "slp_a_b",
        &format!("slp_{}_{secret}", "0".repeat(32)),
        &format!("{head}{}", "A".repeat(secret.len())),
        &token[..token.len() - 1],
        &format!("{token}A"),
        &format!("{token}{}", "A".repeat(5000)),
        &token.replacen("slp_", "slp_-", 1),
    ] {
        refuses(&server, wrong, "INVALID_TOKEN").await?;
    }
    // Another kind of secret.
    let body = json!({"refreshToken": token});
    let answer = server.client().post("/auth/refresh", &body).await?;
    unauthorized(answer, "INVALID_REFRESH_TOKEN");
    let request = server.client().request(Method::GET, "/auth/me");
    let request = request.header("cookie", format!("slipway_session={token}"));
    let answer = server.client().send(request).await?;
    unauthorized(answer, "INVALID_SESSION");
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_is_refused_on_every_way_in() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let developer = &team.developers[0];
    let token = create(developer, "a", "WORK").await?;
    let program = server.client().with_token(text(&token)?);
    let mut stream = program.stream("", None).await?;
    let outbound = Outbound::with_token(text(&token)?.to_owned());
    let mut identity = IdentityServiceClient::new(channel(&server).await?);
    let mut activity = ActivityServiceClient::new(channel(&server).await?);
    identity.get_me(outbound.request(GetMeRequest {})).await?;
    let mut watch = activity
        .watch(outbound.request(ActivityServiceWatchRequest::default()))
        .await?
        .into_inner();

    let answer = revoke(&team.developers[1], &token).await?;
    answer.refused(404, "TOKEN_NOT_FOUND");
    identity.get_me(outbound.request(GetMeRequest {})).await?;
    revoke(developer, &token).await?.expect(204);
    refuses(&server, text(&token)?, "TOKEN_REVOKED").await?;
    let goodbye = StreamEvent::Goodbye(json!({"reason": "session_ended"}));
    tokio::time::timeout(Duration::from_secs(2), async {
        while stream.next().await? != goodbye {}
        while watch.message().await.is_ok_and(|entry| entry.is_some()) {}
        anyhow::Ok(())
    })
    .await??;
    let refused = identity.get_me(outbound.request(GetMeRequest {})).await;
    assert_eq!(Fault::from(refused.unwrap_err()).code, "TOKEN_REVOKED");
    let answer = revoke(developer, &token).await?;
    answer.refused(404, "TOKEN_NOT_FOUND");
    // The name is free again, and the owner is signed in.
    create(developer, "a", "READ").await?;
    let server = Process::start_on(server.kill().await?, &Options::default()).await?;
    refuses(&server, text(&token)?, "TOKEN_REVOKED").await
}

#[tokio::test]
async fn over_grpc_a_token_has_its_scope_too() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let channel = channel(&server).await?;
    let mut releases = ReleaseServiceClient::new(channel.clone());
    let mut identity = IdentityServiceClient::new(channel);
    let release = || CreateReleaseRequest {
        name: "a".into(),
        ..CreateReleaseRequest::default()
    };
    for (scope, refusal) in [
        ("READ", Some("SCOPE_REQUIRED")),
        ("WORK", Some("SCOPE_REQUIRED")),
        ("ADMIN", None),
    ] {
        let token = create(&team.admin, scope, scope).await?;
        let outbound = Outbound::with_token(text(&token)?.to_owned());
        let list = outbound.request(ListReleasesRequest::default());
        releases.list_releases(list).await?;
        let created = releases.create_release(outbound.request(release())).await;
        let refused = created.err().map(|status| Fault::from(status).code);
        assert_eq!(refused.as_deref(), refusal, "{scope}");
        let refused = identity.logout(outbound.request(LogoutRequest {})).await;
        assert_eq!(Fault::from(refused.unwrap_err()).code, "SIGN_IN_REQUIRED");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_is_refused_when_it_has_expired() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let expires_at = Timestamp::now() + SignedDuration::from_secs(2);
    let body = json!({"name": "short", "scope": "READ", "expiresAt": expires_at});
    let token = team.developers[0].post("/auth/tokens", &body).await?;
    let token = token.expect(201);
    let program = server.client().with_token(text(&token)?);
    until(async || {
        let answer = program.get("/auth/me").await?;
        ensure!(answer.status == 401, "{}", answer.body);
        unauthorized(answer, "TOKEN_EXPIRED");
        Ok(())
    })
    .await?;
    // Access tokens end with a whole second.
    assert!(Timestamp::now() > expires_at - SignedDuration::from_secs(1));
    // It is listed for a while, so that its owner sees why the program stopped.
    let listed = team.developers[0].get("/auth/tokens").await?.expect(200);
    assert_eq!(pluck(items(&listed)?, "name"), ["short"]);
    Ok(())
}

#[tokio::test]
async fn a_change_of_the_password_revokes_tokens_and_a_sign_out_does_not() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let developer = &team.developers[0];
    let token = create(developer, "a", "READ").await?;
    let program = server.client().with_token(text(&token)?);
    call(developer, Method::DELETE, "/auth/sessions")
        .await?
        .expect(204);
    program.get("/auth/me").await?.expect(200);
    let developer = server.client().login("dev-0", PASSWORD).await?;
    let change = json!({"currentPassword": PASSWORD, "newPassword": "an entirely other one"});
    developer.post("/auth/password", &change).await?.expect(204);
    refuses(&server, text(&token)?, "TOKEN_REVOKED").await
}

#[tokio::test]
async fn tokens_are_in_the_audit_trail_and_their_secrets_nowhere() -> anyhow::Result<()> {
    let options = Options::default()
        .env("SLIPWAY_ACCESS_LOG", "true")
        .env("SLIPWAY_LOG", "debug");
    let server = Process::start_with(&options).await?;
    let team = Team::new(&server, 1).await?;
    let developer = &team.developers[0];
    let token = create(developer, "nightly build", "WORK").await?;
    let program = server.client().with_token(text(&token)?);
    program.get("/auth/me").await?.expect(200);
    let outbound = Outbound::with_token(text(&token)?.to_owned());
    let mut identity = IdentityServiceClient::new(channel(&server).await?);
    identity.get_me(outbound.request(GetMeRequest {})).await?;
    revoke(developer, &token).await?.expect(204);
    unauthorized(program.get("/auth/me").await?, "TOKEN_REVOKED");

    let entries = until(async || {
        let page = team.admin.get("/admin/audit?type=token.*").await?;
        let entries = items(&page.expect(200))?.to_vec();
        ensure!(entries.len() == 2, "{entries:?}");
        Ok(entries)
    })
    .await?;
    assert_eq!(pluck(&entries, "type"), ["token.revoked", "token.created"]);
    for entry in &entries {
        assert_eq!(entry["subject"], token["id"]);
        assert_eq!(entry["actor"]["username"], "dev-0");
        assert_eq!(entry["data"]["name"], "nightly build");
    }
    let (_, secret) = text(&token)?.split_at(4 + 32 + 1);
    let everything = format!("{entries:?}{}{}", server.log(), server.output());
    assert!(!everything.contains(secret));
    let feed = team.admin.feed().await?;
    assert!(feed.iter().all(|entry| entry["type"] != "token.created"));
    Ok(())
}

#[tokio::test]
async fn guesses_from_an_address_do_not_stop_a_right_token() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let token = create(&team.developers[0], "a", "READ").await?;
    let guess = server.client().with_token("slp_guess");
    for _ in 0..100 {
        unauthorized(guess.get("/auth/me").await?, "INVALID_TOKEN");
    }
    let answer = guess.get("/auth/me").await?;
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    let program = server.client().with_token(text(&token)?);
    program.get("/auth/me").await?.expect(200);
    Ok(())
}
