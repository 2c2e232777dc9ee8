//! Recurring tasks: what follows a completed one.

use slipway_proto::events::{SeriesEnd as Reason, TaskRecurrenceEndedEvent};
use slipway_rpc::access::Role;

use super::*;
use crate::{
    identity::By,
    release::recurrence::{Next, Surroundings},
};

const OPEN: Surroundings = Surroundings {
    has_owner: true,
    named_is_open: Some(true),
};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// When the first task is due.
fn start() -> Timestamp {
    "2025-01-06T09:00:00Z".parse().unwrap()
}

fn asked(rule: &str, release: Option<ReleaseId>) -> RecurrenceDraft {
    RecurrenceDraft {
        rule: Rule::new(rule).unwrap(),
        time_zone: "UTC".parse().unwrap(),
        release,
    }
}

/// A task that recurs and is reminded of an hour before.
fn recurring(title: &str, assignee: &UserRef, asked: RecurrenceDraft) -> TaskDraft {
    TaskDraft {
        description: Text::description("every time").unwrap(),
        due_at: Some(start()),
        priority: Priority::High,
        tags: Tags::new(["ops"]).unwrap(),
        remind_before: Some(RemindBefore::new(60).unwrap()),
        recurrence: Some(asked.starting(start()).unwrap()),
        ..draft(title, assignee, None)
    }
}

/// A release in which the first task is completed at this time; and that task's id.
fn completed(tasks: Vec<TaskDraft>, time: Timestamp) -> (Release, TaskId) {
    let release = plan(tasks).unwrap().release;
    let task = release.tasks[0].clone();
    let release = release.start(task.id, task.assignee.id, start() - DAY, STALE);
    let release = release.unwrap().release;
    let release = release.complete_task(task.id, task.assignee.id, time);
    (release.unwrap().release, task.id)
}

/// What follows the task, as it is stored.
fn next(release: &Release, task: TaskId) -> Option<Next> {
    release
        .task(task)
        .unwrap()
        .recurrence
        .as_ref()
        .unwrap()
        .next
}

fn ended(decision: &Decision) -> Vec<Reason> {
    let ended: Vec<TaskRecurrenceEndedEvent> = payloads(decision);
    ended.into_iter().map(|event| event.reason).collect()
}

#[test]
fn the_next_occurrence_is_added_at_the_end_with_everything_but_the_state() {
    let (ada, bob) = (user("ada"), user("bob"));
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let (before, id) = completed(vec![weekly, draft("b", &bob, None)], start() - DAY);
    let decision = before.recur(id, OPEN, start() - DAY).unwrap();
    let release = &decision.release;
    let added = release.tasks.last().unwrap();
    assert_eq!(
        decision.events,
        [
            ReleaseEvent::TaskCreated(added.id),
            ReleaseEvent::TaskAssigned(added.id)
        ]
    );
    let done = release.task(id).unwrap();
    let date = start() + DAY * 7;
    assert_eq!(added.due_at, Some(date));
    assert_eq!(added.reminder, Some(date - SignedDuration::from_hours(1)));
    assert_eq!((added.state, added.hotfix), (TaskState::Todo, false));
    let kept = |task: &Task| {
        let Task {
            title,
            description,
            assignee,
            priority,
            tags,
            remind_before,
            ..
        } = task.clone();
        (title, description, assignee, priority, tags, remind_before)
    };
    assert_eq!(kept(added), kept(done));
    let series = added.recurrence.as_ref().unwrap();
    assert_eq!(
        (series.start, series.date, series.next),
        (start(), date, None)
    );
    assert_eq!(next(release, id), Some(Next::Added));
}

#[test]
fn a_task_is_followed_once() {
    let ada = user("ada");
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let (before, id) = completed(vec![weekly], start());
    let after = before.recur(id, OPEN, start()).unwrap().release;
    assert_eq!(after.tasks.len(), 2);
    let again = after.recur(id, OPEN, start()).unwrap();
    assert_eq!(again, Decision::unchanged(&after));
    let deleted = after.delete_task(after.tasks[1].id, None).unwrap().release;
    let again = deleted.recur(id, OPEN, start()).unwrap();
    assert_eq!(
        again.release.tasks.len(),
        1,
        "a deleted occurrence stays deleted"
    );
}

#[test]
fn a_task_that_does_not_recur_or_is_not_completed_is_not_followed() {
    let ada = user("ada");
    let weekly = || recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let (before, id) = completed(vec![draft("a", &ada, None)], start());
    assert_eq!(
        before.recur(id, OPEN, start()).unwrap(),
        Decision::unchanged(&before)
    );
    let before = plan(vec![weekly()]).unwrap().release;
    let id = before.tasks[0].id;
    assert_eq!(
        before.recur(id, OPEN, start()).unwrap(),
        Decision::unchanged(&before)
    );
}

#[test]
fn a_late_completion_leaves_out_what_has_passed() {
    let ada = user("ada");
    let daily = recurring("rotate", &ada, asked("FREQ=DAILY;COUNT=10", None));
    let late = start() + DAY * 3 + SignedDuration::from_secs(1);
    let (before, id) = completed(vec![daily], late);
    let after = before.recur(id, OPEN, late + DAY).unwrap().release;
    assert_eq!(after.tasks[1].due_at, Some(start() + DAY * 4));
}

#[test]
fn a_due_time_that_was_moved_moves_only_this_occurrence() {
    let ada = user("ada");
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let planned = plan(vec![weekly]).unwrap().release;
    let id = planned.tasks[0].id;
    let admin = By {
        user: UserId::generate(),
        role: Role::Admin,
    };
    for (due, expected) in [(2, 7), (-2, 7), (9, 14)] {
        let change = TaskChange {
            due_at: Some(Some(start() + DAY * due)),
            ..TaskChange::default()
        };
        let moved = planned.change_task(id, admin, None, change, at(1)).unwrap();
        assert_eq!(moved.events.len(), 1);
        let release = work_off(moved.release);
        let after = release.recur(id, OPEN, at(3)).unwrap().release;
        let next = after.tasks[1].due_at;
        assert_eq!(next, Some(start() + DAY * expected), "moved by {due} days");
    }
}

#[test]
fn a_release_is_not_ready_while_its_next_occurrence_is_expected() {
    let ada = user("ada");
    let twice = recurring("rotate", &ada, asked("FREQ=DAILY;COUNT=2", None));
    let planned = plan(vec![twice]).unwrap().release;
    let id = planned.tasks[0].id;
    let started = planned.start(id, ada.id, start(), STALE).unwrap().release;
    let done = started.complete_task(id, ada.id, start()).unwrap();
    assert_eq!(done.events, [ReleaseEvent::TaskCompleted(id)]);
    let followed = done.release.recur(id, OPEN, start()).unwrap();
    let second = followed.release.tasks[1].id;
    assert_eq!(
        followed.events.last(),
        Some(&ReleaseEvent::TaskReady(second))
    );
    let done = work_off(followed.release);
    let ends = done.recur(second, OPEN, start()).unwrap();
    assert_eq!(ended(&ends), [Reason::RuleExhausted]);
    assert_eq!(ends.events.last(), Some(&ReleaseEvent::Ready));
    assert_eq!(next(&ends.release, second), Some(Next::Nothing));
}

#[test]
fn the_named_release_gets_the_next_occurrence_once_all_tasks_are_completed() {
    let ada = user("ada");
    let other = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let weekly = || recurring("rotate", &ada, asked("FREQ=WEEKLY", Some(other.id)));
    let (more, id) = completed(vec![weekly(), draft("b", &ada, None)], start());
    let here = more.recur(id, OPEN, start()).unwrap().release;
    assert_eq!(here.tasks.len(), 3, "a task is left");

    let (last, id) = completed(vec![weekly()], start());
    let decided = last.recur(id, OPEN, start()).unwrap();
    assert_eq!(decided.events, []);
    assert_eq!(decided.release.tasks.len(), 1);
    let Some(Next::Elsewhere { release, task }) = next(&decided.release, id) else {
        panic!("{:?}", next(&decided.release, id));
    };
    assert_eq!(release, other.id);
    let done = decided.release.task(id).unwrap();
    let draft = done.next_occurrence(other.id).unwrap().unwrap();
    let added = other.add_occurrence(task, draft.clone(), start()).unwrap();
    let occurrence = added.release.task(task).unwrap();
    assert_eq!(occurrence.due_at, Some(start() + DAY * 7));
    assert_eq!(
        occurrence.recurrence.as_ref().unwrap().release,
        None,
        "it is there"
    );
    assert_eq!(occurrence.recurrence.as_ref().unwrap().next, None);
    let again = added.release.add_occurrence(task, draft, start()).unwrap();
    assert_eq!(again, Decision::unchanged(&added.release));
    let concluded = decided.release.conclude(id, Ok(())).unwrap();
    assert_eq!(next(&concluded.release, id), Some(Next::Added));
    let again = concluded
        .release
        .conclude(id, Err(SeriesEnd::ReleaseCompleted));
    assert_eq!(again.unwrap(), Decision::unchanged(&concluded.release));
}

#[test]
fn a_series_ends_if_no_open_release_takes_the_next_occurrence() {
    let ada = user("ada");
    let named = Some(ReleaseId::generate());
    let with = |named_is_open| Surroundings {
        named_is_open,
        ..OPEN
    };
    for (release, surroundings, is_completed, expected) in [
        (None, OPEN, true, Reason::ReleaseCompleted),
        (named, with(Some(false)), true, Reason::ReleaseCompleted),
        (named, with(Some(false)), false, Reason::ReleaseCompleted),
        (named, with(None), false, Reason::ReleaseDeleted),
    ] {
        let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", release));
        let (mut before, id) = completed(vec![weekly], start());
        if is_completed {
            before = before.complete(start()).unwrap().release;
        }
        let decision = before.recur(id, surroundings, start()).unwrap();
        assert_eq!(ended(&decision), [expected]);
        assert_eq!(
            decision.release.is_completed(),
            is_completed,
            "not reopened"
        );
        assert_eq!(decision.release.tasks.len(), 1);
        assert_eq!(next(&decision.release, id), Some(Next::Nothing));
    }
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let (before, id) = completed(vec![weekly], start());
    let gone = Surroundings {
        has_owner: false,
        ..OPEN
    };
    let decision = before.recur(id, gone, start()).unwrap();
    assert_eq!(ended(&decision), [Reason::OwnerGone]);
}

#[test]
fn a_completed_release_takes_no_occurrence_of_another() {
    let ada = user("ada");
    let (done, _) = completed(vec![draft("a", &ada, None)], start());
    let done = done.complete(start()).unwrap().release;
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", Some(done.id)));
    let (before, id) = completed(vec![weekly], start());
    let decided = before.recur(id, OPEN, start()).unwrap().release;
    let draft = decided.task(id).unwrap().next_occurrence(done.id).unwrap();
    let refused = done.add_occurrence(TaskId::generate(), draft.unwrap(), start());
    assert!(matches!(refused, Err(Refusal::Hotfix(_))));
    let ends = decided
        .conclude(id, Err(SeriesEnd::ReleaseCompleted))
        .unwrap();
    assert_eq!(ended(&ends), [Reason::ReleaseCompleted]);
}

#[test]
fn a_full_release_refuses_the_next_occurrence_and_leaves_it_open() {
    let ada = user("ada");
    let weekly = recurring("rotate", &ada, asked("FREQ=WEEKLY", None));
    let mut tasks = vec![weekly];
    tasks.extend((1..MAX_TASKS).map(|n| draft(&format!("t{n}"), &ada, None)));
    let (full, id) = completed(tasks, start());
    let refused = full.recur(id, OPEN, start());
    assert_eq!(refused, Err(Refusal::ReleaseFull(Full::Tasks)));
    let room = full.delete_task(full.tasks[1].id, None).unwrap().release;
    assert_eq!(
        room.recur(id, OPEN, start()).unwrap().release.tasks.len(),
        MAX_TASKS
    );
}

/// A release with one task, and how an admin changes the recurrence of that task.
struct Edited {
    release: Release,
}

impl Edited {
    fn new(task: TaskDraft) -> Self {
        let release = plan(vec![task]).unwrap().release;
        Self { release }
    }

    fn change(&self, change: TaskChange) -> Result<Decision, Refusal> {
        let by = By {
            user: UserId::generate(),
            role: Role::Admin,
        };
        let task = self.release.tasks[0].id;
        self.release.change_task(task, by, None, change, at(1))
    }

    /// The recurrence and the changed fields after the task got this recurrence.
    fn set(&self, asked: RecurrenceDraft) -> (Recurrence, Vec<&'static str>) {
        let change = TaskChange {
            recurrence: Some(Some(asked)),
            ..TaskChange::default()
        };
        let decision = self.change(change).unwrap();
        let changed = match decision.events.first() {
            Some(ReleaseEvent::TaskUpdated { changed, .. }) => changed.clone(),
            _ => Vec::new(),
        };
        let recurrence = decision.release.tasks[0].recurrence.as_deref();
        (recurrence.unwrap().clone(), changed)
    }
}

#[test]
fn a_recurrence_is_set_changed_and_removed() {
    let ada = user("ada");
    let due = Some(start() + DAY);
    let plain = Edited::new(TaskDraft {
        due_at: due,
        ..draft("a", &ada, None)
    });
    let (set, changed) = plain.set(asked("FREQ=WEEKLY", None));
    assert_eq!((Some(set.start), changed), (due, vec!["recurrence"]));

    let mut known = Edited::new(recurring("a", &ada, asked("FREQ=WEEKLY", None)));
    let moved = TaskChange {
        due_at: Some(due),
        ..TaskChange::default()
    };
    known.release = known.change(moved).unwrap().release;
    let (same, changed) = known.set(asked("FREQ=WEEKLY", None));
    assert_eq!(
        (same.start, changed),
        (start(), vec![]),
        "the series goes on"
    );
    let named = Some(ReleaseId::generate());
    let (same, changed) = known.set(asked("FREQ=WEEKLY", named));
    assert_eq!((same.start, same.release), (start(), named));
    assert_eq!(changed, ["recurrence"]);
    let (anew, _) = known.set(asked("FREQ=DAILY", None));
    assert_eq!(Some(anew.start), due, "another rule begins anew");

    let both = TaskChange {
        due_at: Some(Some(start() + DAY * 2)),
        recurrence: Some(Some(asked("FREQ=WEEKLY", None))),
        ..TaskChange::default()
    };
    let anew = known.change(both).unwrap().release;
    let series = anew.tasks[0].recurrence.as_ref().unwrap();
    assert_eq!(
        (series.start, series.date),
        (start() + DAY * 2, start() + DAY * 2)
    );

    let removed = TaskChange {
        recurrence: Some(None),
        ..TaskChange::default()
    };
    let removed = known.change(removed).unwrap().release;
    assert_eq!(removed.tasks[0].recurrence, None);
}

#[test]
fn a_recurrence_that_cannot_be_is_refused() {
    let ada = user("ada");
    let set = |asked| TaskChange {
        recurrence: Some(Some(asked)),
        ..TaskChange::default()
    };
    let not_due = Edited::new(draft("a", &ada, None));
    let known = Edited::new(recurring("a", &ada, asked("FREQ=WEEKLY", None)));
    let own = asked("FREQ=WEEKLY", Some(known.release.id));
    let no_due = TaskChange {
        due_at: Some(None),
        ..TaskChange::default()
    };
    let (done, _) = completed(
        vec![recurring("a", &ada, asked("FREQ=WEEKLY", None))],
        start(),
    );
    let done = Edited { release: done };
    for refused in [
        not_due.change(set(asked("FREQ=WEEKLY", None))),
        known.change(no_due),
        known.change(set(own)),
        known.change(set(asked("FREQ=DAILY;UNTIL=20250106", None))),
        done.change(set(asked("FREQ=DAILY", None))),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "INVALID_RECURRENCE", "{refused}");
    }
}

#[test]
fn only_an_admin_changes_a_recurrence() {
    let ada = user("ada");
    let known = Edited::new(recurring("a", &ada, asked("FREQ=WEEKLY", None)));
    let task = known.release.tasks[0].id;
    let by = By {
        user: ada.id,
        role: Role::Developer,
    };
    let removed = TaskChange {
        recurrence: Some(None),
        ..TaskChange::default()
    };
    let refused = known.release.change_task(task, by, None, removed, at(1));
    assert_eq!(refused, Err(Refusal::AdminRequired));
}
