//! Roles in separate processes.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use serde_json::json;
use slipway_tests::{
    Client, Options, Process, Stream, StreamEvent, Team, process::SECRET, team::id, until,
};

/// A gateway for the services of `server`.
async fn gateway(server: &Process, secret: &str) -> Process {
    let options = Options::default()
        .gateway(&server.grpc)
        .env("SLIPWAY_SERVICE_SECRET", secret);
    Process::start_with(&options).await.unwrap()
}

async fn mesh() -> Process {
    Process::start_with(&Options::default().of_the_mesh())
        .await
        .unwrap()
}

/// The activity stream from its beginning, once the gateway follows it.
async fn feed(admin: &Client) -> Stream {
    let stream = until(async || admin.stream("?after=0", None).await);
    stream.await.unwrap()
}

#[tokio::test]
async fn two_gateways_serve_one_mesh_and_each_shows_everything() {
    let server = mesh().await;
    let (one, two) = (
        gateway(&server, SECRET).await,
        gateway(&server, SECRET).await,
    );
    let team = Team::new(&one, 1).await.unwrap();
    let admin = two.admin().await.unwrap();
    let release = team.release("by the first", &[0]).await.unwrap();
    let path = format!("/releases/{}", id(&release));
    assert_eq!(
        admin.get(&path).await.unwrap().expect(200)["name"],
        "by the first"
    );

    for client in [&team.admin, &admin] {
        let mut stream = feed(client).await;
        for number in 1..=5 {
            assert_eq!(stream.entry().await.unwrap().0, number);
        }
    }
}

#[tokio::test]
async fn a_gateway_survives_a_restart_of_its_services_and_streams_miss_nothing() {
    let options = Options::default().of_the_mesh();
    let server = Process::start_with(&options).await.unwrap();
    let gateway = gateway(&server, SECRET).await;
    let admin = gateway.admin().await.unwrap();
    let mut stream = feed(&admin).await;
    assert_eq!(stream.entry().await.unwrap().0, 1);

    let ops = Client::new(&gateway.ops);
    ops.get("/readyz").await.unwrap().expect(200);
    let at = server.grpc.trim_start_matches("http://").to_owned();
    let health = admin.get("/admin/health").await.unwrap().expect(200);
    assert_eq!(health["state"], "UP", "{health:#}");
    let names = health["processes"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|process| process["name"].clone()).collect();
    assert_eq!(names, ["gateway", "release", "forum", "chat", "notify"]);
    let data = server.kill().await.unwrap();
    let health = until(async || {
        let health = admin.get("/admin/health").await?.expect(200);
        let first = &health["processes"][0]["dependencies"][0];
        ensure!(
            first["state"] == "DOWN" && first["required"] == true,
            "{health:#}"
        );
        Ok(health)
    });
    let health = health.await.unwrap();
    assert_eq!(health["state"], "DOWN");
    let gateway_lacks = &health["processes"][0]["dependencies"][0];
    assert_eq!(gateway_lacks["name"], "release-svc");
    assert!(gateway_lacks["problem"].is_string() && gateway_lacks["since"].is_string());
    for process in &health["processes"].as_array().unwrap()[1..] {
        assert_eq!(process["state"], "DOWN", "{process:#}");
        assert!(process["problem"].is_string(), "{process:#}");
    }
    let problem = admin
        .get("/releases")
        .await
        .unwrap()
        .refused(503, "UNAVAILABLE");
    assert!(problem["detail"].is_string());
    let unready = ops.get("/readyz").await.unwrap().expect(503);
    for check in unready["checks"].as_array().unwrap() {
        // Nothing is known of the secret of a process that is away.
        let is_known = check["dependency"] != "service secret";
        assert_eq!(check["problem"].is_string(), is_known, "{check}");
    }
    let options = options.env("SLIPWAY_GRPC_ADDR", at);
    let server = Process::start_on(Arc::clone(&data), &options)
        .await
        .unwrap();
    let release = server.admin().await.unwrap();
    let release = release
        .post("/releases", &json!({"name": "meanwhile"}))
        .await
        .unwrap();
    let release = release.expect(201);

    // The stream was cut or continues; in both cases the next number follows.
    let mut last = 1;
    while last < 2 {
        match stream.next().await {
            Ok(StreamEvent::Entry { sequence, data, .. }) => {
                assert_eq!(sequence, last + 1);
                assert_eq!(data["subject"], release["id"]);
                last = sequence;
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                if let Ok(resumed) = admin.stream("", Some(last)).await {
                    stream = resumed;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_gateway_with_another_secret_has_no_activity_feed() {
    let server = mesh().await;
    let stranger = gateway(&server, "quite another secret, which is long enough").await;
    let admin = stranger.admin().await.unwrap();
    // Users are known by their own tokens; only the gateway's own calls fail.
    admin.get("/releases").await.unwrap().expect(200);
    let refused = admin.get("/activity/stream").await.unwrap();
    let _ = refused.refused(503, "UNAVAILABLE");
    let ops = Client::new(&stranger.ops);
    let named = until(async || {
        let ready = ops.get("/readyz").await?.expect(200);
        let degraded = ready["degraded"].as_array().into_iter().flatten();
        let secrets = degraded.filter(|name| *name == "gateway: service secret");
        ensure!(secrets.count() == 4, "{ready:#}");
        Ok(ready)
    });
    let ready = named.await.unwrap().to_string();
    let expected = "release refuses it; SLIPWAY_SERVICE_SECRET must be the same in all processes";
    assert!(ready.contains(expected), "{ready}");
    let own = gateway(&server, SECRET).await;
    let ops = Client::new(&own.ops);
    let whole = until(async || {
        let ready = ops.get("/readyz").await?.expect(200);
        ensure!(ready["degraded"] == json!([]), "{ready:#}");
        Ok(())
    });
    whole.await.unwrap();
}

#[tokio::test]
async fn a_service_shows_that_it_misses_the_release_service() {
    for role in ["forum", "chat", "notify"] {
        let server = mesh().await;
        let options = Options::default()
            .arg(role)
            .of_the_mesh()
            .env("SLIPWAY_RELEASE_URL", &server.grpc);
        let service = Process::start_with(&options).await.unwrap();
        let ops = Client::new(&service.ops);
        let name = format!("{role}-svc: release-svc");
        let shown = async |is_degraded| {
            let shown = until(async || {
                let ready = ops.get("/readyz").await?.expect(200);
                let degraded = ready["degraded"].as_array().unwrap();
                ensure!(degraded.contains(&json!(name)) == is_degraded, "{ready:#}");
                Ok(())
            });
            shown.await.unwrap();
        };
        shown(false).await;
        server.kill().await.unwrap();
        shown(true).await;
    }
}

/// The size of a status between processes is limited: a fault with many field errors must arrive
/// with some of them, and with the number of the others.
#[tokio::test]
async fn a_long_refusal_arrives_through_a_separate_gateway() {
    let server = mesh().await;
    let gateway = gateway(&server, SECRET).await;
    let team = Team::new(&gateway, 1).await.unwrap();
    let wrong = vec![json!({"title": " ", "assignee": "nobody"}); 200];
    let body = json!({"name": "wrong", "tasks": wrong});
    let refused = team.admin.post("/releases", &body).await.unwrap();
    let refused = refused.refused(400, "INVALID_ARGUMENT");
    assert_eq!(refused["detail"], "400 fields are invalid.");
    let errors = refused["errors"].as_array().unwrap();
    assert_eq!(errors[0]["field"], "tasks[0].title");
    let omitted = refused["omitted"]["errors"].as_u64().unwrap();
    assert_eq!(errors.len() as u64 + omitted, 400);

    let title = |n: usize| format!("{n:0>3}{}", "🚢".repeat(197));
    let task = |n| json!({"title": title(n), "assignee": "dev-0"});
    let tasks: Vec<_> = (0..100).map(task).collect();
    let body = json!({"name": title(0), "tasks": tasks});
    let release = team.admin.post("/releases", &body).await.unwrap();
    let release = release.expect(201);
    let complete = format!("/releases/{}/complete", id(&release));
    let refused = team.admin.patch(&complete).await.unwrap();
    let refused = refused.refused(409, "RELEASE_INCOMPLETE");
    assert_eq!(refused["remaining"], 100);
    let named = refused["remainingTasks"].as_array().unwrap();
    assert!(!named.is_empty() && named[0]["id"] == release["tasks"][0]["id"]);

    // A single blocking task has its complete title.
    let ada = &team.developers[0];
    let start = |n: usize| format!("/tasks/{}/start", id(&release["tasks"][n]));
    let refused = ada.patch(&start(1)).await.unwrap();
    let refused = refused.refused(409, "TASK_OUT_OF_ORDER");
    assert_eq!(refused["blockedBy"]["title"], title(0));
    ada.patch(&start(0)).await.unwrap().expect(200);
    let other = json!({"name": "other", "tasks": [task(1)]});
    let other = team
        .admin
        .post("/releases", &other)
        .await
        .unwrap()
        .expect(201);
    let start = format!("/tasks/{}/start", id(&other["tasks"][0]));
    let refused = ada.patch(&start).await.unwrap();
    let refused = refused.refused(409, "DEVELOPER_BUSY");
    assert_eq!(refused["activeTask"]["title"], title(0));
    assert_eq!(refused["activeTask"]["releaseName"], title(0));
}

// Only Linux has all of 127.0.0.0/8 without configuration.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn behind_a_separate_gateway_the_clients_address_counts() {
    let server = mesh().await;
    let gateway = gateway(&server, SECRET).await;
    let at = |host| Client::from_address(&gateway.http, [127, 0, 0, host]);
    let guess = |n: usize| json!({"username": format!("guess-{n}"), "password": "wrong"});
    let flooding = at(10);
    for n in 0..100 {
        let answer = flooding.post("/auth/login", &guess(n)).await.unwrap();
        answer.refused(401, "INVALID_CREDENTIALS");
    }
    let answer = flooding.post("/auth/login", &guess(100)).await.unwrap();
    answer.refused(429, "TOO_MANY_ATTEMPTS");
    let answer = at(11).post("/auth/login", &guess(100)).await.unwrap();
    // The name has a failure by now; from another address it is not refused for that.
    answer.refused(401, "INVALID_CREDENTIALS");
}

/// Waits until the gateway follows which sessions end.
async fn follows_ends(gateway: &Process) {
    let ops = Client::new(&gateway.ops);
    until(async || {
        let metrics = ops.get("/metrics").await?.text;
        let age = metrics
            .lines()
            .find_map(|line| line.strip_prefix("slipway_ended_sessions_age_seconds "));
        ensure!(age.is_some_and(|age| age.parse::<f64>().is_ok_and(|age| age < 2.0)));
        Ok(())
    })
    .await
    .unwrap();
}

/// Within two seconds the client is refused a stream, and the one that it has ends.
async fn ends_in_time(client: &Client, stream: &mut Stream) {
    let ended = tokio::time::timeout(Duration::from_secs(2), async {
        // The gateway itself refuses this, without a call.
        while client.stream("", None).await.is_ok() {}
        loop {
            if let StreamEvent::Goodbye(goodbye) = stream.next().await.unwrap() {
                return goodbye;
            }
        }
    });
    assert_eq!(ended.await.unwrap(), json!({"reason": "session_ended"}));
}

#[tokio::test]
async fn a_logout_at_one_gateway_is_refused_at_the_other_within_two_seconds() {
    let server = mesh().await;
    let gateways = [
        gateway(&server, SECRET).await,
        gateway(&server, SECRET).await,
    ];
    let team = Team::new(&gateways[0], 1).await.unwrap();
    let [here, there] = gateways
        .each_ref()
        .map(|gateway| gateway.client().with_token(team.developers[0].token()));
    let mut stream = feed(&there).await;
    follows_ends(&gateways[1]).await;

    let logout = here.request(reqwest::Method::POST, "/auth/logout");
    here.send(logout).await.unwrap().expect(204);
    ends_in_time(&there, &mut stream).await;
    there
        .get("/auth/me")
        .await
        .unwrap()
        .refused(401, "SESSION_ENDED");
}

#[tokio::test]
async fn a_token_revoked_at_one_gateway_is_refused_at_the_other_within_two_seconds() {
    let server = mesh().await;
    let (one, two) = (
        gateway(&server, SECRET).await,
        gateway(&server, SECRET).await,
    );
    let team = Team::new(&one, 1).await.unwrap();
    let body = json!({"name": "a program", "scope": "READ"});
    let token = team.developers[0].post("/auth/tokens", &body).await;
    let token = token.unwrap().expect(201);
    let there = two.client().with_token(token["token"].as_str().unwrap());
    there.get("/auth/me").await.unwrap().expect(200);
    let mut stream = feed(&there).await;
    follows_ends(&two).await;

    let path = format!("/auth/tokens/{}", id(&token));
    let revoke = team.developers[0].request(reqwest::Method::DELETE, &path);
    team.developers[0].send(revoke).await.unwrap().expect(204);
    ends_in_time(&there, &mut stream).await;
    let refused = there.get("/auth/me").await.unwrap();
    refused.refused(401, "TOKEN_REVOKED");
}

#[tokio::test]
async fn a_gateway_that_starts_later_knows_which_sessions_have_ended() {
    let server = mesh().await;
    let developer = Team::new(&server, 1).await.unwrap().developers.remove(0);
    let logout = developer.request(reqwest::Method::POST, "/auth/logout");
    developer.send(logout).await.unwrap().expect(204);
    let gateway = gateway(&server, SECRET).await;
    let late = gateway.client().with_token(developer.token());
    until(async || {
        let refused = late.get("/activity/stream?after=x").await?;
        ensure!(refused.body["code"] == "SESSION_ENDED", "{}", refused.body);
        Ok(())
    })
    .await
    .unwrap();
}
