//! Stale tasks and reminders.

use slipway_proto::events::{StaleTaskDetectedEvent, TaskReminderDueEvent};
use slipway_rpc::access::Role;

use super::*;
use crate::identity::By;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn hours(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + HOUR * i32::try_from(hours).unwrap()
}

/// A release whose first task was started at 0.
fn started() -> (Release, TaskId, UserRef) {
    let ada = user("ada");
    let release = plan(vec![draft("a", &ada, None), draft("b", &ada, None)]).unwrap();
    let task = release.release.tasks[0].id;
    let started = release.release.start(task, ada.id, hours(0), STALE);
    (started.unwrap().release, task, ada)
}

#[test]
fn a_task_is_reported_when_the_limit_is_passed_and_then_at_a_fixed_pace() {
    let (release, task, ada) = started();
    let before = hours(48) - SignedDuration::from_millis(1);
    assert_eq!(release.due_at(), Some(hours(48)));
    assert_eq!(release.pass_time(before, STALE), None);
    let reported = release.pass_time(hours(48), STALE).unwrap();
    assert_eq!(reported.events, [ReleaseEvent::TaskStale(task)]);
    assert_eq!(reported.release.revision, release.revision.next());
    let events = super::super::events::of(&reported, &Actor::System, hours(48));
    let payload: StaleTaskDetectedEvent = events[0].payload().unwrap();
    assert_eq!((payload.developer_id, payload.hours), (ada.id.0, 48));
    let release = reported.release;
    assert_eq!(release.pass_time(hours(48), STALE), None);
    assert_eq!(release.due_at(), Some(hours(72)));
    assert!(release.pass_time(hours(72), STALE).is_some());
}

#[test]
fn after_an_outage_a_task_is_reported_once_and_keeps_its_pace() {
    let (release, task, _) = started();
    let late = release.pass_time(hours(100), STALE).unwrap();
    assert_eq!(late.events, [ReleaseEvent::TaskStale(task)]);
    assert_eq!(late.release.due_at(), Some(hours(120)));
    let in_time = late.release.pass_time(hours(120), STALE).unwrap();
    assert_eq!(in_time.release.due_at(), Some(hours(144)));
}

#[test]
fn a_completed_task_is_never_reported() {
    let (release, task, ada) = started();
    let last_second = hours(48) - SignedDuration::from_secs(1);
    let done = release
        .complete_task(task, ada.id, last_second)
        .unwrap()
        .release;
    assert_eq!(done.due_at(), None);
    assert_eq!(done.pass_time(hours(1000), STALE), None);
    // The next task has its own time.
    let next = done.start(done.tasks[1].id, ada.id, hours(50), STALE);
    assert_eq!(next.unwrap().release.due_at(), Some(hours(98)));
}

#[test]
fn extreme_durations_do_not_overflow() {
    let (release, ..) = started();
    let slow = StaleRule {
        after: SignedDuration::MAX,
        repeat: SignedDuration::MAX,
    };
    assert_eq!(slow.first(hours(0)), Timestamp::MAX);
    let reported = release.pass_time(hours(48), slow).unwrap();
    assert_eq!(reported.release.due_at(), Some(Timestamp::MAX));
    let fast = StaleRule {
        repeat: SignedDuration::from_millis(1),
        ..STALE
    };
    let reported = release.pass_time(Timestamp::MAX, fast).unwrap();
    assert_eq!(reported.release.due_at(), Some(Timestamp::MAX));
}

/// A release with one task, which is due at this hour, with a reminder an hour before.
fn reminding(due: Option<i64>) -> (Release, TaskId, UserRef) {
    let ada = user("ada");
    let task = TaskDraft {
        due_at: due.map(hours),
        remind_before: Some(RemindBefore::new(60).unwrap()),
        ..draft("a", &ada, None)
    };
    let release = plan(vec![task]).unwrap().release;
    let task = release.tasks[0].id;
    (release, task, ada)
}

fn changed(release: &Release, task: TaskId, change: TaskChange, now: Timestamp) -> Release {
    let admin = By {
        user: UserId::generate(),
        role: Role::Admin,
    };
    let changed = release.change_task(task, admin, None, change, now);
    changed.unwrap().release
}

/// The reminder that is due.
fn reminded(release: &Release, now: Timestamp) -> (Release, TaskReminderDueEvent) {
    let decision = release.pass_time(now, STALE).unwrap();
    let events = super::super::events::of(&decision, &Actor::System, now);
    assert_eq!(events.len(), 1);
    (decision.release, events[0].payload().unwrap())
}

#[test]
fn the_owner_is_reminded_once_at_the_time_that_was_asked_for() {
    let (release, _, ada) = reminding(Some(10));
    assert_eq!(release.due_at(), Some(hours(9)));
    let before = hours(9) - SignedDuration::from_millis(1);
    assert_eq!(release.pass_time(before, STALE), None);
    let (release, reminder) = reminded(&release, hours(9));
    assert_eq!(reminder.developer_id, ada.id.0);
    assert_eq!(
        (reminder.due_at, reminder.remind_at),
        (Some(hours(10)), hours(9))
    );
    assert_eq!(reminder.late, None);
    assert_eq!(release.due_at(), None);
    assert_eq!(release.pass_time(hours(100), STALE), None);
}

#[test]
fn a_missed_reminder_is_marked_as_late() {
    let (release, ..) = reminding(Some(10));
    let minute = hours(9) + SignedDuration::from_mins(1);
    assert_eq!(reminded(&release, minute).1.late, None);
    let (_, late) = reminded(&release, minute + SignedDuration::from_millis(1));
    assert_eq!((late.late, late.remind_at), (Some(true), hours(9)));
}

#[test]
fn a_reminder_moves_and_ends_with_its_task() {
    let (release, task, ada) = reminding(Some(10));
    let due = |hour: Option<i64>| TaskChange {
        due_at: Some(hour.map(hours)),
        ..TaskChange::default()
    };
    let moved = changed(&release, task, due(Some(20)), hours(1));
    assert_eq!(moved.due_at(), Some(hours(19)));
    let earlier = TaskChange {
        remind_before: Some(Some(RemindBefore::new(120).unwrap())),
        ..TaskChange::default()
    };
    assert_eq!(
        changed(&moved, task, earlier, hours(1)).due_at(),
        Some(hours(18))
    );
    assert_eq!(changed(&moved, task, due(None), hours(1)).due_at(), None);
    let titled = TaskChange {
        title: Some(Text::title("b").unwrap()),
        ..TaskChange::default()
    };
    let (sent, _) = reminded(&moved, hours(19));
    assert_eq!(changed(&sent, task, titled, hours(19)).due_at(), None);
    // It was sent for another time.
    let again = changed(&sent, task, due(Some(30)), hours(19));
    assert_eq!(again.due_at(), Some(hours(29)));
    let deleted = release.delete_task(task, None).unwrap().release;
    assert_eq!(deleted.due_at(), None);
    let started = release
        .start(task, ada.id, hours(1), STALE)
        .unwrap()
        .release;
    assert_eq!(started.due_at(), Some(hours(9)));
    let done = started
        .complete_task(task, ada.id, hours(2))
        .unwrap()
        .release;
    assert_eq!(done.due_at(), None);
}

#[test]
fn a_time_that_had_passed_when_it_was_set_is_not_made_up_for() {
    for due in [None, Some(0), Some(1)] {
        assert_eq!(reminding(due).0.due_at(), None, "{due:?}");
    }
    let (release, task, _) = reminding(Some(10));
    let past = TaskChange {
        due_at: Some(Some(hours(6))),
        ..TaskChange::default()
    };
    assert_eq!(changed(&release, task, past, hours(5)).due_at(), None);
}
