//! The rules, one by one; and all of them at once against a small independent model.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use slipway_mesh::bus::Actor;
use slipway_proto::events::{Payload as _, TaskAssignedEvent};

use super::*;
use crate::identity::UserId;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn user(name: &str) -> UserRef {
    UserRef {
        id: UserId::generate(),
        username: name.into(),
    }
}

fn draft(title: &str, assignee: &UserRef, order_index: Option<i64>) -> TaskDraft {
    TaskDraft {
        title: Text::title(title).unwrap(),
        description: Text::description("").unwrap(),
        assignee: assignee.clone(),
        order_index: order_index.map(|index| OrderIndex::new(index).unwrap()),
        due_at: None,
    }
}

fn plan(tasks: Vec<TaskDraft>) -> Result<Decision, Refusal> {
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
            .start(next.id, next.assignee.id, at(1))
            .unwrap()
            .release;
        release = release
            .complete_task(next.id, next.assignee.id, at(2))
            .unwrap()
            .release;
    }
    release
}

/// The payloads of a decision's `task.assigned` events.
fn assigned(decision: &Decision) -> Vec<TaskAssignedEvent> {
    let events = super::events::of(decision, &Actor::System, at(0));
    let assigned = events
        .iter()
        .filter(|event| event.event_type == TaskAssignedEvent::TYPE);
    assigned.map(|event| event.payload().unwrap()).collect()
}

#[test]
fn an_assignment_tells_how_many_tasks_of_the_plan_are_the_owners() {
    let (ada, bob) = (user("ada"), user("bob"));
    let due = TaskDraft {
        due_at: Some(at(7)),
        ..draft("a", &ada, None)
    };
    let tasks = vec![due, draft("b", &bob, None), draft("c", &ada, None)];
    let planned = plan(tasks).unwrap();
    let told: Vec<_> = assigned(&planned)
        .into_iter()
        .map(|event| (event.task_title, event.plan_tasks, event.due_at))
        .collect();
    let expected = [
        ("a", Some(2), Some(at(7))),
        ("b", Some(1), None),
        ("c", Some(2), None),
    ];
    assert!(
        told.iter()
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
fn a_hotfix_reopens_and_is_told_once_in_this_order() {
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
        ]
    );
    let again = decision
        .release
        .add_task(draft("more", &ada, None), at(5))
        .unwrap();
    assert!(
        !again.release.tasks.last().unwrap().hotfix,
        "it is open now"
    );
}

#[test]
fn a_release_takes_five_hundred_tasks() {
    let ada = user("ada");
    let tasks = |count| vec![draft("t", &ada, None); count];
    let full = plan(tasks(MAX_TASKS)).unwrap().release;
    assert_eq!(
        full.add_task(draft("t", &ada, None), at(1)),
        Err(Refusal::ReleaseFull)
    );
    assert_eq!(plan(tasks(MAX_TASKS + 1)), Err(Refusal::ReleaseFull));
}

#[test]
fn a_release_takes_so_much_text_and_no_more() {
    let ada = user("ada");
    let large = TaskDraft {
        description: Text::description(&"x".repeat(8_000)).unwrap(),
        ..draft("t", &ada, None)
    };
    let fit = MAX_TEXT / 8_001;
    let full = plan(vec![large.clone(); fit]).unwrap().release;
    assert_eq!(
        full.add_task(large.clone(), at(1)),
        Err(Refusal::ReleaseFull)
    );
    assert_eq!(plan(vec![large; fit + 1]), Err(Refusal::ReleaseFull));
}

#[test]
fn there_is_no_place_behind_the_last_index() {
    let ada = user("ada");
    let last = 9_007_199_254_740_991;
    let release = plan(vec![draft("t", &ada, Some(last))]).unwrap().release;
    assert_eq!(
        release.add_task(draft("t", &ada, None), at(1)),
        Err(Refusal::ReleaseFull)
    );
}

#[test]
fn a_clock_that_goes_back_does_not_end_a_task_before_it_began() {
    let ada = user("ada");
    let release = plan(vec![draft("a", &ada, None)]).unwrap().release;
    let id = release.tasks[0].id;
    let release = release.start(id, ada.id, at(100)).unwrap().release;
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

/// What may be asked of a release. Tasks and developers are named by small numbers that
/// may be nobody's.
#[derive(Debug, Clone)]
enum Command {
    Add {
        developer: usize,
        index: Option<i64>,
    },
    Start {
        task: usize,
        developer: usize,
    },
    CompleteTask {
        task: usize,
        developer: usize,
    },
    Complete,
}

fn command() -> impl Strategy<Value = Command> {
    let (task, developer) = (0..6_usize, 0..3_usize);
    prop_oneof![
        (developer.clone(), prop::option::of(0..12_i64))
            .prop_map(|(developer, index)| Command::Add { developer, index }),
        (task.clone(), developer.clone())
            .prop_map(|(task, developer)| Command::Start { task, developer }),
        (task, developer).prop_map(|(task, developer)| Command::CompleteTask { task, developer }),
        Just(Command::Complete),
    ]
}

/// The rules once more, as plainly as they can be said: a map from order index to
/// (number of the task, owner, state).
#[derive(Default)]
struct Model {
    tasks: BTreeMap<i64, (usize, usize, &'static str)>,
    completed: bool,
    reopened: u32,
}

impl Model {
    fn apply(&mut self, command: &Command) -> Result<(), &'static str> {
        match *command {
            Command::Add { developer, index } => {
                let highest = self.tasks.keys().max().copied();
                let index = index.unwrap_or_else(|| highest.map_or(1, |highest| highest + 1));
                if self.tasks.contains_key(&index) {
                    return Err("ORDER_INDEX_TAKEN");
                }
                let passed = |(other, (_, _, state)): (&i64, &(usize, usize, &str))| {
                    *other > index && *state != "TODO"
                };
                if self.tasks.iter().any(passed) {
                    return Err("ORDER_INDEX_PASSED");
                }
                let number = self.tasks.len();
                self.tasks.insert(index, (number, developer, "TODO"));
                if self.completed {
                    self.completed = false;
                    self.reopened += 1;
                }
                Ok(())
            }
            Command::Start { task, developer } => {
                let index = self.owned(task, developer)?;
                if self.tasks[&index].2 != "TODO" {
                    return Err("INVALID_TRANSITION");
                }
                let before = self.tasks.range(..index).next_back();
                if before.is_some_and(|(_, (_, _, state))| *state != "COMPLETED") {
                    return Err("TASK_OUT_OF_ORDER");
                }
                self.set(index, "IN_PROCESS")
            }
            Command::CompleteTask { task, developer } => {
                let index = self.owned(task, developer)?;
                if self.tasks[&index].2 != "IN_PROCESS" {
                    return Err("INVALID_TRANSITION");
                }
                self.set(index, "COMPLETED")
            }
            Command::Complete => {
                if self.completed {
                    return Err("INVALID_TRANSITION");
                }
                if self.tasks.is_empty() {
                    return Err("RELEASE_EMPTY");
                }
                if self
                    .tasks
                    .values()
                    .any(|(_, _, state)| *state != "COMPLETED")
                {
                    return Err("RELEASE_INCOMPLETE");
                }
                self.completed = true;
                Ok(())
            }
        }
    }

    fn owned(&self, task: usize, developer: usize) -> Result<i64, &'static str> {
        let found = self
            .tasks
            .iter()
            .find(|(_, (number, _, _))| *number == task);
        match found {
            None => Err("TASK_NOT_FOUND"),
            Some((_, (_, owner, _))) if *owner != developer => Err("NOT_ASSIGNEE"),
            Some((index, _)) => Ok(*index),
        }
    }

    fn set(&mut self, index: i64, state: &'static str) -> Result<(), &'static str> {
        if let Some(task) = self.tasks.get_mut(&index) {
            task.2 = state;
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn the_aggregate_agrees_with_the_model(commands in prop::collection::vec(command(), 0..60)) {
        let developers = [user("a"), user("b"), user("c")];
        let mut release = plan(vec![]).unwrap().release;
        let mut model = Model::default();
        // The n-th task added, by id.
        let mut numbers: Vec<TaskId> = Vec::new();
        for (second, command) in commands.iter().enumerate() {
            let now = at(i64::try_from(second).unwrap());
            let task = |number: usize| numbers.get(number).copied().unwrap_or_else(TaskId::generate);
            let decision = match *command {
                Command::Add { developer, index } => {
                    release.add_task(draft("t", &developers[developer], index), now)
                }
                Command::Start { task: number, developer } => {
                    release.start(task(number), developers[developer].id, now)
                }
                Command::CompleteTask { task: number, developer } => {
                    release.complete_task(task(number), developers[developer].id, now)
                }
                Command::Complete => release.complete(now),
            };
            let expected = model.apply(command);
            prop_assert_eq!(
                decision.as_ref().map(|_| ()).map_err(Refusal::code),
                expected,
                "{:?}", command
            );
            if let Ok(decision) = decision {
                prop_assert_eq!(decision.release.revision, release.revision.next());
                prop_assert!(!decision.events.is_empty());
                for event in &decision.events {
                    if let ReleaseEvent::TaskCreated(id) = event {
                        numbers.push(*id);
                    }
                }
                release = decision.release;
            }
            let actual: Vec<_> = release
                .tasks
                .iter()
                .map(|task| (task.order_index.get(), task.assignee.id, task.state.name()))
                .collect();
            let modelled: Vec<_> = model
                .tasks
                .iter()
                .map(|(index, (_, owner, state))| (*index, developers[*owner].id, *state))
                .collect();
            prop_assert_eq!(actual, modelled);
            prop_assert_eq!(release.is_completed(), model.completed);
            prop_assert_eq!(release.reopened_count, model.reopened);
        }
    }
}
