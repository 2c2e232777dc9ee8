//! Compares the aggregate with a small, independently written model: after any sequence of
//! commands, both have given the same answers and are in the same state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use slipway_rpc::access::Role;

use super::{super::*, STALE, at, draft, plan, reason, user, with_hotfix};
use crate::identity::By;

/// Who gives a command: a developer by number, or an admin.
type Giver = Option<usize>;

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
    Pause {
        task: usize,
        by: Giver,
    },
    CompleteTask {
        task: usize,
        developer: usize,
    },
    Complete,
    Change {
        task: usize,
        by: Giver,
        owner: Option<usize>,
        index: Option<i64>,
        remind_before: Option<u32>,
        is_stale: bool,
    },
    DeleteTask {
        task: usize,
        is_stale: bool,
    },
    Rename {
        name: &'static str,
        is_stale: bool,
    },
    Delete {
        is_stale: bool,
    },
}

fn command() -> impl Strategy<Value = Command> {
    let task = || 0..6_usize;
    let developer = || 0..3_usize;
    let index = || prop::option::of(0..12_i64);
    let by = || prop::option::of(developer());
    let is_stale = || prop::bool::weighted(0.1);
    prop_oneof![
        4 => (developer(), index(), prop::option::weighted(0.2, any::<bool>())).prop_map(
            |(developer, index, hotfix)| Command::Add { developer, index, hotfix }
        ),
        6 => (task(), developer()).prop_map(|(task, developer)| Command::Start { task, developer }),
        2 => (task(), by()).prop_map(|(task, by)| Command::Pause { task, by }),
        6 => (task(), developer())
            .prop_map(|(task, developer)| Command::CompleteTask { task, developer }),
        2 => Just(Command::Complete),
        4 => (task(), by(), prop::option::of(developer()), index(), prop::option::of(0..3_u32), is_stale())
            .prop_map(|(task, by, owner, index, remind_before, is_stale)| Command::Change {
                task,
                by,
                owner,
                index,
                remind_before,
                is_stale,
            }),
        2 => (task(), is_stale()).prop_map(|(task, is_stale)| Command::DeleteTask { task, is_stale }),
        1 => (prop_oneof![Just("r"), Just("s")], is_stale())
            .prop_map(|(name, is_stale)| Command::Rename { name, is_stale }),
        1 => is_stale().prop_map(|is_stale| Command::Delete { is_stale }),
    ]
}

/// A task of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    number: usize,
    owner: usize,
    state: &'static str,
    remind_before: Option<u32>,
    /// The second of its last start.
    started: i64,
    /// Seconds of work, without those since that start if it is in process.
    worked: i64,
}

/// The rules in their simplest form, on a map from order index to task.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    name: &'static str,
    tasks: BTreeMap<i64, Known>,
    /// How many tasks were ever added.
    added: usize,
    /// The numbers of the tasks that are hotfixes.
    hotfixes: BTreeSet<usize>,
    completed: bool,
    reopened: u32,
    deleted: bool,
}

/// The step that a release waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Waits {
    /// The start of the task with this number, by this developer.
    Task(usize, usize),
    /// The completion of the release.
    Done,
}

impl Model {
    fn new() -> Self {
        Self {
            name: "r",
            tasks: BTreeMap::new(),
            added: 0,
            hotfixes: BTreeSet::new(),
            completed: false,
            reopened: 0,
            deleted: false,
        }
    }

    fn waits_for(&self) -> Option<Waits> {
        if self.completed || self.tasks.is_empty() {
            return None;
        }
        let mut states = self.tasks.values().map(|task| task.state);
        if states.clone().all(|state| state == "COMPLETED") {
            return Some(Waits::Done);
        }
        if states.any(|state| state == "IN_PROCESS") {
            return None;
        }
        let todo = self.tasks.values().find(|task| task.state == "TODO");
        todo.map(|task| Waits::Task(task.number, task.owner))
    }

    fn apply(&mut self, command: &Command, now: i64) -> Result<(), &'static str> {
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
                self.is_free(index)?;
                let number = self.added;
                self.added += 1;
                let task = Known {
                    number,
                    owner: developer,
                    state: "TODO",
                    remind_before: None,
                    started: 0,
                    worked: 0,
                };
                self.tasks.insert(index, task);
                if hotfix.unwrap_or(was_completed) {
                    self.hotfixes.insert(number);
                }
                if self.completed {
                    self.completed = false;
                    self.reopened += 1;
                }
            }
            Command::Start { task, developer } => {
                let index = self.owned(task, Some(developer))?;
                if self.tasks[&index].state != "TODO" {
                    return Err("INVALID_TRANSITION");
                }
                let before = self.tasks.range(..index).next_back();
                if before.is_some_and(|(_, task)| task.state != "COMPLETED") {
                    return Err("TASK_OUT_OF_ORDER");
                }
                let task = self.tasks.get_mut(&index).unwrap();
                task.state = "IN_PROCESS";
                task.started = now;
            }
            Command::Pause { task, by } => self.stop(task, by, "TODO", now)?,
            Command::CompleteTask { task, developer } => {
                self.stop(task, Some(developer), "COMPLETED", now)?;
            }
            Command::Complete => {
                if self.completed {
                    return Err("INVALID_TRANSITION");
                }
                if self.tasks.is_empty() {
                    return Err("RELEASE_EMPTY");
                }
                if self.tasks.values().any(|task| task.state != "COMPLETED") {
                    return Err("RELEASE_INCOMPLETE");
                }
                self.completed = true;
            }
            Command::Change {
                task,
                by,
                owner,
                index: to,
                remind_before,
                is_stale,
            } => {
                if by.is_some() && (owner.is_some() || to.is_some()) {
                    self.owned(task, None)?;
                    return Err("ADMIN_REQUIRED");
                }
                let index = self.owned(task, by)?;
                if is_stale {
                    return Err("TASK_CHANGED");
                }
                let mut task = self.tasks[&index].clone();
                let to = to.unwrap_or(index);
                let owner = owner.unwrap_or(task.owner);
                if (to != index || owner != task.owner) && task.state != "TODO" {
                    return Err("TASK_STARTED");
                }
                if to != index {
                    self.is_free(to)?;
                }
                task.owner = owner;
                task.remind_before = remind_before.or(task.remind_before);
                self.tasks.remove(&index);
                self.tasks.insert(to, task);
            }
            Command::DeleteTask { task, is_stale } => {
                let index = self.owned(task, None)?;
                if is_stale {
                    return Err("TASK_CHANGED");
                }
                if self.tasks[&index].state != "TODO" {
                    return Err("TASK_STARTED");
                }
                self.tasks.remove(&index);
                self.hotfixes.remove(&task);
            }
            Command::Rename { is_stale: true, .. } => return Err("RELEASE_CHANGED"),
            Command::Rename { name, .. } => self.name = name,
            Command::Delete { is_stale: true } => return Err("RELEASE_CHANGED"),
            Command::Delete { .. } => {
                if self.tasks.values().any(|task| task.state != "TODO") {
                    return Err("RELEASE_STARTED");
                }
                self.tasks.clear();
                self.hotfixes.clear();
                self.deleted = true;
            }
        }
        Ok(())
    }

    /// Whether a task can get this place.
    fn is_free(&self, index: i64) -> Result<(), &'static str> {
        if self.tasks.contains_key(&index) {
            return Err("ORDER_INDEX_TAKEN");
        }
        let passed = |(other, task): (&i64, &Known)| *other > index && task.state != "TODO";
        match self.tasks.iter().any(passed) {
            true => Err("ORDER_INDEX_PASSED"),
            false => Ok(()),
        }
    }

    /// Ends the work on a task.
    fn stop(
        &mut self,
        task: usize,
        by: Giver,
        state: &'static str,
        now: i64,
    ) -> Result<(), &'static str> {
        let index = self.owned(task, by)?;
        if self.tasks[&index].state != "IN_PROCESS" {
            return Err("INVALID_TRANSITION");
        }
        let task = self.tasks.get_mut(&index).unwrap();
        task.state = state;
        task.worked += now - task.started;
        Ok(())
    }

    /// The place of a task that exists, and, unless an admin gives the command, is the giver's.
    fn owned(&self, task: usize, by: Giver) -> Result<i64, &'static str> {
        let found = self.tasks.iter().find(|(_, known)| known.number == task);
        match (found, by) {
            (None, _) => Err("TASK_NOT_FOUND"),
            (Some((_, task)), Some(developer)) if task.owner != developer => Err("NOT_ASSIGNEE"),
            (Some((index, _)), _) => Ok(*index),
        }
    }
}

/// Runs a command on the release. `numbers` has the ids of the tasks by number.
fn run(
    release: &Release,
    command: &Command,
    developers: &[UserRef],
    numbers: &[TaskId],
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let task = |number: usize| {
        numbers
            .get(number)
            .copied()
            .unwrap_or_else(TaskId::generate)
    };
    let by = |giver: Giver| match giver {
        Some(developer) => By {
            user: developers[developer].id,
            role: Role::Developer,
        },
        None => By {
            user: user("admin").id,
            role: Role::Admin,
        },
    };
    let on = |current: Option<Revision>, is_stale| match is_stale {
        true => Some(Revision(u64::MAX)),
        false => current,
    };
    let revision = |id| release.task(id).map(|task| task.revision);
    match *command {
        Command::Add {
            developer,
            index,
            hotfix,
        } => {
            let draft = draft("t", &developers[developer], index);
            release.add_task(with_hotfix(draft, hotfix), now)
        }
        Command::Start {
            task: id,
            developer,
        } => release.start(task(id), developers[developer].id, now, STALE),
        Command::Pause {
            task: id,
            by: giver,
        } => release.pause(task(id), by(giver), reason("ill"), now),
        Command::CompleteTask {
            task: id,
            developer,
        } => release.complete_task(task(id), developers[developer].id, now),
        Command::Complete => release.complete(now),
        Command::Change {
            task: id,
            by: giver,
            owner,
            index,
            remind_before,
            is_stale,
        } => {
            let id = task(id);
            let change = TaskChange {
                assignee: owner.map(|owner| developers[owner].clone()),
                order_index: index.map(|index| OrderIndex::new(index).unwrap()),
                remind_before: remind_before.map(|n| Some(RemindBefore::new(n).unwrap())),
                ..TaskChange::default()
            };
            release.change_task(id, by(giver), on(revision(id), is_stale), change, now)
        }
        Command::DeleteTask { task: id, is_stale } => {
            let id = task(id);
            release.delete_task(id, on(revision(id), is_stale))
        }
        Command::Rename { name, is_stale } => {
            let change = ReleaseChange {
                name: Some(Text::title(name).unwrap()),
                ..ReleaseChange::default()
            };
            release.change(on(Some(release.revision), is_stale), change)
        }
        Command::Delete { is_stale } => release.delete(on(None, is_stale), now),
    }
}

/// Whether two states of a task differ in more than the revision.
fn differ(before: &Task, after: &Task) -> bool {
    let after = Task {
        revision: before.revision,
        ..after.clone()
    };
    *before != after
}

proptest! {
    #[test]
    fn the_aggregate_agrees_with_the_model(commands in prop::collection::vec(command(), 0..60)) {
        let developers = [user("a"), user("b"), user("c")];
        let mut release = plan(vec![]).unwrap().release;
        let mut model = Model::new();
        // The n-th task added, by id.
        let mut numbers: Vec<TaskId> = Vec::new();
        for (second, command) in commands.iter().enumerate() {
            let second = i64::try_from(second).unwrap();
            let decision = run(&release, command, &developers, &numbers, at(second));
            let before = model.clone();
            let expected = model.apply(command, second);
            prop_assert_eq!(
                decision.as_ref().map(|_| ()).map_err(Refusal::code),
                expected,
                "{:?}", command
            );
            if let Ok(decision) = decision {
                if model == before {
                    prop_assert_eq!(&decision.release, &release);
                    prop_assert_eq!(&decision.events, &[]);
                    continue;
                }
                prop_assert_eq!(decision.release.revision, release.revision.next());
                prop_assert!(!decision.events.is_empty());
                for event in &decision.events {
                    if let ReleaseEvent::TaskCreated(id) = event {
                        numbers.push(*id);
                    }
                }
                let number = |id: &TaskId| numbers.iter().position(|known| known == id).unwrap();
                let announced: Vec<_> = decision
                    .events
                    .iter()
                    .filter_map(|event| match event {
                        ReleaseEvent::TaskReady(id) => {
                            let owner = decision.release.task(*id).unwrap().assignee.id;
                            let owner = developers.iter().position(|known| known.id == owner);
                            Some(Waits::Task(number(id), owner.unwrap()))
                        }
                        ReleaseEvent::Ready => Some(Waits::Done),
                        _ => None,
                    })
                    .collect();
                let (waited_for, waits_for) = (before.waits_for(), model.waits_for());
                let changed = waits_for.filter(|waits| Some(waits) != waited_for.as_ref());
                prop_assert_eq!(announced, Vec::from_iter(changed), "{:?}", command);
                for task in &decision.release.tasks {
                    let before = release.task(task.id);
                    let is_renamed = model.name != release.name.as_str();
                    let changed = before.is_none_or(|before| differ(before, task)) || is_renamed;
                    let expected = match (changed, before) {
                        (false, Some(before)) => before.revision,
                        _ => decision.release.revision,
                    };
                    prop_assert_eq!(task.revision, expected, "{:?}", command);
                }
                release = decision.release;
            }
            let actual: Vec<_> = release
                .tasks
                .iter()
                .map(|task| (
                    task.order_index.get(),
                    task.assignee.id,
                    task.state.name(),
                    task.remind_before.map(RemindBefore::minutes),
                    task.worked_ms() / 1_000,
                ))
                .collect();
            let modelled: Vec<_> = model
                .tasks
                .iter()
                .map(|(index, task)| (
                    *index,
                    developers[task.owner].id,
                    task.state,
                    task.remind_before,
                    task.worked,
                ))
                .collect();
            prop_assert_eq!(actual, modelled);
            let hotfixes = release.tasks.iter().filter(|task| task.hotfix);
            let hotfixes: BTreeSet<_> = hotfixes
                .map(|task| numbers.iter().position(|known| *known == task.id).unwrap())
                .collect();
            prop_assert_eq!(&hotfixes, &model.hotfixes);
            prop_assert_eq!(release.is_completed(), model.completed);
            prop_assert_eq!(release.reopened_count, model.reopened);
            prop_assert_eq!(release.deleted_at.is_some(), model.deleted);
            if model.deleted {
                break;
            }
        }
    }
}
