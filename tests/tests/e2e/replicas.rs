//! Two of everything, in processes of their own, on a real Kafka and a MongoDB-compatible
//! server.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use futures::future::join_all;
use serde_json::json;
use slipway_tests::{
    Backbones, Client, Options, Process, Team,
    team::{self, id, task_ids},
};
use tokio::sync::Barrier;

const RACERS: usize = 50;

/// A key that signs tokens, the same for both replicas.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// Two replicas of each role; those of one number speak to each other.
struct Mesh {
    release: Vec<Process>,
    notify: Vec<Process>,
    gateways: Vec<Process>,
    backbones: Backbones,
}

fn options(backbones: &Backbones, key: &Path) -> Options {
    backbones
        .options()
        .env("SLIPWAY_JWT_KEY_FILE", key.to_str().unwrap())
        .env(
            "SLIPWAY_SERVICE_SECRET",
            "a secret that the processes of one mesh share",
        )
}

impl Mesh {
    async fn start() -> Option<Self> {
        let backbones = Backbones::start().await.unwrap()?;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key.pem");
        fs::write(&key, KEY).unwrap();
        let base = options(&backbones, &key);
        let start = |options: Options| async move { Process::start_with(&options).await.unwrap() };
        let (mut release, mut notify, mut gateways) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..2 {
            let one = start(base.clone().arg("release")).await;
            let to_release = base.clone().env("SLIPWAY_RELEASE_URL", &one.grpc);
            let two = start(to_release.clone().arg("notify")).await;
            let to_notify = Options::default()
                .arg("gateway")
                .env("SLIPWAY_RELEASE_URL", &one.grpc)
                .env("SLIPWAY_NOTIFY_URL", &two.grpc)
                .env(
                    "SLIPWAY_SERVICE_SECRET",
                    "a secret that the processes of one mesh share",
                );
            gateways.push(start(to_notify).await);
            release.push(one);
            notify.push(two);
        }
        Some(Self {
            release,
            notify,
            gateways,
            backbones,
        })
    }

    /// The same user at both gateways.
    fn everywhere(&self, client: &Client) -> [Client; 2] {
        [0, 1].map(|n| self.gateways[n].client().with_token(client.token()))
    }
}

/// Waits for the gateway to follow the wall.
async fn follow(client: &Client) {
    while client.stream("", None).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_of_everything_are_one_mesh() {
    let Some(mesh) = Mesh::start().await else {
        return;
    };
    let team = Team::new(&mesh.gateways[0], 1).await.unwrap();
    let admins = mesh.everywhere(&team.admin);
    let developers = mesh.everywhere(&team.developers[0]);

    // One developer, many releases, both replicas at the same moment: one start succeeds.
    let mut tasks = Vec::new();
    for n in 0..RACERS {
        let release = team.release(&format!("release {n}"), &[0]).await.unwrap();
        tasks.push(task_ids(&release).remove(0));
    }
    let barrier = Arc::new(Barrier::new(RACERS));
    let starts = tasks.iter().enumerate().map(|(n, task)| {
        let (developer, path) = (developers[n % 2].clone(), format!("/tasks/{task}/start"));
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            developer.patch(&path).await.unwrap()
        })
    });
    let answers: Vec<_> = join_all(starts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    let winner = id(&winner.body).to_owned();
    for answer in answers {
        if answer.status != 200 {
            let problem = answer.refused(409, "DEVELOPER_BUSY");
            assert_eq!(id(&problem["activeTask"]), winner);
        }
    }

    // One release, both replicas at the same moment: every task is there.
    let shared = team.release("shared", &[]).await.unwrap();
    let path = format!("/releases/{}", id(&shared));
    let additions = (0..RACERS).map(|n| {
        let (admin, path) = (admins[n % 2].clone(), format!("{path}/tasks"));
        tokio::spawn(async move {
            let body = json!({"title": format!("task {n}"), "assignee": "dev-0"});
            admin.post(&path, &body).await.unwrap().expect(201)
        })
    });
    for added in join_all(additions).await {
        added.unwrap();
    }
    let shared = admins[1].get(&path).await.unwrap().expect(200);
    let tasks = shared["tasks"].as_array().unwrap().iter();
    let indexes: BTreeSet<_> = tasks.map(|task| task["orderIndex"].as_i64()).collect();
    assert_eq!(indexes.len(), RACERS);

    // Both gateways show the same wall, each number once: the admin, the developer, the
    // plans with their tasks, the start, the shared release with its tasks.
    let total = (2 + 3 * RACERS + 1 + 1 + 2 * RACERS) as u64;
    let mut walls = Vec::new();
    for admin in &admins {
        follow(admin).await;
        let mut stream = admin.stream("?after=0", None).await.unwrap();
        let mut wall = Vec::new();
        for number in 1..=total {
            let (sequence, entry) = stream.entry().await.unwrap();
            assert_eq!(sequence, number);
            wall.push(entry["id"].clone());
        }
        walls.push(wall);
    }
    assert_eq!(walls[0], walls[1]);
    let distinct: BTreeSet<_> = walls[0].iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len() as u64, total, "no event is told twice");

    // One of each is gone; the others go on.
    let Mesh {
        mut release,
        mut notify,
        mut gateways,
        backbones,
    } = mesh;
    for processes in [&mut release, &mut notify, &mut gateways] {
        processes.remove(0).kill().await.unwrap();
    }
    let developer = gateways[0]
        .client()
        .login("dev-0", team::PASSWORD)
        .await
        .unwrap();
    let done = developer
        .patch(&format!("/tasks/{winner}/complete"))
        .await
        .unwrap();
    done.expect(200);
    let entry = developer
        .seen(|entry| entry["type"] == "task.completed")
        .await
        .unwrap();
    assert_eq!(
        (&entry["subject"], &entry["sequence"]),
        (&json!(winner), &json!(total + 1))
    );
    drop((release, notify, gateways));
    drop(backbones);
}
