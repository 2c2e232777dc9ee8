//! Compares the aggregate with a small, independently written model: after any sequence of
//! commands, both have given the same answers and are in the same state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{super::*, STALE, at, draft, plan, user, with_hotfix};

/// A command on a release. Tasks and developers are given by small numbers, which may be unknown.
#[derive(Debug, Clone)]
enum Command {
    Add {
        developer: usize,
        index: Option<i64>,
        hotfix: Option<bool>,
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
        (
            developer.clone(),
            prop::option::of(0..12_i64),
            prop::option::weighted(0.2, any::<bool>())
        )
            .prop_map(|(developer, index, hotfix)| Command::Add {
                developer,
                index,
                hotfix,
            }),
        (task.clone(), developer.clone())
            .prop_map(|(task, developer)| Command::Start { task, developer }),
        (task, developer).prop_map(|(task, developer)| Command::CompleteTask { task, developer }),
        Just(Command::Complete),
    ]
}

/// The rules in their simplest form, on a map from order index to (number of the task, owner,
/// state).
#[derive(Default)]
struct Model {
    tasks: BTreeMap<i64, (usize, usize, &'static str)>,
    /// The numbers of the tasks that are hotfixes.
    hotfixes: BTreeSet<usize>,
    completed: bool,
    reopened: u32,
}

/// The step that a release waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Waits {
    /// The start of the task with this number.
    Task(usize),
    /// The completion of the release.
    Done,
}

impl Model {
    fn waits_for(&self) -> Option<Waits> {
        if self.completed || self.tasks.is_empty() {
            return None;
        }
        let mut states = self.tasks.values().map(|(_, _, state)| *state);
        if states.clone().all(|state| state == "COMPLETED") {
            return Some(Waits::Done);
        }
        if states.any(|state| state == "IN_PROCESS") {
            return None;
        }
        let todo = self.tasks.values().find(|(_, _, state)| *state == "TODO");
        todo.map(|(number, _, _)| Waits::Task(*number))
    }

    fn apply(&mut self, command: &Command) -> Result<(), &'static str> {
        match *command {
            Command::Add {
                developer,
                index,
                hotfix,
            } => {
                let was_completed = self.completed || self.reopened > 0;
                match hotfix {
                    Some(true) if !was_completed => return Err("INVALID_HOTFIX"),
                    Some(false) if self.completed => return Err("INVALID_HOTFIX"),
                    _ => {}
                }
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
                if hotfix.unwrap_or(was_completed) {
                    self.hotfixes.insert(number);
                }
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
                Command::Add { developer, index, hotfix } => {
                    let draft = draft("t", &developers[developer], index);
                    release.add_task(with_hotfix(draft, hotfix), now)
                }
                Command::Start { task: number, developer } => {
                    release.start(task(number), developers[developer].id, now, STALE)
                }
                Command::CompleteTask { task: number, developer } => {
                    release.complete_task(task(number), developers[developer].id, now)
                }
                Command::Complete => release.complete(now),
            };
            let waited_for = model.waits_for();
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
                let announced: Vec<_> = decision
                    .events
                    .iter()
                    .filter_map(|event| match event {
                        ReleaseEvent::TaskReady(id) => {
                            let number = numbers.iter().position(|known| known == id);
                            Some(Waits::Task(number.unwrap()))
                        }
                        ReleaseEvent::Ready => Some(Waits::Done),
                        _ => None,
                    })
                    .collect();
                let waits_for = model.waits_for();
                let changed = waits_for.filter(|waits| Some(waits) != waited_for.as_ref());
                prop_assert_eq!(announced, Vec::from_iter(changed), "{:?}", command);
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
            let hotfixes = release.tasks.iter().filter(|task| task.hotfix);
            let hotfixes: BTreeSet<_> = hotfixes
                .map(|task| numbers.iter().position(|known| *known == task.id).unwrap())
                .collect();
            prop_assert_eq!(&hotfixes, &model.hotfixes);
            prop_assert_eq!(release.is_completed(), model.completed);
            prop_assert_eq!(release.reopened_count, model.reopened);
        }
    }
}
