//! Correcting notifications that are not true any more.

use jiff::Timestamp;
use serde_json::{Value, json};
use slipway_bus::{Actor, Event, event::Origin};
use slipway_proto::events::{TaskDeletedEvent, UserRef};
use uuid::Uuid;

use super::{Opened, after, claim, user};
use crate::{
    notification::{Draft, Notification, State, Subject, corrections::Correction, store::READ},
    samples,
    store::testing::on_each,
};

on_each!(Opened:
    notifications_about_deleted_tasks_are_withdrawn_while_they_wait
    however_many_wait_all_are_withdrawn
);

const RELEASE: Uuid = Uuid::from_u128(0x4e1);
const DELETED: Uuid = Uuid::from_u128(0xde1);
const OTHER: Uuid = Uuid::from_u128(0x07e);

fn about(n: u128, kind: &str, data: Value) -> Notification {
    let draft = Draft {
        kind: kind.to_owned(),
        to: user(n),
        data,
        sender: None,
    };
    let now = after(i64::try_from(n).unwrap());
    Notification::new(draft, Uuid::from_u128(n), Subject::new(kind), now)
}

fn task(id: Uuid) -> Value {
    json!({"taskId": id, "releaseId": RELEASE})
}

/// What the deletion of the task changes.
fn deleted() -> Vec<Correction> {
    let owner = UserRef {
        id: OTHER,
        username: "ada".into(),
    };
    let task = samples::task(DELETED, RELEASE, owner);
    let origin = Origin {
        service: "release-svc",
        key: RELEASE,
        subject: DELETED,
        actor: &Actor::System,
        time: Timestamp::UNIX_EPOCH,
    };
    Correction::by(&Event::new(&TaskDeletedEvent { task }, &origin))
}

async fn notifications_about_deleted_tasks_are_withdrawn_while_they_wait(
    open: impl Fn() -> Opened,
) {
    let Opened { store, .. } = open();
    let nested = json!({"task": {"id": DELETED, "releaseId": RELEASE}});
    let all = vec![
        about(1, "task.assigned", task(DELETED)),
        about(2, "task.assigned", task(DELETED)),
        about(3, "task.ready", nested.clone()),
        about(4, "comment.posted", nested),
        about(5, "task.assigned", task(OTHER)),
        about(6, "order-placed", task(DELETED)),
    ];
    let ids: Vec<_> = all.iter().map(|notification| notification.id).collect();
    store.enqueue(all).await.unwrap();
    let claimed = store.claim(&claim(after(1)), 1).await.unwrap();
    assert_eq!(claimed.len(), 1, "it is being sent");
    let withdrawn = store.correct(&deleted(), after(50)).await.unwrap();
    assert_eq!(withdrawn, 3);
    assert_eq!(store.correct(&deleted(), after(50)).await.unwrap(), 0);
    let mut states = Vec::new();
    for id in ids {
        let found = store.get(id).await.unwrap().unwrap();
        let is_withdrawn = found.state == State::Suppressed;
        let reason = found.reason.unwrap_or_default();
        assert_eq!(is_withdrawn, reason.starts_with("TASK_DELETED: "));
        states.push(found.state);
    }
    use State::{Queued, Sending, Suppressed};
    let expected = [Sending, Suppressed, Suppressed, Suppressed, Queued, Queued];
    assert_eq!(states, expected);
}

async fn however_many_wait_all_are_withdrawn(open: impl Fn() -> Opened) {
    let Opened { store, .. } = open();
    let count = u128::from(READ) + 5;
    let all = (1..=count).map(|n| about(n, "task.assigned", task(DELETED)));
    store.enqueue(all.collect()).await.unwrap();
    let withdrawn = store.correct(&deleted(), after(500)).await.unwrap();
    assert_eq!(withdrawn as u128, count);
}
