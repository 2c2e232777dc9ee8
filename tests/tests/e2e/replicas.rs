//! Two replicas of each role in separate processes, on a real Kafka and a MongoDB-compatible
//! server: behaviour that only replicas have. What is the same in one process is tested in both
//! shapes, in `main_job`, `concurrency` and `stream`.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_proto::identity::v1::{GetMeRequest, identity_service_client::IdentityServiceClient};
use slipway_rpc::{error::Fault, grpc::Outbound};
use slipway_tests::{
    Client, Mesh, Role, Team,
    team::{self, id, task_ids},
    until,
};
use tonic::transport::Endpoint;

const RELEASES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_bus_is_away_a_logout_is_refused_by_every_replica_within_two_seconds() {
    let Some(mesh) = Mesh::replicas().await.unwrap() else {
        return;
    };
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let developer = &team.developers[0];
    mesh.backbones().unwrap().kafka("stop").await.unwrap();
    let everywhere = mesh.everywhere(developer);
    let logout = developer.request(reqwest::Method::POST, "/auth/logout");
    developer.send(logout).await.unwrap().expect(204);
    let ended = Instant::now();
    // Each route is of another service, and each service has two replicas.
    for client in &everywhere {
        for path in ["/auth/me", "/activity", "/chat/sessions", "/notifications"] {
            loop {
                let answer = client.get(path).await.unwrap();
                if answer.status == 401 {
                    answer.refused(401, "SESSION_ENDED");
                    break;
                }
                assert!(
                    ended.elapsed() < Duration::from_secs(2),
                    "{path}: {}",
                    answer.body
                );
            }
        }
    }
    for n in 0..2 {
        let release = mesh.process(Role::Release, n).unwrap();
        let channel = Endpoint::from_shared(release.grpc.clone()).unwrap();
        let mut identity = IdentityServiceClient::new(channel.connect().await.unwrap());
        let outbound = Outbound::with_token(developer.token().to_owned());
        loop {
            match identity.get_me(outbound.request(GetMeRequest {})).await {
                Err(status) => {
                    assert_eq!(Fault::from(status).code, "SESSION_ENDED");
                    break;
                }
                Ok(_) => assert!(ended.elapsed() < Duration::from_secs(2), "replica {n}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_replica_of_each_role_gone_the_others_continue() {
    let Some(mut mesh) = Mesh::replicas().await.unwrap() else {
        return;
    };
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..RELEASES {
        let release = team.release(&format!("release {n}"), &[0]).await.unwrap();
        tasks.extend(task_ids(&release));
    }

    // Both gateways have the same activity feed: the admin, the developer, the releases with their
    // tasks, and the tasks that became ready.
    let total = (2 + 4 * RELEASES) as u64;
    let mut feeds = Vec::new();
    for admin in mesh.everywhere(&team.admin) {
        let mut stream = admin.stream("?after=0", None).await.unwrap();
        let mut feed = Vec::new();
        for number in 1..=total {
            let (sequence, entry) = stream.entry().await.unwrap();
            assert_eq!(sequence, number);
            feed.push(entry["id"].to_string());
        }
        feeds.push(feed);
    }
    assert_eq!(feeds[0], feeds[1]);

    for role in Role::ALL {
        mesh.kill(role, 0).await.unwrap();
    }
    let left = &mesh.process(Role::Gateway, 1).unwrap().client();
    let developer = left.login("dev-0", team::PASSWORD).await.unwrap();
    for step in ["start", "complete"] {
        let path = format!("/tasks/{}/{step}", tasks[0]);
        let _ = developer.patch(&path).await.unwrap().expect(200);
    }
    let entry = developer.seen(|entry| entry["type"] == "task.completed");
    let entry = entry.await.unwrap();
    assert_eq!(
        (&entry["subject"], &entry["sequence"]),
        (&json!(tasks[0]), &json!(total + 2))
    );
}

/// Completes the only task of a new release, and has the assistant answer a question.
async fn work_and_ask(mesh: &Mesh, team: &Team, name: &str) {
    let developer = mesh.anywhere(&team.developers[0]);
    let release = team.release(name, &[0]).await.unwrap();
    for step in ["start", "complete"] {
        let path = format!("/tasks/{}/{step}", task_ids(&release)[0]);
        developer.patch(&path).await.unwrap().expect(200);
    }
    let session = developer.post("/chat/session", &json!({})).await.unwrap();
    let path = format!("/chat/{}/message", id(&session.expect(201)));
    let question = json!({"message": "What is next?"});
    developer.post(&path, &question).await.unwrap().expect(200);
}

/// Waits until a gateway counts this many completed tasks and answers, and every event of the
/// activity feed once.
async fn counts(client: &Client, expected: u64) {
    let counted = until(async || {
        let read = async |path: &str| anyhow::Ok(client.get(path).await?.expect(200));
        let sum = |found: &Value| -> u64 {
            let minutes = found["minutes"].as_array().into_iter().flatten();
            minutes.filter_map(|minute| minute["count"].as_u64()).sum()
        };
        let tasks = read("/stats/tasks?days=2").await?;
        let answers = read("/stats/assistant?hours=1").await?;
        let events = sum(&read("/stats/events?hours=1").await?);
        let newest = read("/activity?limit=1").await?["items"][0]["sequence"].as_u64();
        let found = (tasks["total"]["completed"].as_u64(), sum(&answers));
        ensure!(found == (Some(expected), expected), "{found:?}");
        ensure!(newest == Some(events), "{events} of {newest:?} events");
        Ok(())
    });
    counted.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_count_each_task_and_answer_once_over_replicas_and_a_killed_one() {
    let Some(mut mesh) = Mesh::replicas().await.unwrap() else {
        return;
    };
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    for n in 0..5 {
        work_and_ask(&mesh, &team, &format!("release {n}")).await;
    }
    // What it has counted and not committed is delivered to the other replica again.
    mesh.kill(Role::Notify, 0).await.unwrap();
    for n in 5..8 {
        work_and_ask(&mesh, &team, &format!("release {n}")).await;
    }
    mesh.restart(Role::Notify, 0).await.unwrap();
    work_and_ask(&mesh, &team, "the last one").await;
    for client in mesh.everywhere(&team.admin) {
        counts(&client, 9).await;
    }
}
