//! Recurring tasks on two replicas.

use slipway_proto::release::v1::{
    CompleteTaskRequest, NewRecurrence, NewTask, Release, StartTaskRequest,
};
use slipway_runtime::testing::until;

use super::harness::{Setup, task};

/// A task that recurs daily; in the release `then` once all tasks of its own are completed.
fn daily(title: String, then: &str) -> NewTask {
    NewTask {
        due_at: Some(prost_types::Timestamp {
            seconds: 4_000_000_000,
            nanos: 0,
        }),
        recurrence: Some(NewRecurrence {
            rule: "FREQ=DAILY".into(),
            time_zone: String::new(),
            release_id: then.into(),
        }),
        ..task(title)
    }
}

async fn work_off(s: &Setup, n: usize, release: &Release) {
    let id = release.tasks[0].id.clone();
    let start = s.developer.request(StartTaskRequest { id: id.clone() });
    s.tasks(n).start_task(start).await.unwrap();
    let complete = s.developer.request(CompleteTaskRequest { id });
    s.tasks(n + 1).complete_task(complete).await.unwrap();
}

pub(super) async fn each_completed_task_is_followed_once(s: Setup) {
    const TASKS: usize = 20;
    let target = s.plan("target".into(), 0).await;
    let mut own = Vec::new();
    for n in 0..TASKS {
        let then = if n % 2 == 0 { "" } else { &target.id };
        let tasks = vec![daily(format!("t{n}"), then)];
        let release = s.planned(format!("release {n}"), tasks).await;
        work_off(&s, n, &release).await;
        own.push((release.id, if n % 2 == 0 { 2 } else { 1 }));
    }
    until(async || {
        let moved = s.get(&target.id).await.tasks.len();
        let mut counts = Vec::new();
        for (release, expected) in &own {
            counts.push((s.get(release).await.tasks.len(), *expected));
        }
        match moved == TASKS / 2 && counts.iter().all(|(found, expected)| found == expected) {
            true => Ok(()),
            false => Err(format!("{moved} moved; found and expected: {counts:?}")),
        }
    })
    .await
    .unwrap();
    let target = s.get(&target.id).await;
    let mut titles: Vec<_> = target.tasks.iter().map(|task| task.title.clone()).collect();
    titles.sort();
    titles.dedup();
    assert_eq!(titles.len(), TASKS / 2);
    let day = |task: &slipway_proto::release::v1::Task| task.due_at.unwrap().seconds;
    assert!(
        target
            .tasks
            .iter()
            .all(|task| day(task) == 4_000_000_000 + 24 * 3600)
    );
}
