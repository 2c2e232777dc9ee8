//! Tests of changes, deletions and pauses, and of what they announce.

use serde_json::json;
use slipway_proto::events::{
    ReleaseDeletedEvent, ReleaseUpdatedEvent, TaskDeletedEvent, TaskPausedEvent, TaskPriority,
    TaskUpdatedEvent,
};
use slipway_rpc::access::Role;

use super::*;
use crate::identity::By;

fn admin() -> By {
    By {
        user: UserId::generate(),
        role: Role::Admin,
    }
}

fn developer(user: &UserRef) -> By {
    By {
        user: user.id,
        role: Role::Developer,
    }
}

fn to(owner: &UserRef) -> TaskChange {
    TaskChange {
        assignee: Some(owner.clone()),
        ..TaskChange::default()
    }
}

fn moved(index: i64) -> TaskChange {
    TaskChange {
        order_index: Some(OrderIndex::new(index).unwrap()),
        ..TaskChange::default()
    }
}

fn named(title: &str) -> TaskChange {
    TaskChange {
        title: Some(Text::title(title).unwrap()),
        ..TaskChange::default()
    }
}

fn titles(release: &Release) -> Vec<&str> {
    release
        .tasks
        .iter()
        .map(|task| task.title.as_str())
        .collect()
}

#[test]
fn a_changed_task_is_announced_as_it_is_now_with_what_was_changed() {
    let ada = user("ada");
    let release = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let id = release.tasks[0].id;
    let change = TaskChange {
        description: Some(Text::description("how").unwrap()),
        due_at: Some(Some(at(7_200))),
        priority: Some(Priority::High),
        tags: Some(Tags::new(["UI", "api"]).unwrap()),
        remind_before: Some(Some(RemindBefore::new(30).unwrap())),
        ..named("b")
    };
    let changed = release
        .change_task(id, admin(), None, change, at(1))
        .unwrap();
    let events: Vec<TaskUpdatedEvent> = payloads(&changed);
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    let task = &event.task;
    assert_eq!((&*task.title, &*task.description), ("b", "how"));
    assert_eq!(
        (task.due_at, task.priority),
        (Some(at(7_200)), Some(TaskPriority::High))
    );
    assert_eq!(task.tags, ["api", "ui"]);
    assert_eq!(task.remind_before_minutes, Some(30));
    assert_eq!(
        event.changed,
        [
            "title",
            "description",
            "dueAt",
            "priority",
            "tags",
            "remindBeforeMinutes"
        ]
    );
    assert_eq!(event.previous_assignee, None);
    let fields = event.changes.iter().map(|change| &change.field);
    assert!(fields.eq(&event.changed));
    let changes = event
        .changes
        .iter()
        .map(|change| (&change.from, &change.to));
    let expected = [
        (json!("a"), json!("b")),
        (json!(""), json!("how")),
        (json!(null), json!(at(7_200))),
        (json!("NORMAL"), json!("HIGH")),
        (json!(null), json!(["api", "ui"])),
        (json!(null), json!(30)),
    ];
    assert!(changes.eq(expected.iter().map(|(from, to)| (from, to))));
    assert_eq!(changed.events.len(), 1, "nothing else happened");
    let task = &changed.release.tasks[0];
    assert_eq!(task.remind_at(), Some(at(5_400)));

    let cleared = TaskChange {
        due_at: Some(None),
        remind_before: Some(None),
        ..TaskChange::default()
    };
    let cleared = changed
        .release
        .change_task(id, admin(), None, cleared, at(1));
    let task = &cleared.unwrap().release.tasks[0];
    assert_eq!(
        (task.due_at, task.remind_before, task.remind_at()),
        (None, None, None)
    );
}

#[test]
fn a_new_owner_is_told_and_the_turn_is_announced_to_them() {
    let (ada, bob) = (user("ada"), user("bob"));
    let tasks = vec![draft("a", &ada, None), draft("b", &ada, None)];
    let release = plan(tasks).unwrap().release;
    let first = release.tasks[0].id;
    let given = release
        .change_task(first, admin(), None, to(&bob), at(1))
        .unwrap();
    let updated: Vec<TaskUpdatedEvent> = payloads(&given);
    let previous = updated[0].previous_assignee.as_ref().unwrap();
    assert_eq!(
        (&*updated[0].task.assignee.username, &*previous.username),
        ("bob", "ada")
    );
    let told = assigned(&given);
    assert_eq!(
        (&*told[0].developer_name, told[0].can_start),
        ("bob", Some(true))
    );
    assert_eq!(
        turns(&given),
        [turn("a", 1, Some(TaskAssignedEvent::TYPE))],
        "the new owner can start it"
    );
    let second = release.tasks[1].id;
    let given = release
        .change_task(second, admin(), None, to(&bob), at(1))
        .unwrap();
    assert_eq!(assigned(&given)[0].can_start, Some(false));
    assert_eq!(turns(&given), []);
}

#[test]
fn a_new_owner_of_a_hotfix_is_told_that_it_is_one() {
    let (ada, bob) = (user("ada"), user("bob"));
    let release = work_off(plan(vec![draft("a", &ada, None)]).unwrap().release);
    let done = release.complete(at(3)).unwrap().release;
    let release = done
        .add_task(draft("fix", &ada, None), at(4))
        .unwrap()
        .release;
    let fix = release.tasks[1].id;
    let given = release
        .change_task(fix, admin(), None, to(&bob), at(1))
        .unwrap();
    let told: Vec<HotfixTaskAddedEvent> = payloads(&given);
    assert_eq!((told.len(), &*told[0].developer_name), (1, "bob"));
    assert!(assigned(&given).is_empty());
}

#[test]
fn a_task_moves_to_a_free_place_behind_every_started_one() {
    let ada = user("ada");
    let tasks = ["a", "b", "c"].map(|title| draft(title, &ada, None));
    let release = plan(tasks.into()).unwrap().release;
    let [a, b, c] = [0, 1, 2].map(|n| release.tasks[n].id);
    let first = release
        .change_task(c, admin(), None, moved(0), at(1))
        .unwrap();
    assert_eq!(titles(&first.release), ["c", "a", "b"]);
    assert_eq!(turns(&first), [turn("c", 1, None)]);
    let code = |decision: Result<Decision, Refusal>| decision.map_err(|refusal| refusal.code());
    let to_b = release.change_task(a, admin(), None, moved(2), at(1));
    assert_eq!(code(to_b).unwrap_err(), "ORDER_INDEX_TAKEN");
    let started = release.start(a, ada.id, at(1), STALE).unwrap().release;
    let before = started.change_task(b, admin(), None, moved(0), at(1));
    assert_eq!(code(before).unwrap_err(), "ORDER_INDEX_PASSED");
    for change in [moved(9), to(&user("bob"))] {
        let refused = started.change_task(a, admin(), None, change, at(1));
        assert_eq!(code(refused).unwrap_err(), "TASK_STARTED");
    }
    let unmoved = TaskChange {
        order_index: Some(started.tasks[0].order_index),
        ..named("z")
    };
    let renamed = started
        .change_task(a, admin(), None, unmoved, at(1))
        .unwrap();
    assert_eq!(
        titles(&renamed.release),
        ["z", "b", "c"],
        "its title can be corrected"
    );
}

#[test]
fn an_owner_may_change_the_reminder_and_nothing_else() {
    let (ada, bob) = (user("ada"), user("bob"));
    let release = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let id = release.tasks[0].id;
    let reminder = || TaskChange {
        remind_before: Some(Some(RemindBefore::new(5).unwrap())),
        ..TaskChange::default()
    };
    assert!(
        release
            .change_task(id, developer(&ada), None, reminder(), at(1))
            .is_ok()
    );
    let code = |by, change| {
        release
            .change_task(id, by, None, change, at(1))
            .unwrap_err()
            .code()
    };
    assert_eq!(code(developer(&bob), reminder()), "NOT_ASSIGNEE");
    let of_bob = release.change_task(id, developer(&bob), None, reminder(), at(1));
    assert_eq!(
        of_bob.unwrap_err().to_string(),
        "The task is assigned to ada; only they and admins can change its reminder."
    );
    let more = TaskChange {
        priority: Some(Priority::Low),
        ..reminder()
    };
    for anybody in [&ada, &bob] {
        assert_eq!(code(developer(anybody), more.clone()), "ADMIN_REQUIRED");
    }
}

#[test]
fn a_deleted_task_leaves_a_gap_and_the_next_one_gets_its_turn() {
    let (ada, bob) = (user("ada"), user("bob"));
    let tasks = vec![draft("a", &ada, None), draft("b", &bob, None)];
    let release = plan(tasks).unwrap().release;
    let deleted = release.delete_task(release.tasks[0].id, None).unwrap();
    assert_eq!(deleted.release.tasks, release.tasks[1..]);
    let events: Vec<TaskDeletedEvent> = payloads(&deleted);
    assert_eq!(
        (&*events[0].task.title, &*events[0].task.assignee.username),
        ("a", "ada")
    );
    assert_eq!(turns(&deleted), [turn("b", 1, None)]);
    let empty = deleted
        .release
        .delete_task(release.tasks[1].id, None)
        .unwrap();
    assert_eq!(
        empty.events.len(),
        1,
        "there is nothing to do in an empty release"
    );
}

#[test]
fn the_deletion_of_the_last_open_task_makes_the_release_ready() {
    let ada = user("ada");
    let tasks = vec![draft("a", &ada, None), draft("b", &ada, None)];
    let release = plan(tasks).unwrap().release;
    let [a, b] = [0, 1].map(|n| release.tasks[n].id);
    let started = release.start(a, ada.id, at(1), STALE).unwrap().release;
    assert_eq!(
        started.delete_task(a, None).unwrap_err().code(),
        "TASK_STARTED"
    );
    let half = started.complete_task(a, ada.id, at(2)).unwrap().release;
    let ready = half.delete_task(b, None).unwrap();
    assert_eq!(payloads::<ReleaseReadyEvent>(&ready).len(), 1);
    assert!(ready.release.complete(at(3)).is_ok());
}

#[test]
fn a_paused_task_is_to_be_started_again_and_keeps_the_time_worked() {
    let (ada, bob) = (user("ada"), user("bob"));
    let tasks = vec![draft("a", &ada, None), draft("b", &bob, None)];
    let release = plan(tasks).unwrap().release;
    let [a, b] = [0, 1].map(|n| release.tasks[n].id);
    let code = |decision: Result<Decision, Refusal>| decision.unwrap_err().code();
    let early = release.pause(a, developer(&ada), reason("why"), at(5));
    assert_eq!(code(early), "INVALID_TRANSITION");
    let started = release.start(a, ada.id, at(10), STALE).unwrap().release;
    let others = started.pause(a, developer(&bob), reason("why"), at(20));
    assert_eq!(code(others), "NOT_ASSIGNEE");
    let paused = started
        .pause(a, developer(&ada), reason(" ill\n"), at(20))
        .unwrap();
    let events: Vec<TaskPausedEvent> = payloads(&paused);
    assert_eq!((&*events[0].reason, events[0].worked_ms), ("ill", 10_000));
    assert_eq!(&*events[0].planned_by.username, "admin");
    assert_eq!(turns(&paused), [turn("a", 1, Some(TaskPausedEvent::TYPE))]);
    let paused = paused.release;
    assert_eq!(paused.tasks[0].state, TaskState::Todo);
    assert_eq!(
        code(paused.start(b, bob.id, at(21), STALE)),
        "TASK_OUT_OF_ORDER"
    );

    let given = paused
        .change_task(a, admin(), None, to(&bob), at(1))
        .unwrap();
    assert_eq!(turns(&given), [turn("a", 1, Some(TaskAssignedEvent::TYPE))]);
    let started = given
        .release
        .start(a, bob.id, at(100), STALE)
        .unwrap()
        .release;
    let paused = started.pause(a, admin(), reason("stop"), at(105)).unwrap();
    let started = paused
        .release
        .start(a, bob.id, at(200), STALE)
        .unwrap()
        .release;
    let done = started.complete_task(a, bob.id, at(207)).unwrap();
    let events: Vec<slipway_proto::events::TaskCompletedEvent> = payloads(&done);
    assert_eq!(events[0].duration_ms, 22_000);
    assert_eq!(done.release.tasks[0].worked_ms(), 22_000);
}

#[test]
fn a_clock_that_goes_back_takes_no_time_off_a_paused_task() {
    let ada = user("ada");
    let release = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let id = release.tasks[0].id;
    let started = release.start(id, ada.id, at(100), STALE).unwrap().release;
    let paused = started.pause(id, developer(&ada), reason("why"), at(50));
    assert_eq!(paused.unwrap().release.tasks[0].worked_ms(), 0);
}

#[test]
fn a_renamed_release_is_announced_and_its_tasks_change_with_it() {
    let release = plan(vec![draft("a", &user("ada"), None)]).unwrap().release;
    let change = |name: &str, version: &str| ReleaseChange {
        name: Some(Text::title(name).unwrap()),
        version: Some(Text::version(version).unwrap()),
        ..ReleaseChange::default()
    };
    let renamed = release.change(Some(Revision(1)), change("s", "2")).unwrap();
    let events: Vec<ReleaseUpdatedEvent> = payloads(&renamed);
    assert_eq!((&*events[0].release_name, &*events[0].version), ("s", "2"));
    assert_eq!(events[0].changed, ["name", "version"]);
    let changes = events[0].changes.iter();
    let changes = changes.map(|change| (&*change.field, &change.from, &change.to));
    let expected = [
        ("name", json!("r"), json!("s")),
        ("version", json!(""), json!("2")),
    ];
    assert!(changes.eq(expected.iter().map(|(field, from, to)| (*field, from, to))));
    assert_eq!(renamed.release.tasks[0].revision, Revision(2));
    let renamed = renamed.release;
    let same = renamed.change(None, change("s", "2")).unwrap();
    assert_eq!((&same.release, same.events.len()), (&renamed, 0));
    let version = renamed.change(None, change("s", "3")).unwrap().release;
    assert_eq!(
        version.tasks[0].revision,
        Revision(2),
        "only the release changed"
    );
    let stale = renamed.change(Some(Revision(1)), change("t", "4"));
    assert_eq!(
        stale,
        Err(Refusal::ReleaseChanged {
            revision: Revision(2)
        })
    );
}

#[test]
fn a_release_of_which_nothing_is_started_is_deleted_with_its_tasks() {
    let ada = user("ada");
    let tasks = vec![draft("a", &ada, None), draft("b", &ada, None)];
    let release = plan(tasks).unwrap().release;
    let deleted = release.delete(None, at(1)).unwrap();
    assert_eq!(deleted.release.deleted_at, Some(at(1)));
    assert!(deleted.release.tasks.is_empty());
    let events: Vec<ReleaseDeletedEvent> = payloads(&deleted);
    assert_eq!((&*events[0].release_name, events[0].total_tasks), ("r", 2));
    let events: Vec<TaskDeletedEvent> = payloads(&deleted);
    assert_eq!(events.len(), 2);
    assert_eq!(deleted.events.len(), 3);

    let started = release.start(release.tasks[0].id, ada.id, at(1), STALE);
    let started = started.unwrap().release;
    let refusal = started.delete(None, at(2)).unwrap_err();
    assert_eq!(refusal.code(), "RELEASE_STARTED");
    assert!(refusal.to_string().starts_with("“a” is IN_PROCESS."));
}

#[test]
fn a_change_does_not_exceed_the_limit_of_text() {
    let large = Text::description(&"x".repeat(8_000)).unwrap();
    let long = TaskDraft {
        description: large.clone(),
        ..draft("t", &user("ada"), None)
    };
    let mut tasks = vec![long; MAX_TEXT / 8_001];
    tasks[0].description = Text::description("").unwrap();
    let release = plan(tasks).unwrap().release;
    let with_room = TaskChange {
        description: Some(large),
        ..TaskChange::default()
    };
    let full = release.change_task(release.tasks[0].id, admin(), None, with_room, at(1));
    let full = full.unwrap().release;
    let more = ReleaseChange {
        description: Some(Text::description(&"x".repeat(8_000)).unwrap()),
        ..ReleaseChange::default()
    };
    assert_eq!(
        full.change(None, more),
        Err(Refusal::ReleaseFull(Full::Text))
    );
}
