//! `/admin/users`: the accounts of others, for admins.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_proto::identity::v1::{
    GetMeRequest, UpdateAccountRequest, identity_service_client::IdentityServiceClient,
};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_tests::{
    Answer, Client, Options, Process, Stream, StreamEvent, Team,
    process::SECRET,
    team::{PASSWORD, id},
    until,
};
use tonic::transport::Endpoint;

use super::{
    UNKNOWN, begin, call, invalid, items, members, pluck, post_with_key, start, unauthorized,
};

async fn change(client: &Client, user: &str, body: &Value) -> anyhow::Result<Answer> {
    let request = client.request(Method::PATCH, &format!("/admin/users/{user}"));
    client.send(request.json(body)).await
}

/// The account of a client.
async fn own_id(client: &Client) -> anyhow::Result<String> {
    Ok(id(&client.get("/auth/me").await?.expect(200)).to_owned())
}

async fn login(client: &Client, name: &str, password: &str) -> anyhow::Result<Answer> {
    let body = json!({"username": name, "password": password});
    client.post("/auth/login", &body).await
}

async fn names(admin: &Client, query: &str) -> anyhow::Result<Value> {
    let all = admin.all(&format!("/admin/users?{query}")).await?;
    Ok(json!(pluck(&all, "username")))
}

#[tokio::test]
async fn accounts_are_listed_and_found_by_name_address_role_and_state() -> anyhow::Result<()> {
    let (_server, team) = start(3).await?;
    let disabled = own_id(&team.developers[1]).await?;
    let body = json!({"disabled": true});
    change(&team.admin, &disabled, &body).await?.expect(200);
    let page = team.admin.get("/admin/users").await?.expect(200);
    let all = items(&page)?;
    assert_eq!(pluck(all, "username"), ["admin", "dev-0", "dev-1", "dev-2"]);
    let states = ["ACTIVE", "ACTIVE", "DISABLED", "ACTIVE"];
    assert_eq!(pluck(all, "state"), states);
    assert_eq!(all[2]["email"], "dev-1@example.com");
    let known = [
        "createdAt",
        "displayName",
        "email",
        "id",
        "openTasks",
        "role",
        "state",
        "username",
    ];
    assert_eq!(members(&all[0])?, known);
    for (query, found) in [
        ("q=DEV", json!(["dev-0", "dev-1", "dev-2"])),
        ("q=dev-1%40ex", json!(["dev-1"])),
        ("q=ev-1", json!([])),
        ("role=ADMIN", json!(["admin"])),
        ("state=DISABLED", json!(["dev-1"])),
        (
            "state=ACTIVE&role=DEVELOPER&limit=1",
            json!(["dev-0", "dev-2"]),
        ),
        ("state=DISABLED&role=ADMIN", json!([])),
    ] {
        assert_eq!(names(&team.admin, query).await?, found, "{query}");
    }
    for (query, field) in [("role=SERVICE", "role"), ("state=GONE", "state")] {
        let answer = team.admin.get(&format!("/admin/users?{query}")).await?;
        invalid(answer, field);
    }
    // To pick an assignee, and to assign.
    let page = team.admin.get("/users?q=dev").await?.expect(200);
    assert_eq!(pluck(items(&page)?, "username"), ["dev-0", "dev-2"]);
    let task = json!({"title": "t", "assignee": "dev-1"});
    let body = json!({"name": "a", "tasks": [task]});
    let answer = team.admin.post("/releases", &body).await?;
    assert!(invalid(answer, "tasks[0].assignee").contains("disabled"));
    Ok(())
}

#[tokio::test]
async fn only_admins_see_and_change_accounts() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let own = own_id(&team.developers[0]).await?;
    let new = json!({"username": "carol", "email": "carol@example.com", "password": PASSWORD});
    for (client, status, code) in [
        (&team.developers[0], 403, "ADMIN_REQUIRED"),
        (&server.client(), 401, "UNAUTHENTICATED"),
    ] {
        let body = json!({"role": "ADMIN"});
        for answer in [
            client.get("/admin/users").await?,
            client.get(&format!("/admin/users/{own}")).await?,
            client.post("/admin/users", &new).await?,
            change(client, &own, &body).await?,
        ] {
            answer.refused(status, code);
        }
    }
    for answer in [
        team.admin.get(&format!("/admin/users/{UNKNOWN}")).await?,
        change(&team.admin, UNKNOWN, &json!({"disabled": true})).await?,
    ] {
        answer.refused(404, "USER_NOT_FOUND");
    }
    let me = team.developers[0].get("/auth/me").await?.expect(200);
    assert_eq!(me["role"], "DEVELOPER");
    Ok(())
}

#[tokio::test]
async fn an_admin_creates_accounts_while_registration_is_closed() -> anyhow::Result<()> {
    let options = Options::default().env("SLIPWAY_REGISTRATION", "closed");
    let server = Process::start_with(&options).await?;
    let admin = server.admin().await?;
    let body = json!({
        "username": "Grace", "email": "grace@example.com", "password": PASSWORD, "role": "ADMIN",
    });
    let created = post_with_key(&admin, "/admin/users", &body, "one").await?;
    let location = created.header("location").to_owned();
    let created = created.expect(201);
    assert_eq!(location, format!("/admin/users/{}", id(&created)));
    assert_eq!(
        (&created["role"], &created["state"]),
        (&json!("ADMIN"), &json!("ACTIVE"))
    );
    assert_eq!(created["openTasks"], 0);
    let again = post_with_key(&admin, "/admin/users", &body, "one").await?;
    assert_eq!(again.expect(201), created);
    assert_eq!(admin.get(&location).await?.expect(200), created);
    let other = json!({"username": "x-2", "email": "grace@example.com", "password": PASSWORD});
    post_with_key(&admin, "/admin/users", &other, "one")
        .await?
        .refused(409, "IDEMPOTENCY_KEY_REUSED");
    let taken = admin.post("/admin/users", &other).await?;
    taken.refused(409, "EMAIL_TAKEN");
    let weak = json!({"username": "x-2", "email": "x@example.com", "password": "password1"});
    invalid(admin.post("/admin/users", &weak).await?, "password");
    let grace = server.client().login("grace", PASSWORD).await?;
    grace.get("/admin/users").await?.expect(200);
    assert!(!server.log().contains(PASSWORD));
    Ok(())
}

/// Why the stream ends, after the entries that were on their way.
async fn goodbye(stream: &mut Stream) -> anyhow::Result<Value> {
    loop {
        if let StreamEvent::Goodbye(said) = stream.next().await? {
            return Ok(said["reason"].clone());
        }
    }
}

/// Waits until the caller's token is refused.
async fn refused(client: &Client) -> anyhow::Result<String> {
    let refused = until(async || {
        let answer = client.get("/auth/me").await?;
        ensure!(answer.status == 401, "it is still accepted");
        Ok(answer)
    });
    let code = refused.await?.body["code"].as_str().map(str::to_owned);
    code.context("a code")
}

#[tokio::test]
async fn nothing_of_a_disabled_account_is_accepted_anywhere() -> anyhow::Result<()> {
    let (server, team) = start(2).await?;
    let release = team.release("Spring", &[0, 0, 1]).await?;
    let task = release["tasks"][0]["id"].as_str().context("an id")?;
    let (client, nobody) = (&team.developers[0], server.client());
    begin(client, task).await?.expect(200);
    let user = own_id(client).await?;
    let session = login(&nobody, "dev-0", PASSWORD).await?.expect(200);
    let body = json!({"username": "dev-0", "password": PASSWORD});
    let browser = nobody.post("/auth/session", &body).await?;
    let cookie = browser.header("set-cookie").to_owned();
    let (cookie, _) = cookie.split_once(';').context("a cookie")?;
    let mut stream = client.stream("", None).await?;
    client.get("/tasks/my").await?.expect(200);

    let changed = change(&team.admin, &user, &json!({"disabled": true})).await?;
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["state"], &changed["openTasks"]),
        (&json!("DISABLED"), &json!(2))
    );
    unauthorized(client.get("/auth/me").await?, "SESSION_ENDED");
    unauthorized(client.get("/tasks/my").await?, "SESSION_ENDED");
    unauthorized(client.get("/activity/stream").await?, "SESSION_ENDED");
    assert_eq!(goodbye(&mut stream).await?, "session_ended");
    stream.ended().await?;
    let channel = Endpoint::from_shared(server.grpc.clone())?
        .connect()
        .await?;
    let mut identity = IdentityServiceClient::new(channel);
    let outbound = Outbound::with_token(client.token().to_owned());
    let answer = identity.get_me(outbound.request(GetMeRequest {})).await;
    assert_eq!(Fault::from(answer.unwrap_err()).code, "SESSION_ENDED");
    let enable = UpdateAccountRequest {
        id: user.clone(),
        disabled: Some(false),
        ..UpdateAccountRequest::default()
    };
    let answer = identity.update_account(outbound.request(enable)).await;
    assert_eq!(Fault::from(answer.unwrap_err()).code, "SESSION_ENDED");
    let body = json!({"refreshToken": session["refreshToken"]});
    let answer = nobody.post("/auth/refresh", &body).await?;
    unauthorized(answer, "SESSION_ENDED");
    let request = nobody
        .request(Method::GET, "/auth/me")
        .header("cookie", cookie);
    unauthorized(nobody.send(request).await?, "SESSION_ENDED");

    // Only who knows the password learns why.
    let answer = login(&nobody, "dev-0", PASSWORD).await?;
    answer.refused(403, "ACCOUNT_DISABLED");
    let body = json!({"email": "dev-0@example.com", "password": PASSWORD});
    let answer = nobody.post("/auth/session", &body).await?;
    answer.refused(403, "ACCOUNT_DISABLED");
    let answer = login(&nobody, "dev-0", "a wrong password").await?;
    unauthorized(answer, "INVALID_CREDENTIALS");
    // Its tasks are at hand, and nobody else is affected.
    let tasks = team.admin.get("/tasks?assignee=dev-0").await?.expect(200);
    assert_eq!(items(&tasks)?.len(), 2);
    team.developers[1].get("/auth/me").await?.expect(200);

    let enabled = change(&team.admin, &user, &json!({"disabled": false})).await?;
    assert_eq!(enabled.expect(200)["state"], "ACTIVE");
    unauthorized(client.get("/auth/me").await?, "SESSION_ENDED");
    let body = json!({"refreshToken": session["refreshToken"]});
    let answer = nobody.post("/auth/refresh", &body).await?;
    unauthorized(answer, "SESSION_ENDED");
    let back = server.client().login("dev-0", PASSWORD).await?;
    let path = format!("/tasks/{task}/complete");
    back.patch(&path).await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn another_role_needs_another_sign_in() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let client = &team.developers[0];
    let user = own_id(client).await?;
    for (role, before, after) in [("ADMIN", 403, 200), ("DEVELOPER", 200, 403)] {
        let old = server.client().login("dev-0", PASSWORD).await?;
        assert_eq!(old.get("/admin/users").await?.status, before);
        let changed = change(&team.admin, &user, &json!({"role": role})).await?;
        assert_eq!(changed.expect(200)["role"], role);
        for path in ["/admin/users", "/auth/me"] {
            unauthorized(old.get(path).await?, "SESSION_ENDED");
        }
        let new = server.client().login("dev-0", PASSWORD).await?;
        assert_eq!(new.get("/admin/users").await?.status, after);
        // Nothing changes: nothing ends.
        let changed = change(&team.admin, &user, &json!({"role": role})).await?;
        changed.expect(200);
        change(&team.admin, &user, &json!({})).await?.expect(200);
        new.get("/auth/me").await?.expect(200);
    }
    Ok(())
}

#[tokio::test]
async fn the_last_admin_can_neither_go_nor_be_demoted() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let own = own_id(&team.admin).await?;
    let taken = [json!({"disabled": true}), json!({"role": "DEVELOPER"})];
    for body in &taken {
        change(&team.admin, &own, body)
            .await?
            .refused(409, "LAST_ADMIN");
    }
    let second = own_id(&team.developers[0]).await?;
    let promoted = json!({"role": "ADMIN"});
    change(&team.admin, &second, &promoted).await?.expect(200);
    // A disabled admin is none who could help.
    change(&team.admin, &second, &taken[0]).await?.expect(200);
    for body in &taken {
        let answer = change(&team.admin, &own, body).await?;
        answer.refused(409, "LAST_ADMIN");
    }
    let enabled = json!({"disabled": false});
    change(&team.admin, &second, &enabled).await?.expect(200);
    change(&team.admin, &own, &taken[1]).await?.expect(200);
    let heir = server.client().login("dev-0", PASSWORD).await?;
    for body in &taken {
        let answer = change(&heir, &second, body).await?;
        answer.refused(409, "LAST_ADMIN");
    }
    Ok(())
}

#[tokio::test]
async fn changes_of_accounts_are_in_the_audit_trail_and_not_in_the_activity_feed()
-> anyhow::Result<()> {
    let (_server, team) = start(1).await?;
    let user = own_id(&team.developers[0]).await?;
    let both = json!({"role": "ADMIN", "disabled": true});
    change(&team.admin, &user, &both).await?.expect(200);
    let enabled = json!({"disabled": false});
    change(&team.admin, &user, &enabled).await?.expect(200);
    let path = "/admin/audit?type=user.role_changed&type=user.disabled&type=user.enabled";
    let entries = until(async || {
        let entries = team.admin.all(path).await?;
        ensure!(entries.len() == 3, "{entries:?}");
        Ok(entries)
    });
    let entries = entries.await?;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(
                (&entry["subject"], &entry["actor"]["username"]),
                (&json!(user), &json!("admin"))
            );
            assert_eq!(entry["data"]["username"], "dev-0");
            (entry["type"].clone(), entry["changes"][0].clone())
        })
        .collect();
    let change = |field, from: Value, to: Value| json!({"field": field, "from": from, "to": to});
    let expected = [
        (
            json!("user.enabled"),
            change("disabled", json!(true), json!(false)),
        ),
        (
            json!("user.disabled"),
            change("disabled", json!(false), json!(true)),
        ),
        (
            json!("user.role_changed"),
            change("role", json!("DEVELOPER"), json!("ADMIN")),
        ),
    ];
    assert_eq!(told, expected);
    let feed = team.admin.feed().await?;
    let others = ["user.role_changed", "user.disabled", "user.enabled"];
    assert!(
        feed.iter()
            .all(|entry| !others.iter().any(|name| entry["type"] == *name))
    );
    Ok(())
}

#[tokio::test]
async fn a_gateway_of_its_own_refuses_a_disabled_account() -> anyhow::Result<()> {
    let server = Process::start_with(&Options::default().of_the_mesh()).await?;
    let options = Options::default()
        .gateway(&server.grpc)
        .env("SLIPWAY_SERVICE_SECRET", SECRET);
    let gateway = Process::start_with(&options).await?;
    let team = Team::new(&gateway, 2).await?;
    let (disabled, promoted) = (&team.developers[0], &team.developers[1]);
    let ids = [own_id(disabled).await?, own_id(promoted).await?];
    let mut stream = disabled.stream("", None).await?;
    let body = json!({"disabled": true});
    change(&team.admin, &ids[0], &body).await?.expect(200);
    let body = json!({"role": "ADMIN"});
    change(&team.admin, &ids[1], &body).await?.expect(200);
    for client in [disabled, promoted] {
        assert_eq!(refused(client).await?, "SESSION_ENDED");
    }
    assert_eq!(goodbye(&mut stream).await?, "session_ended");
    call(&team.admin, Method::GET, "/auth/me")
        .await?
        .expect(200);
    Ok(())
}
