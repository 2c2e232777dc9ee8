//! Stale tasks.

use slipway_proto::events::StaleTaskDetectedEvent;

use super::*;

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
