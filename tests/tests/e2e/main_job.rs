//! The main use case on real input: the release plan of Kubernetes 1.31, from its import to the
//! completed hotfix, with the activity feed.

use std::{collections::HashMap, fs, path::Path};

use anyhow::ensure;
use serde_json::{Value, json};
use slipway_tests::{Client, Mesh, Options, StreamEvent, in_both_shapes, process, team::id, until};

in_both_shapes!(a_real_plan_works_from_import_to_the_completed_hotfix);

const PLAN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/kubernetes-1.31.json");

/// Imports the plan; returns the created release.
async fn import(mesh: &Mesh) -> Value {
    let options = Options::default()
        .arg("import")
        .arg(PLAN)
        .arg("--create-users")
        .arg("--json")
        .env("SLIPWAY_URL", mesh.http().unwrap())
        .env("SLIPWAY_USERNAME", "admin")
        .env("SLIPWAY_PASSWORD", slipway_tests::ADMIN_PASSWORD);
    let (status, output, errors) = process::run(Path::new("."), &options).await.unwrap();
    assert!(status.success(), "{errors}");
    serde_json::from_str(&output).unwrap()
}

async fn sign_in(mesh: &Mesh, users: &Value) -> HashMap<String, Client> {
    let mut clients = HashMap::new();
    for user in users.as_array().unwrap() {
        let (name, password) = (user["username"].as_str(), user["password"].as_str());
        let client = mesh.client();
        let client = client.login(name.unwrap(), password.unwrap()).await;
        clients.insert(name.unwrap().to_owned(), client.unwrap());
    }
    clients
}

/// The owner starts and completes a task.
async fn work(clients: &HashMap<String, Client>, task: &Value) {
    let owner = &clients[task["assignee"]["username"].as_str().unwrap()];
    let path = format!("/tasks/{}", id(task));
    let started = owner
        .patch(&format!("{path}/start"))
        .await
        .unwrap()
        .expect(200);
    assert_eq!(started["status"], "IN_PROCESS");
    let completed = owner
        .patch(&format!("{path}/complete"))
        .await
        .unwrap()
        .expect(200);
    assert_eq!(completed["status"], "COMPLETED");
}

async fn a_real_plan_works_from_import_to_the_completed_hotfix(mesh: Mesh) {
    let admin = mesh.admin().await.unwrap();
    let mut stream = admin.stream("?after=0", None).await.unwrap();

    let plan: Value = serde_json::from_str(&fs::read_to_string(PLAN).unwrap()).unwrap();
    let imported = import(&mesh).await;
    let clients = sign_in(&mesh, &imported["users"]).await;
    assert_eq!(clients.len(), 7);
    let path = format!("/releases/{}", id(&imported["release"]));
    let release = admin.get(&path).await.unwrap().expect(200);
    let tasks = release["tasks"].as_array().unwrap();
    let titles = |tasks: &[Value]| tasks.iter().map(|t| t["title"].clone()).collect::<Vec<_>>();
    assert_eq!(titles(tasks), titles(plan["tasks"].as_array().unwrap()));

    // The last task cannot be started first.
    let last = tasks.last().unwrap();
    let owner = &clients[last["assignee"]["username"].as_str().unwrap()];
    let refused = owner
        .patch(&format!("/tasks/{}/start", id(last)))
        .await
        .unwrap();
    let refused = refused.refused(409, "TASK_OUT_OF_ORDER");
    assert_eq!(refused["blockedBy"]["title"], tasks[35]["title"]);

    for task in tasks {
        work(&clients, task).await;
    }
    let done = admin
        .patch(&format!("{path}/complete"))
        .await
        .unwrap()
        .expect(200);
    assert_eq!(done["isCompleted"], true);
    assert_eq!(done["progress"], json!({"total": 37, "completed": 37}));

    let hotfix = &plan["hotfix"];
    let body =
        json!({"title": hotfix["title"], "assignee": hotfix["assignee"], "dueAt": hotfix["dueAt"]});
    let fix = admin
        .post(&format!("{path}/tasks"), &body)
        .await
        .unwrap()
        .expect(201);
    assert_eq!(
        (&fix["hotfix"], &fix["orderIndex"]),
        (&json!(true), &json!(371))
    );
    let reopened = admin.get(&path).await.unwrap().expect(200);
    assert_eq!(
        (&reopened["isCompleted"], &reopened["reopenedCount"]),
        (&json!(false), &json!(1))
    );
    work(&clients, &fix).await;
    let done = admin
        .patch(&format!("{path}/complete"))
        .await
        .unwrap()
        .expect(200);
    assert_eq!(done["isCompleted"], true);

    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut expected = 1;
    // Entries for the admin, the seven developers, the release, the work, and both completions; and
    // for each task or release that became ready.
    let turns = 37 + 1 + 1 + 1;
    let total = 1 + 7 + (1 + 2 * 37) + 2 * 37 + 1 + 3 + 2 + 1 + turns;
    while expected <= total {
        let StreamEvent::Entry {
            sequence,
            kind,
            data,
        } = stream.next().await.unwrap()
        else {
            panic!("only entries")
        };
        assert_eq!(sequence, expected, "numbers are consecutive");
        assert_eq!(
            (&data["sequence"], &data["type"]),
            (&json!(sequence), &json!(kind))
        );
        expected += 1;
        *counts.entry(kind).or_default() += 1;
    }
    let count = |kind: &str| counts.get(kind).copied().unwrap_or_default();
    assert_eq!(count("user.registered"), 8);
    assert_eq!(count("task.created"), 38);
    assert_eq!(
        count("task.assigned"),
        37,
        "the hotfix notice is the assignment"
    );
    assert_eq!(count("task.started"), 38);
    assert_eq!(count("task.completed"), 38);
    assert_eq!(count("task.hotfix_added"), 1);
    assert_eq!((count("task.ready"), count("release.ready")), (38, 2));
    assert_eq!(count("release.completed"), 2);
    assert_eq!(count("release.reopened"), 1);
    assert_eq!(
        admin.feed().await.unwrap().len(),
        total as usize,
        "and nothing else"
    );

    // No notification of their turn: the owners of the first task and of the hotfix, whose
    // assignment says that it can start, and an owner who completed the task before it.
    let owner = |task: &Value| task["assignee"]["username"].clone();
    let handovers = tasks
        .windows(2)
        .filter(|two| owner(&two[0]) != owner(&two[1]));
    let handovers: Vec<_> = handovers.map(|two| owner(&two[1])).collect();
    assert!(!handovers.is_empty());
    notified(&admin, "task.ready", &handovers).await;
    notified(&admin, "release.ready", &[json!("admin"), json!("admin")]).await;
}

/// Waits until exactly these users have a notification of this type.
async fn notified(admin: &Client, kind: &str, expected: &[Value]) {
    let mut expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    let path = format!("/admin/notifications?type={kind}&limit=200");
    let all = until(async || {
        let notifications = admin.all(&path).await?;
        let mut names: Vec<_> = notifications
            .iter()
            .map(|one| one["recipient"]["username"].to_string())
            .collect();
        names.sort();
        ensure!(names == expected, "{kind}: {names:?}, not {expected:?}");
        Ok(())
    });
    all.await.unwrap();
}
