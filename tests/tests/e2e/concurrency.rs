//! Concurrent users, through a running process. All of them wait on a barrier before they act.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use futures::future::join_all;
use serde_json::{Value, json};
use slipway_tests::{
    Answer, Mesh, Team, in_both_shapes,
    team::{id, task_ids, try_to_register},
};
use tokio::sync::Barrier;

in_both_shapes!(
    a_hundred_concurrent_task_operations_have_every_event_once,
    one_of_fifty_concurrent_starts_by_one_developer_succeeds,
    fifty_tasks_added_concurrently_are_all_stored,
    one_of_fifty_concurrent_tasks_for_one_position_is_stored,
    completing_and_hotfixing_at_once_happen_in_one_of_the_two_orders,
    a_task_started_fifty_times_at_once_is_started_once,
    a_name_registered_fifty_times_at_once_is_one_account,
);

const RACERS: usize = 50;

/// Runs all `racers` concurrently; returns their answers.
async fn race<F>(racers: impl IntoIterator<Item = F>) -> Vec<Answer>
where
    F: Future<Output = anyhow::Result<Answer>> + Send + 'static,
{
    let racers: Vec<_> = racers.into_iter().collect();
    let barrier = Arc::new(Barrier::new(racers.len()));
    let racers = racers.into_iter().map(|racer| {
        let barrier = Arc::clone(&barrier);
        tokio::spawn(async move {
            barrier.wait().await;
            racer.await.unwrap()
        })
    });
    join_all(racers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

async fn a_hundred_concurrent_task_operations_have_every_event_once(mesh: Mesh) {
    let team = Team::at(&mesh.client(), RACERS).await.unwrap();
    let mut operations = Vec::new();
    for n in 0..RACERS {
        let release = team.release(&format!("release {n}"), &[n]).await.unwrap();
        let start = format!("/tasks/{}/start", task_ids(&release).remove(0));
        let add = format!("/releases/{}/tasks", id(&release));
        operations.push((mesh.anywhere(&team.developers[n]), start, None));
        let body = json!({"title": "one more", "assignee": format!("dev-{n}")});
        operations.push((mesh.anywhere(&team.admin), add, Some(body)));
    }
    let answers = race(
        operations
            .into_iter()
            .map(|(client, path, body)| async move {
                match body {
                    None => client.patch(&path).await,
                    Some(body) => client.post(&path, &body).await,
                }
            }),
    )
    .await;
    assert_eq!(
        (count(&answers, 200), count(&answers, 201)),
        (RACERS, RACERS)
    );

    // The admin, the developers, their releases and turns, the starts, the additions.
    let total = (1 + RACERS + 4 * RACERS + RACERS + 2 * RACERS) as u64;
    let mut stream = team.admin.stream("?after=0", None).await.unwrap();
    let (mut events, mut started, mut created) = (BTreeSet::new(), 0, 0);
    for number in 1..=total {
        let (sequence, entry) = stream.entry().await.unwrap();
        assert_eq!(sequence, number);
        assert!(events.insert(id(&entry).to_owned()), "{entry:#}");
        started += usize::from(entry["type"] == "task.started");
        created += usize::from(entry["type"] == "task.created");
    }
    assert_eq!((started, created), (RACERS, 2 * RACERS));
}

async fn one_of_fifty_concurrent_starts_by_one_developer_succeeds(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..RACERS {
        let release = team.release(&format!("release {n}"), &[0]).await.unwrap();
        tasks.push(task_ids(&release).remove(0));
    }
    let answers = race(tasks.iter().map(|task| {
        let (developer, path) = (
            mesh.anywhere(&team.developers[0]),
            format!("/tasks/{task}/start"),
        );
        async move { developer.patch(&path).await }
    }))
    .await;

    let winner = answers.iter().find(|answer| answer.status == 200).unwrap();
    let winner = id(&winner.body).to_owned();
    let mut refused = 0;
    for answer in answers {
        if answer.status != 200 {
            let problem = answer.refused(409, "DEVELOPER_BUSY");
            assert_eq!(id(&problem["activeTask"]), winner);
            refused += 1;
        }
    }
    assert_eq!(refused, RACERS - 1);
    let started = team
        .admin
        .all("/activity?type=task.started&limit=200")
        .await
        .unwrap();
    assert!(started.len() <= 1, "{started:#?}");
    let in_process = team.developers[0]
        .all("/tasks/my?status=IN_PROCESS&limit=200")
        .await;
    assert_eq!(in_process.unwrap().len(), 1);
}

async fn fifty_tasks_added_concurrently_are_all_stored(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let release = team.release("shared", &[]).await.unwrap();
    let path = format!("/releases/{}", id(&release));
    let answers = race((0..RACERS).map(|n| {
        let (admin, path) = (mesh.anywhere(&team.admin), format!("{path}/tasks"));
        async move {
            let body = json!({"title": format!("task {n}"), "assignee": "dev-0"});
            admin.post(&path, &body).await
        }
    }))
    .await;
    assert_eq!(count(&answers, 201), RACERS);
    let release = team.admin.get(&path).await.unwrap().expect(200);
    let tasks = release["tasks"].as_array().unwrap();
    let distinct = |field: &str| -> BTreeSet<String> {
        tasks.iter().map(|task| task[field].to_string()).collect()
    };
    assert_eq!(distinct("orderIndex").len(), RACERS);
    assert_eq!(distinct("title").len(), RACERS);
    assert_eq!(
        release["revision"],
        json!(1 + RACERS),
        "every change was made on the last"
    );
}

async fn one_of_fifty_concurrent_tasks_for_one_position_is_stored(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let release = team.release("shared", &[]).await.unwrap();
    let path = format!("/releases/{}/tasks", id(&release));
    let answers = race((0..RACERS).map(|n| {
        let (admin, path) = (mesh.anywhere(&team.admin), path.clone());
        async move {
            let body = json!({"title": format!("task {n}"), "assignee": "dev-0", "orderIndex": 7});
            admin.post(&path, &body).await
        }
    }))
    .await;
    assert_eq!(count(&answers, 201), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        let _ = answer.refused(409, "ORDER_INDEX_TAKEN");
    }
}

async fn completing_and_hotfixing_at_once_happen_in_one_of_the_two_orders(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    for round in 0..20 {
        let release = team.release(&format!("round {round}"), &[0]).await.unwrap();
        let (release_id, task) = (id(&release).to_owned(), task_ids(&release).remove(0));
        let developer = &team.developers[0];
        for step in ["start", "complete"] {
            let done = developer
                .patch(&format!("/tasks/{task}/{step}"))
                .await
                .unwrap();
            let _ = done.expect(200);
        }
        let acts: [(&str, Value); 2] = [
            ("complete", Value::Null),
            ("tasks", json!({"title": "one more", "assignee": "dev-0"})),
        ];
        let answers = race(acts.map(|(act, body)| {
            let (admin, path) = (
                mesh.anywhere(&team.admin),
                format!("/releases/{release_id}/{act}"),
            );
            async move {
                if body.is_null() {
                    admin.patch(&path).await
                } else {
                    admin.post(&path, &body).await
                }
            }
        }))
        .await;
        let after = team
            .admin
            .get(&format!("/releases/{release_id}"))
            .await
            .unwrap();
        let after = after.expect(200);
        let added = answers[1].clone().expect(201);
        assert_eq!(after["isCompleted"], false, "there is a task left");
        if answers[0].status == 200 {
            // Completed first: the task is a hotfix and has reopened the release.
            assert_eq!(added["hotfix"], true);
            assert_eq!(after["reopenedCount"], 1);
        } else {
            // Added first: it is an ordinary task, and the release was not complete.
            let problem = answers[0].clone().refused(409, "RELEASE_INCOMPLETE");
            assert_eq!(problem["remaining"], 1);
            assert_eq!(added["hotfix"], false);
            assert_eq!(after["reopenedCount"], 0);
        }
    }
}

async fn a_task_started_fifty_times_at_once_is_started_once(mesh: Mesh) {
    let team = Team::at(&mesh.client(), 1).await.unwrap();
    let release = team.release("one", &[0]).await.unwrap();
    let task = task_ids(&release).remove(0);
    for (step, state) in [("start", "IN_PROCESS"), ("complete", "COMPLETED")] {
        let answers = race((0..RACERS).map(|_| {
            let (developer, path) = (
                mesh.anywhere(&team.developers[0]),
                format!("/tasks/{task}/{step}"),
            );
            async move { developer.patch(&path).await }
        }))
        .await;
        assert_eq!(count(&answers, 200), 1, "{step}");
        for answer in answers.into_iter().filter(|answer| answer.status != 200) {
            let _ = answer.refused(409, "INVALID_TRANSITION");
        }
        let after = team.admin.get(&format!("/tasks/{task}")).await.unwrap();
        assert_eq!(after.expect(200)["status"], state);
    }
}

async fn a_name_registered_fifty_times_at_once_is_one_account(mesh: Mesh) {
    let answers = race((0..RACERS).map(|n| {
        let client = mesh.client();
        async move {
            let body = json!({
                "username": if n % 2 == 0 { "ada" } else { "ADA" },
                "email": format!("ada-{n}@example.com"),
                "password": "a password for ada",
            });
            try_to_register(&client, &body).await
        }
    }))
    .await;
    assert_eq!(count(&answers, 201), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        let problem = answer.refused(409, "USERNAME_TAKEN");
        assert!(problem.get("token").is_none());
    }
}
