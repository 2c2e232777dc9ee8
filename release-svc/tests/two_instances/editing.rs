//! Changes, deletions and pauses on one replica while a developer works on the other: each time one
//! of the legal outcomes.

use std::sync::Arc;

use slipway_proto::release::v1::{
    CompleteTaskRequest, CreateReleaseRequest, DeleteReleaseRequest, DeleteTaskRequest,
    GetReleaseRequest, GetTaskRequest, PauseTaskRequest, Release, StartTaskRequest, TaskStatus,
    UpdateTaskRequest, update_task_request::Assignee,
};
use slipway_rpc::error::Fault;
use tokio::sync::Barrier;
use tonic::{Response, Status};

use super::harness::{Setup, task};

const ROUNDS: usize = 20;

/// Makes both calls at the same time; returns the error codes of those that are refused.
async fn at_once<A, B>(
    one: impl Future<Output = Result<Response<A>, Status>>,
    other: impl Future<Output = Result<Response<B>, Status>>,
) -> (Option<String>, Option<String>) {
    let barrier = Arc::new(Barrier::new(2));
    let (one, other) = tokio::join!(
        async {
            barrier.wait().await;
            one.await.map(|_| ())
        },
        async {
            barrier.wait().await;
            other.await.map(|_| ())
        },
    );
    let code = |answer: Result<(), Status>| answer.err().map(|status| Fault::from(status).code);
    (code(one), code(other))
}

/// Starts a task of ada's on one replica while `other` runs.
async fn while_started<B>(
    s: &Setup,
    round: usize,
    id: &str,
    other: impl Future<Output = Result<Response<B>, Status>>,
) -> (Option<String>, Option<String>) {
    let request = s.developer.request(StartTaskRequest { id: id.into() });
    let mut tasks = s.tasks(round);
    let outcome = at_once(async { tasks.start_task(request).await }, other).await;
    if outcome.0.is_none() {
        let complete = CompleteTaskRequest { id: id.into() };
        let complete = s.developer.request(complete);
        s.tasks(round).complete_task(complete).await.unwrap();
    }
    outcome
}

#[track_caller]
fn one_is_refused(
    (started, other): &(Option<String>, Option<String>),
    if_other_first: &str,
    if_started_first: &str,
) {
    match (started.as_deref(), other.as_deref()) {
        (Some(code), None) => assert_eq!(code, if_other_first),
        (None, Some(code)) => assert_eq!(code, if_started_first),
        both => panic!("{both:?}"),
    }
}

pub(super) async fn a_task_is_reassigned_or_started(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 1).await;
        let id = release.tasks[0].id.clone();
        let update = s.admin.request(UpdateTaskRequest {
            id: id.clone(),
            assignee: Some(Assignee::AssigneeUsername("bob".into())),
            ..UpdateTaskRequest::default()
        });
        let mut tasks = s.tasks(round + 1);
        let update = async { tasks.update_task(update).await };
        let outcome = while_started(&s, round, &id, update).await;
        one_is_refused(&outcome, "NOT_ASSIGNEE", "TASK_STARTED");
        let owner = s.get(&release.id).await.tasks[0].assignee.clone();
        let expected = if outcome.1.is_none() { "bob" } else { "ada" };
        assert_eq!(owner.unwrap().username, expected);
    }
}

pub(super) async fn a_task_is_deleted_or_started(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 2).await;
        let id = release.tasks[0].id.clone();
        let delete = s.admin.request(DeleteTaskRequest {
            id: id.clone(),
            revision: 0,
        });
        let mut tasks = s.tasks(round + 1);
        let delete = async { tasks.delete_task(delete).await };
        let outcome = while_started(&s, round, &id, delete).await;
        one_is_refused(&outcome, "TASK_NOT_FOUND", "TASK_STARTED");
        let left = s.get(&release.id).await.tasks.len();
        assert_eq!(left, if outcome.1.is_none() { 1 } else { 2 });
    }
}

pub(super) async fn a_task_is_moved_or_started(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 2).await;
        let [first, second] = [0, 1].map(|n| release.tasks[n].id.clone());
        let to_the_front = s.admin.request(UpdateTaskRequest {
            id: second,
            order_index: Some(0),
            ..UpdateTaskRequest::default()
        });
        let mut tasks = s.tasks(round + 1);
        let move_it = async { tasks.update_task(to_the_front).await };
        let outcome = while_started(&s, round, &first, move_it).await;
        one_is_refused(&outcome, "TASK_OUT_OF_ORDER", "ORDER_INDEX_PASSED");
    }
}

pub(super) async fn a_release_is_deleted_or_one_of_its_tasks_started(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 1).await;
        let id = release.tasks[0].id.clone();
        let delete = s.admin.request(DeleteReleaseRequest {
            id: release.id.clone(),
            revision: 0,
        });
        let mut releases = s.releases(round + 1);
        let delete = async { releases.delete_release(delete).await };
        let outcome = while_started(&s, round, &id, delete).await;
        one_is_refused(&outcome, "TASK_NOT_FOUND", "RELEASE_STARTED");
    }
}

pub(super) async fn a_task_is_paused_or_completed(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 1).await;
        let id = release.tasks[0].id.clone();
        let start = s.developer.request(StartTaskRequest { id: id.clone() });
        s.tasks(round).start_task(start).await.unwrap();
        let complete = s.developer.request(CompleteTaskRequest { id: id.clone() });
        let pause = s.admin.request(PauseTaskRequest {
            id: id.clone(),
            reason: "She is ill.".into(),
        });
        let (mut one, mut two) = (s.tasks(round), s.tasks(round + 1));
        let outcome = at_once(async { one.complete_task(complete).await }, async {
            two.pause_task(pause).await
        });
        let outcome = outcome.await;
        one_is_refused(&outcome, "INVALID_TRANSITION", "INVALID_TRANSITION");
        let status = s.get(&release.id).await.tasks[0].status();
        let paused = outcome.1.is_none();
        assert_eq!(status == TaskStatus::Todo, paused);
        assert_eq!(status == TaskStatus::Completed, !paused);
    }
}

pub(super) async fn of_two_changes_of_one_revision_one_is_made(s: Setup) {
    for round in 0..ROUNDS {
        let release = s.plan(format!("round {round}"), 1).await;
        let change = |title: &str| {
            s.admin.request(UpdateTaskRequest {
                id: release.tasks[0].id.clone(),
                title: Some(title.into()),
                revision: release.tasks[0].revision,
                ..UpdateTaskRequest::default()
            })
        };
        let (mut one, mut two) = (s.tasks(0), s.tasks(1));
        let (a, b) = (change("a"), change("b"));
        let outcome = at_once(async { one.update_task(a).await }, async {
            two.update_task(b).await
        });
        let outcome = outcome.await;
        one_is_refused(&outcome, "TASK_CHANGED", "TASK_CHANGED");
        let title = s.get(&release.id).await.tasks[0].title.clone();
        assert_eq!(title, if outcome.0.is_none() { "a" } else { "b" });
    }
}

pub(super) async fn what_is_deleted_is_unknown_on_both_replicas(s: Setup) {
    let release = s.plan("shared".into(), 2).await;
    let [first, second] = [0, 1].map(|n| release.tasks[n].id.clone());
    // Both replicas have the release in their caches.
    for (n, id) in [&first, &second].into_iter().enumerate() {
        let rename = s.admin.request(UpdateTaskRequest {
            id: id.clone(),
            title: Some("renamed".into()),
            ..UpdateTaskRequest::default()
        });
        s.tasks(n).update_task(rename).await.unwrap();
    }
    let delete = DeleteTaskRequest {
        id: first.clone(),
        revision: 0,
    };
    s.tasks(0)
        .delete_task(s.admin.request(delete))
        .await
        .unwrap();
    let code = |status: Status| Fault::from(status).code;
    for n in [0, 1] {
        let start = s.developer.request(StartTaskRequest { id: first.clone() });
        let refused = s.tasks(n).start_task(start).await.unwrap_err();
        assert_eq!(code(refused), "TASK_NOT_FOUND");
    }
    let delete = DeleteReleaseRequest {
        id: release.id.clone(),
        revision: 0,
    };
    let request = s.admin.request(delete.clone());
    s.releases(1).delete_release(request).await.unwrap();
    for n in [0, 1] {
        let start = s.developer.request(StartTaskRequest { id: second.clone() });
        let refused = s.tasks(n).start_task(start).await.unwrap_err();
        assert_eq!(code(refused), "TASK_NOT_FOUND");
        let get = s.bob.request(GetTaskRequest { id: second.clone() });
        let refused = s.tasks(n).get_task(get).await.unwrap_err();
        assert_eq!(code(refused), "TASK_NOT_FOUND");
        let get = s.bob.request(GetReleaseRequest {
            id: release.id.clone(),
        });
        let refused = s.releases(n).get_release(get).await.unwrap_err();
        assert_eq!(code(refused), "RELEASE_NOT_FOUND");
        let request = s.admin.request(delete.clone());
        let again = s.releases(n).delete_release(request).await;
        assert_eq!(code(again.unwrap_err()), "RELEASE_NOT_FOUND");
    }
}

pub(super) async fn a_plan_can_be_submitted_again_after_its_release_was_deleted(s: Setup) {
    let submit = async |n: usize, titles: &[&str]| -> Result<Release, String> {
        let request = s.admin.request(CreateReleaseRequest {
            name: "plan".into(),
            tasks: titles.iter().map(|title| task((*title).into())).collect(),
            once: true,
            ..CreateReleaseRequest::default()
        });
        let created = s.releases(n).create_release(request).await;
        let created = created.map_err(|status| Fault::from(status).code)?;
        Ok(created.into_inner().release.unwrap())
    };
    let delete = async |release: &Release| {
        let request = s.admin.request(DeleteReleaseRequest {
            id: release.id.clone(),
            revision: release.revision,
        });
        s.releases(0).delete_release(request).await.unwrap();
    };
    let mistyped = submit(0, &["Tset"]).await.unwrap();
    assert_eq!(submit(1, &["Tset"]).await.unwrap().id, mistyped.id);
    assert_eq!(submit(1, &["Test"]).await.unwrap_err(), "RELEASE_EXISTS");
    delete(&mistyped).await;
    let corrected = submit(1, &["Test"]).await.unwrap();
    assert_ne!(corrected.id, mistyped.id);
    assert_eq!(submit(0, &["Test"]).await.unwrap().id, corrected.id);
    assert_eq!(submit(0, &["Tset"]).await.unwrap_err(), "RELEASE_EXISTS");
    delete(&corrected).await;
    let again = submit(0, &["Test"]).await.unwrap();
    assert!(again.id != corrected.id && again.id != mistyped.id);
}
