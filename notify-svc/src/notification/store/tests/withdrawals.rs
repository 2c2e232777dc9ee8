//! Withdrawing notifications that are not true any more.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Opened, after, claim, start, user};
use crate::{
    notification::{Draft, Notification, State, Subject, audience::Withdrawal},
    store::testing::on_each,
};

on_each!(Opened:
    notifications_about_deleted_tasks_are_withdrawn_while_they_wait
    only_the_former_owner_of_a_reassigned_task_is_no_longer_told_of_it
);

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

async fn notifications_about_deleted_tasks_are_withdrawn_while_they_wait(
    open: impl Fn() -> Opened,
) {
    let Opened { store, .. } = open();
    let all = vec![
        about(1, "task.assigned", json!({"taskId": DELETED})),
        about(2, "task.assigned", json!({"taskId": DELETED})),
        about(3, "task.ready", json!({"task": {"id": DELETED}})),
        about(4, "comment.posted", json!({"task": {"id": DELETED}})),
        about(5, "task.assigned", json!({"taskId": OTHER})),
        about(6, "order-placed", json!({"taskId": DELETED})),
    ];
    let ids: Vec<_> = all.iter().map(|notification| notification.id).collect();
    store.enqueue(all).await.unwrap();
    let claimed = store.claim(&claim(after(1)), 1).await.unwrap();
    assert_eq!(claimed.len(), 1, "it is being sent");
    let withdraw = async |since| {
        let deleted = Withdrawal {
            task: DELETED,
            since,
            former_owner: None,
        };
        store.withdraw(&[deleted], after(50)).await.unwrap()
    };
    assert_eq!(withdraw(after(7)).await, 0);
    assert_eq!(withdraw(start()).await, 3);
    assert_eq!(withdraw(start()).await, 0);
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

async fn only_the_former_owner_of_a_reassigned_task_is_no_longer_told_of_it(
    open: impl Fn() -> Opened,
) {
    let Opened { store, .. } = open();
    let all = vec![
        about(1, "task.assigned", json!({"taskId": OTHER})),
        about(1, "comment.posted", json!({"task": {"id": OTHER}})),
        about(2, "task.assigned", json!({"taskId": OTHER})),
        about(1, "task.assigned", json!({"taskId": DELETED})),
    ];
    let ids: Vec<_> = all.iter().map(|notification| notification.id).collect();
    let owner = all[0].to.user();
    // Each is about an event of its own.
    let all = all
        .into_iter()
        .enumerate()
        .map(|(n, notification)| Notification {
            event_id: Uuid::from_u128(n as u128),
            ..notification
        });
    store.enqueue(all.collect()).await.unwrap();
    let reassigned = Withdrawal {
        task: OTHER,
        since: start(),
        former_owner: owner,
    };
    let withdrawn = store.withdraw(&[reassigned], after(50)).await.unwrap();
    assert_eq!(withdrawn, 1);
    let found = store.get(ids[0]).await.unwrap().unwrap();
    assert_eq!(found.state, State::Suppressed);
    assert!(found.reason.unwrap().starts_with("TASK_REASSIGNED: "));
}
