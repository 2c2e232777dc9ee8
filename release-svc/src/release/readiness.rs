//! Whether a developer could start a task, and what blocks it. The same for every place that says so.

use super::{PlacedTask, Release, Task, TaskId, TaskState};
use crate::identity::UserId;

/// Whether a developer could start a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Whether a start by the developer would succeed.
    pub can_start: bool,
    /// What blocks it, if it is TODO.
    pub blocker: Option<Blocker>,
}

/// What blocks a task that is TODO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The task before it, which is not completed. It blocks whoever asks.
    Predecessor(PlacedTask),
    /// The task that its owner has in process. Only its owner is told.
    OwnWork(PlacedTask),
}

impl Readiness {
    /// Of a task for this developer, who has the task `active` in process, if any. `predecessor` is
    /// the task before it, if that is not completed.
    #[must_use]
    pub fn of(
        task: &Task,
        developer: UserId,
        predecessor: Option<PlacedTask>,
        active: Option<&PlacedTask>,
    ) -> Self {
        if task.state != TaskState::Todo {
            return Self::default();
        }
        let is_own = task.assignee.id == developer;
        let work = || active.filter(|_| is_own).cloned().map(Blocker::OwnWork);
        let blocker = predecessor.map(Blocker::Predecessor).or_else(work);
        Self {
            can_start: is_own && blocker.is_none(),
            blocker,
        }
    }
}

impl Release {
    /// Whether the next task waits for this developer: only then what they could start in this
    /// release depends on their task in process, which may be in another release.
    #[must_use]
    pub fn waits_for(&self, developer: UserId) -> bool {
        self.next_task()
            .is_some_and(|next| next.state == TaskState::Todo && next.assignee.id == developer)
    }

    /// The readiness of each task in order, for a developer who has the task `active` in process.
    #[must_use]
    pub fn readiness(&self, developer: UserId, active: Option<&PlacedTask>) -> Vec<Readiness> {
        let places = 0..self.tasks.len();
        places
            .map(|place| self.readiness_at(place, developer, active))
            .collect()
    }

    /// The readiness of one task; `None` if it is not in this release.
    #[must_use]
    pub fn readiness_of(
        &self,
        task: TaskId,
        developer: UserId,
        active: Option<&PlacedTask>,
    ) -> Option<Readiness> {
        let place = self.index_of(task).ok()?;
        Some(self.readiness_at(place, developer, active))
    }

    fn readiness_at(
        &self,
        place: usize,
        developer: UserId,
        active: Option<&PlacedTask>,
    ) -> Readiness {
        let predecessor = self.unfinished_predecessor(place);
        let predecessor = predecessor.map(|task| self.place(task));
        Readiness::of(&self.tasks[place], developer, predecessor, active)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::{STALE, at, draft, plan, user};

    #[test]
    fn the_readiness_of_a_task_is_what_a_start_would_get() {
        let (ada, grace) = (user("ada"), user("grace"));
        let owners = [&ada, &grace, &grace];
        let drafts = owners.map(|owner| draft("t", owner, None)).to_vec();
        let mut release = plan(drafts).unwrap().release;
        let elsewhere = plan(vec![draft("e", &grace, None)]).unwrap().release;
        let elsewhere = elsewhere.place(&elsewhere.tasks[0]);
        for done in 0..=release.tasks.len() {
            for active in [None, Some(&elsewhere)] {
                for developer in [ada.id, grace.id] {
                    let busy = active.filter(|task| task.task.assignee.id == developer);
                    let all = release.readiness(developer, busy);
                    for (task, readiness) in release.tasks.iter().zip(&all) {
                        let started = release.start(task.id, developer, at(9), STALE);
                        let could = started.is_ok() && busy.is_none();
                        assert_eq!(readiness.can_start, could, "{done} {readiness:?}");
                        let one = release.readiness_of(task.id, developer, busy);
                        assert_eq!(one.as_ref(), Some(readiness));
                    }
                    let own_work = |of: &Readiness| matches!(of.blocker, Some(Blocker::OwnWork(_)));
                    assert_eq!(
                        all.iter().any(|of| of.can_start || own_work(of)),
                        release.waits_for(developer),
                        "only the next task depends on the work of its owner"
                    );
                }
            }
            if let Some(task) = release.tasks.get(done).cloned() {
                let owner = task.assignee.id;
                release = release.start(task.id, owner, at(1), STALE).unwrap().release;
                let all = release.readiness(grace.id, None);
                assert_eq!(all[done], Readiness::default(), "in process");
                release = release
                    .complete_task(task.id, owner, at(2))
                    .unwrap()
                    .release;
            }
        }
    }

    #[test]
    fn a_predecessor_blocks_whoever_asks_and_own_work_only_its_owner() {
        let (ada, grace) = (user("ada"), user("grace"));
        let drafts = vec![draft("first", &ada, None), draft("second", &grace, None)];
        let release = plan(drafts).unwrap().release;
        let other = plan(vec![draft("other", &ada, None)]).unwrap().release;
        let other = other.place(&other.tasks[0]);
        let first = release.place(&release.tasks[0]);
        for asking in [ada.id, grace.id, user("manager").id] {
            let blocker = release.readiness(asking, Some(&other))[1].blocker.clone();
            assert_eq!(blocker, Some(Blocker::Predecessor(first.clone())));
        }
        let own = release.readiness(ada.id, Some(&other))[0].clone();
        assert_eq!(own.blocker, Some(Blocker::OwnWork(other.clone())));
        let others = release.readiness(grace.id, Some(&other))[0].clone();
        assert_eq!(others, Readiness::default());
    }
}
