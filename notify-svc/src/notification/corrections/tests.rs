//! What each event changes about the notifications that wait.

use jiff::Timestamp;
use serde_json::json;
use slipway_bus::{Actor, event::Origin};
use slipway_proto::events::{
    Payload, ReleaseCompletedEvent, TaskCompletedEvent, TaskDeletedEvent, TaskStartedEvent,
    TaskUpdatedEvent, UserRef,
};

use super::*;
use crate::{
    notification::{Draft, State, Subject},
    samples,
};

const ADA: Uuid = Uuid::from_u128(0xada);
const BOB: Uuid = Uuid::from_u128(0xb0b);
const RELEASE: Uuid = Uuid::from_u128(0x4e1);
const BUILD: Uuid = Uuid::from_u128(0xb11d);
const SHIP: Uuid = Uuid::from_u128(0x5417);

/// Smaller than the id of every event that is made now.
const EARLIER: Uuid = Uuid::from_u128(1);

fn event<P: Payload>(payload: &P) -> Event {
    let origin = Origin {
        service: "release-svc",
        key: RELEASE,
        subject: RELEASE,
        actor: &Actor::System,
        time: Timestamp::UNIX_EPOCH,
    };
    Event::new(payload, &origin)
}

fn task(id: Uuid) -> TaskData {
    samples::task(id, RELEASE, user(ADA))
}

fn user(id: Uuid) -> UserRef {
    UserRef {
        id,
        username: "somebody".into(),
    }
}

fn waiting(kind: &str, data: Value) -> Notification {
    let draft = Draft {
        kind: kind.to_owned(),
        to: To::User(ADA),
        data,
        sender: None,
    };
    Notification::new(draft, EARLIER, Subject::new(kind), Timestamp::UNIX_EPOCH)
}

/// A notification of each type about the task.
fn about(task: Uuid) -> Vec<Notification> {
    let flat = json!({"taskId": task, "releaseId": RELEASE});
    let nested = json!({"task": {"id": task, "releaseId": RELEASE}});
    let of = |kind, data: &Value| waiting(kind, data.clone());
    vec![
        of("task.assigned", &flat),
        of("task.hotfix_added", &flat),
        of("task.stale_detected", &flat),
        of("task.reminder_due", &flat),
        of("task.ready", &nested),
        of("task.paused", &nested),
        of("task.commented", &nested),
        of("comment.posted", &nested),
    ]
}

/// The types of those notifications that an event withdraws, with the reason's code.
fn withdrawn(event: &Event, waiting: &[Notification]) -> (Vec<String>, String) {
    let by = Correction::by(event);
    let after = waiting.iter().filter_map(|one| corrected(one, &by));
    let gone: Vec<_> = after.filter(|one| one.state == State::Suppressed).collect();
    let reason = gone.first().and_then(|one| one.reason.clone());
    let code = reason.unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default().to_owned();
    (gone.into_iter().map(|one| one.kind).collect(), code)
}

#[test]
fn mails_about_a_task_are_withdrawn_when_they_are_not_true_any_more() {
    let of_build = about(BUILD);
    let all: Vec<_> = of_build.iter().map(|one| one.kind.as_str()).collect();
    let started = event(&TaskStartedEvent { task: task(BUILD) });
    let completed = event(&TaskCompletedEvent {
        task: task(BUILD),
        duration_ms: 1,
        next_task: None,
    });
    let deleted = event(&TaskDeletedEvent { task: task(BUILD) });
    let to_start: Vec<_> = [&all[..2], &all[4..6]].concat();
    for (event, kinds, code) in [
        (&started, &to_start[..], "TASK_STARTED"),
        (&completed, &all[..6], "TASK_COMPLETED"),
        (&deleted, &all[..], "TASK_DELETED"),
    ] {
        let (gone, reason) = withdrawn(event, &of_build);
        assert_eq!(
            (gone, reason.as_str()),
            (kinds.iter().map(|kind| (*kind).to_owned()).collect(), code)
        );
        assert_eq!(withdrawn(event, &about(SHIP)).0, [""; 0], "of another task");
    }
}

#[test]
fn mails_to_the_former_owner_of_a_task_are_withdrawn() {
    let reassigned = |from| {
        event(&TaskUpdatedEvent {
            task: task(BUILD),
            changed: vec!["assignee".into()],
            changes: Vec::new(),
            previous_assignee: Some(user(from)),
        })
    };
    let (gone, code) = withdrawn(&reassigned(ADA), &about(BUILD));
    assert_eq!((gone.len(), code.as_str()), (7, "TASK_REASSIGNED"));
    assert_eq!(withdrawn(&reassigned(BOB), &about(BUILD)).0, [""; 0]);
}

#[test]
fn waiting_mails_say_the_new_due_date_of_a_task() {
    let due = "2026-03-02T09:00:00Z";
    let rescheduled = |due: Option<&str>| {
        let due_at = due.map(|due| due.parse().unwrap());
        event(&TaskUpdatedEvent {
            task: TaskData {
                due_at,
                ..task(BUILD)
            },
            changed: vec!["dueAt".into()],
            changes: Vec::new(),
            previous_assignee: None,
        })
    };
    let (gone, code) = withdrawn(&rescheduled(Some(due)), &about(BUILD));
    assert_eq!(
        (gone, code.as_str()),
        (vec!["task.reminder_due".to_owned()], "TASK_RESCHEDULED")
    );
    // The time of the reminder has passed.
    let late = event(&TaskUpdatedEvent {
        task: TaskData {
            due_at: Some(Timestamp::UNIX_EPOCH),
            remind_before_minutes: Some(60),
            ..task(BUILD)
        },
        changed: vec!["dueAt".into()],
        changes: Vec::new(),
        previous_assignee: None,
    });
    assert_eq!(withdrawn(&late, &about(BUILD)).0, [""; 0]);
    for place in ["/dueAt", "/task/dueAt"] {
        let [flat, .., nested, _, _, _] = &about(BUILD)[..] else {
            panic!("there are more types");
        };
        let before = if place == "/dueAt" { flat } else { nested };
        let after = corrected(before, &Correction::by(&rescheduled(Some(due)))).unwrap();
        assert_eq!(after.data.pointer(place), Some(&json!(due)));
        let none = corrected(&after, &Correction::by(&rescheduled(None))).unwrap();
        assert_eq!(none.data.pointer(place), None);
    }
    assert_eq!(withdrawn(&rescheduled(None), &about(SHIP)).0, [""; 0]);
}

#[test]
fn only_the_task_that_is_next_is_said_to_be_ready() {
    let ready = |id| {
        event(&TaskReadyEvent {
            task: task(id),
            position: 1,
            announced_by: None,
        })
    };
    let (gone, code) = withdrawn(&ready(SHIP), &about(BUILD));
    assert_eq!(
        (gone, code.as_str()),
        (vec!["task.ready".to_owned()], "TASK_NOT_NEXT")
    );
    assert_eq!(withdrawn(&ready(BUILD), &about(BUILD)).0, [""; 0]);

    let of_release = [waiting("release.ready", json!({"releaseId": RELEASE}))];
    let (gone, code) = withdrawn(&ready(SHIP), &of_release);
    assert_eq!((gone.len(), code.as_str()), (1, "RELEASE_NOT_READY"));
    let completed = ReleaseCompletedEvent {
        release_id: RELEASE,
        release_name: "Spring".into(),
        version: String::new(),
        total_tasks: 1,
        completed_at: Timestamp::UNIX_EPOCH,
    };
    let (gone, code) = withdrawn(&event(&completed), &of_release);
    assert_eq!((gone.len(), code.as_str()), (1, "RELEASE_COMPLETED"));
}

#[test]
fn an_assignment_says_whether_the_task_can_start_now() {
    let ready = event(&TaskReadyEvent {
        task: task(BUILD),
        position: 1,
        announced_by: None,
    });
    let by = Correction::by(&ready);
    for (task, before, after) in [(BUILD, false, true), (SHIP, true, false)] {
        let data = json!({"taskId": task, "releaseId": RELEASE, "canStart": before});
        let assigned = waiting("task.assigned", data);
        let now = corrected(&assigned, &by).unwrap();
        assert_eq!(
            (now.state, &now.data["canStart"]),
            (State::Queued, &json!(after))
        );
        assert_eq!(corrected(&now, &by), None);
    }
}

#[test]
fn a_mail_of_a_later_event_stays() {
    let started = event(&TaskStartedEvent { task: task(BUILD) });
    let later = Notification {
        event_id: event(&TaskStartedEvent { task: task(BUILD) }).id,
        ..about(BUILD).remove(4)
    };
    assert_eq!(corrected(&later, &Correction::by(&started)), None);
}
