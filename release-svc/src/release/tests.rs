//! Tests of each rule; [`model`] tests all rules together against a small independent model.

mod edit;
mod model;
mod recurring;
mod timed;

use jiff::{SignedDuration, Timestamp};
use slipway_bus::Actor;
use slipway_proto::events::{
    HotfixTaskAddedEvent, Payload, ReleaseReadyEvent, TaskAssignedEvent, TaskReadyEvent,
};

use super::*;
use crate::identity::UserId;

pub(super) const STALE: StaleRule = StaleRule {
    after: SignedDuration::from_hours(48),
    repeat: SignedDuration::from_hours(24),
};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

pub(super) fn user(name: &str) -> UserRef {
    UserRef {
        id: UserId::generate(),
        username: name.into(),
    }
}

pub(super) fn draft(title: &str, assignee: &UserRef, order_index: Option<i64>) -> TaskDraft {
    TaskDraft {
        title: Text::title(title).unwrap(),
        description: Text::description("").unwrap(),
        assignee: assignee.clone(),
        order_index: order_index.map(|index| OrderIndex::new(index).unwrap()),
        due_at: None,
        hotfix: None,
        priority: Priority::default(),
        tags: Tags::default(),
        remind_before: None,
        recurrence: None,
    }
}

/// `draft` with its field `hotfix` set.
fn with_hotfix(draft: TaskDraft, hotfix: Option<bool>) -> TaskDraft {
    TaskDraft { hotfix, ..draft }
}

fn reason(text: &str) -> Text {
    Text::reason(text).unwrap()
}

pub(super) fn plan(tasks: Vec<TaskDraft>) -> Result<Decision, Refusal> {
    let draft = ReleaseDraft {
        name: Text::title("r").unwrap(),
        description: Text::description("").unwrap(),
        version: Text::version("").unwrap(),
        tasks,
    };
    Release::plan(draft, user("admin"), at(0))
}

fn work_off(mut release: Release) -> Release {
    while let Some(next) = release.next_task().cloned() {
        release = release
            .start(next.id, next.assignee.id, at(1), STALE)
            .unwrap()
            .release;
        release = release
            .complete_task(next.id, next.assignee.id, at(2))
            .unwrap()
            .release;
    }
    release
}

/// The payloads of a decision's events of one type.
fn payloads<P: Payload>(decision: &Decision) -> Vec<P> {
    let events = super::events::of(decision, &Actor::System, at(0));
    let of_type = events.iter().filter(|event| event.event_type == P::TYPE);
    of_type.map(|event| event.payload().unwrap()).collect()
}

fn assigned(decision: &Decision) -> Vec<TaskAssignedEvent> {
    payloads(decision)
}

/// The `TaskReady` events of a decision: the task's title, its position, and the type of the other
/// event that notifies its owner.
fn turns(decision: &Decision) -> Vec<(String, u32, Option<String>)> {
    let ready: Vec<TaskReadyEvent> = payloads(decision);
    let turn = |ready: TaskReadyEvent| (ready.task.title, ready.position, ready.announced_by);
    ready.into_iter().map(turn).collect()
}

fn turn(title: &str, position: u32, announced_by: Option<&str>) -> (String, u32, Option<String>) {
    (title.into(), position, announced_by.map(str::to_owned))
}

#[test]
fn an_assignment_has_the_position_from_one_and_whether_the_task_can_start() {
    let ada = user("ada");
    let tasks = vec![draft("b", &ada, Some(20)), draft("a", &ada, Some(10))];
    let planned = plan(tasks).unwrap();
    let facts = |decision: &Decision| -> Vec<_> {
        let assigned = assigned(decision).into_iter();
        assigned
            .map(|event| (event.task_title, event.position, event.can_start))
            .collect()
    };
    let expected = |title: &str, position: u32, can_start: bool| {
        (title.to_owned(), Some(position), Some(can_start))
    };
    assert_eq!(
        facts(&planned),
        [expected("b", 2, false), expected("a", 1, true)]
    );
    let release = planned.release;
    let behind = release.add_task(draft("c", &ada, None), at(1)).unwrap();
    assert_eq!(facts(&behind), [expected("c", 3, false)]);
    let in_front = release.add_task(draft("d", &ada, Some(0)), at(1)).unwrap();
    assert_eq!(facts(&in_front), [expected("d", 1, true)]);
    let done = work_off(release);
    let after = done.add_task(draft("e", &ada, None), at(3)).unwrap();
    assert_eq!(
        facts(&after),
        [expected("e", 3, true)],
        "nothing is left to do before it"
    );
}

#[test]
fn a_task_that_becomes_the_next_one_is_announced() {
    let (ada, bob) = (user("ada"), user("bob"));
    let assigned = Some(TaskAssignedEvent::TYPE);
    let tasks = vec![draft("a", &ada, Some(10)), draft("b", &bob, Some(20))];
    let planned = plan(tasks).unwrap();
    assert_eq!(turns(&planned), [turn("a", 1, assigned)], "the first");
    let behind = planned.release.add_task(draft("c", &bob, None), at(1));
    assert_eq!(turns(&behind.unwrap()), [], "it is still the turn of a");

    let in_front = planned.release.add_task(draft("z", &bob, Some(5)), at(1));
    let in_front = in_front.unwrap();
    assert_eq!(turns(&in_front), [turn("z", 1, assigned)], "put in front");
    let [z, a, _] = in_front.release.tasks.as_slice() else {
        panic!("three tasks")
    };
    let started = in_front.release.start(z.id, bob.id, at(2), STALE).unwrap();
    assert_eq!(turns(&started), []);
    let done = started.release.complete_task(z.id, bob.id, at(3)).unwrap();
    assert_eq!(turns(&done), [turn("a", 2, None)], "its turn once more");
    let ready: Vec<TaskReadyEvent> = payloads(&done);
    assert_eq!(ready[0].task.assignee.username, "ada");
    let started = done.release.start(a.id, ada.id, at(4), STALE).unwrap();
    let next = started.release.complete_task(a.id, ada.id, at(5)).unwrap();
    assert_eq!(turns(&next), [turn("b", 3, None)]);

    let empty = plan(vec![]).unwrap();
    assert_eq!(turns(&empty), []);
    let first = empty.release.add_task(draft("a", &ada, None), at(1));
    assert_eq!(turns(&first.unwrap()), [turn("a", 1, assigned)]);
}

#[test]
fn the_completion_of_the_last_task_is_announced_every_time() {
    let ada = user("ada");
    let last = |release: &Release| {
        let task = release.next_task().unwrap().clone();
        let started = release
            .start(task.id, ada.id, at(1), STALE)
            .unwrap()
            .release;
        started.complete_task(task.id, ada.id, at(2)).unwrap()
    };
    let planned = plan(vec![draft("a", &ada, None), draft("b", &ada, None)]).unwrap();
    assert!(payloads::<ReleaseReadyEvent>(&planned).is_empty());
    let half = last(&planned.release);
    assert!(payloads::<ReleaseReadyEvent>(&half).is_empty());
    let ready = last(&half.release);
    assert_eq!(turns(&ready), []);
    let events: Vec<ReleaseReadyEvent> = payloads(&ready);
    assert_eq!(events.len(), 1);
    assert_eq!(
        (
            events[0].total_tasks,
            events[0].created_by.username.as_str()
        ),
        (2, "admin")
    );
    let more = ready.release.add_task(draft("c", &ada, None), at(3));
    let ready = last(&more.unwrap().release);
    assert_eq!(payloads::<ReleaseReadyEvent>(&ready).len(), 1);
    let done = ready.release.complete(at(4)).unwrap();
    assert_eq!(done.events, [ReleaseEvent::Completed]);
    let hotfix = done.release.add_task(draft("fix", &ada, None), at(5));
    let ready = last(&hotfix.unwrap().release);
    assert_eq!(payloads::<ReleaseReadyEvent>(&ready).len(), 1);
}

#[test]
fn an_assignment_has_the_number_of_the_owners_tasks_in_the_plan() {
    let (ada, bob) = (user("ada"), user("bob"));
    let due = TaskDraft {
        due_at: Some(at(7)),
        ..draft("a", &ada, None)
    };
    let tasks = vec![due, draft("b", &bob, None), draft("c", &ada, None)];
    let planned = plan(tasks).unwrap();
    let facts: Vec<_> = assigned(&planned)
        .into_iter()
        .map(|event| (event.task_title, event.plan_tasks, event.due_at))
        .collect();
    let expected = [
        ("a", Some(2), Some(at(7))),
        ("b", Some(1), None),
        ("c", Some(2), None),
    ];
    assert!(
        facts
            .iter()
            .map(|(t, n, d)| (t.as_str(), *n, *d))
            .eq(expected)
    );

    let later = planned.release.add_task(draft("d", &ada, None), at(1));
    assert_eq!(assigned(&later.unwrap())[0].plan_tasks, None);
}

#[test]
fn a_plan_with_tasks_is_one_decision() {
    let ada = user("ada");
    let decision = plan(vec![draft("b", &ada, Some(20)), draft("a", &ada, Some(10))]).unwrap();
    let [a, b] = decision.release.tasks.as_slice() else {
        panic!("two tasks")
    };
    assert_eq!((a.title.as_str(), b.title.as_str()), ("a", "b"), "in order");
    assert_eq!(decision.release.revision, Revision::FIRST);
    assert_eq!(
        decision.events,
        [
            ReleaseEvent::Created,
            ReleaseEvent::TaskCreated(b.id),
            ReleaseEvent::TaskAssigned(b.id),
            ReleaseEvent::TaskCreated(a.id),
            ReleaseEvent::TaskAssigned(a.id),
            ReleaseEvent::TaskReady(a.id),
        ]
    );
}

#[test]
fn tasks_without_an_index_come_behind_the_last() {
    let ada = user("ada");
    let tasks = vec![
        draft("a", &ada, None),
        draft("b", &ada, Some(10)),
        draft("c", &ada, None),
    ];
    let release = plan(tasks).unwrap().release;
    let indexes: Vec<_> = release.tasks.iter().map(|t| t.order_index.get()).collect();
    assert_eq!(indexes, [1, 10, 11]);
}

#[test]
fn a_hotfix_reopens_the_release_and_is_announced_once_in_this_order() {
    let ada = user("ada");
    let release = work_off(plan(vec![draft("a", &ada, None)]).unwrap().release);
    let done = release.complete(at(3)).unwrap().release;
    assert!(done.is_completed());
    let decision = done.add_task(draft("fix", &ada, None), at(4)).unwrap();
    let fix = decision.release.tasks.last().unwrap();
    assert!(fix.hotfix && !decision.release.is_completed());
    assert_eq!(decision.release.reopened_count, 1);
    assert_eq!(
        decision.events,
        [
            ReleaseEvent::Reopened,
            ReleaseEvent::TaskCreated(fix.id),
            ReleaseEvent::HotfixAdded(fix.id),
            ReleaseEvent::TaskReady(fix.id),
        ]
    );
    assert_eq!(
        turns(&decision),
        [turn("fix", 2, Some(HotfixTaskAddedEvent::TYPE))]
    );
}

#[test]
fn a_task_added_to_a_reopened_release_is_a_hotfix_by_default() {
    let ada = user("ada");
    let due = |title| TaskDraft {
        due_at: Some(at(7)),
        ..draft(title, &ada, None)
    };
    let release = work_off(plan(vec![draft("a", &ada, None)]).unwrap().release);
    let done = release.complete(at(3)).unwrap().release;
    let reopened = done.add_task(due("fix"), at(4)).unwrap();
    let first: Vec<HotfixTaskAddedEvent> = payloads(&reopened);
    assert_eq!(
        (first[0].position, first[0].can_start, first[0].due_at),
        (Some(2), Some(true), Some(at(7)))
    );
    let reopened = reopened.release;
    for asked in [None, Some(true)] {
        let second = with_hotfix(draft("second", &ada, None), asked);
        let second = reopened.add_task(second, at(5)).unwrap();
        let task = second.release.tasks.last().unwrap();
        assert!(task.hotfix);
        assert_eq!(
            second.events,
            [
                ReleaseEvent::TaskCreated(task.id),
                ReleaseEvent::HotfixAdded(task.id),
            ],
            "it was reopened before"
        );
        assert_eq!(second.release.reopened_count, 1);
        let events: Vec<HotfixTaskAddedEvent> = payloads(&second);
        assert_eq!(
            (events[0].position, events[0].can_start, events[0].due_at),
            (Some(3), Some(false), None)
        );
    }
    let ordinary = with_hotfix(draft("tidy up", &ada, None), Some(false));
    let ordinary = reopened.add_task(ordinary, at(5)).unwrap();
    let task = ordinary.release.tasks.last().unwrap();
    assert!(!task.hotfix);
    assert_eq!(
        ordinary.events,
        [
            ReleaseEvent::TaskCreated(task.id),
            ReleaseEvent::TaskAssigned(task.id),
        ]
    );
}

#[test]
fn a_hotfix_needs_a_release_that_was_completed() {
    let ada = user("ada");
    let hotfix = |asked| with_hotfix(draft("fix", &ada, None), Some(asked));
    let code = |decision: Result<Decision, Refusal>| decision.map_err(|refusal| refusal.code());
    assert_eq!(code(plan(vec![hotfix(true)])), Err("INVALID_HOTFIX"));
    let release = plan(vec![hotfix(false)]).unwrap().release;
    assert_eq!(
        code(release.add_task(hotfix(true), at(1))),
        Err("INVALID_HOTFIX")
    );
    assert!(release.add_task(hotfix(false), at(1)).is_ok());
    let done = work_off(release).complete(at(3)).unwrap().release;
    assert_eq!(
        code(done.add_task(hotfix(false), at(4))),
        Err("INVALID_HOTFIX"),
        "it would have to reopen without a hotfix"
    );
    assert!(done.add_task(hotfix(true), at(4)).is_ok());
}

#[test]
fn a_release_takes_five_hundred_tasks() {
    let ada = user("ada");
    let tasks = |count| vec![draft("t", &ada, None); count];
    let full = plan(tasks(MAX_TASKS)).unwrap().release;
    assert_eq!(
        full.add_task(draft("t", &ada, None), at(1)),
        Err(Refusal::ReleaseFull(Full::Tasks))
    );
    assert_eq!(
        plan(tasks(MAX_TASKS + 1)),
        Err(Refusal::ReleaseFull(Full::Tasks))
    );
}

#[test]
fn a_release_takes_at_most_its_limit_of_text() {
    let ada = user("ada");
    let large = TaskDraft {
        description: Text::description(&"x".repeat(8_000)).unwrap(),
        ..draft("t", &ada, None)
    };
    let fit = MAX_TEXT / 8_001;
    let full = plan(vec![large.clone(); fit]).unwrap().release;
    assert_eq!(
        full.add_task(large.clone(), at(1)),
        Err(Refusal::ReleaseFull(Full::Text))
    );
    assert_eq!(
        plan(vec![large; fit + 1]),
        Err(Refusal::ReleaseFull(Full::Text))
    );
}

#[test]
fn there_is_no_place_behind_the_last_index() {
    let ada = user("ada");
    let last = 9_007_199_254_740_991;
    let release = plan(vec![draft("t", &ada, Some(last))]).unwrap().release;
    assert_eq!(
        release.add_task(draft("t", &ada, None), at(1)),
        Err(Refusal::ReleaseFull(Full::OrderIndex))
    );
}

#[test]
fn a_clock_that_goes_back_does_not_end_a_task_before_it_began() {
    let ada = user("ada");
    let release = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let id = release.tasks[0].id;
    let release = release.start(id, ada.id, at(100), STALE).unwrap().release;
    let release = release.complete_task(id, ada.id, at(50)).unwrap().release;
    let TaskState::Completed {
        started_at,
        completed_at,
    } = release.tasks[0].state
    else {
        panic!("completed")
    };
    assert!(completed_at >= started_at);
}

#[test]
fn what_keeps_a_release_from_being_completed_is_counted() {
    let ada = user("ada");
    for (tasks, said) in [
        (1, "1 task is not completed."),
        (2, "2 tasks are not completed."),
    ] {
        let drafts = (0..tasks).map(|n| draft(&format!("task {n}"), &ada, None));
        let release = plan(drafts.collect()).unwrap().release;
        let refusal = release.complete(at(1)).unwrap_err();
        assert_eq!(refusal.to_string(), said);
    }
}
