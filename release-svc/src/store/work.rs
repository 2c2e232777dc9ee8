//! What a developer has to do in a release: kept with it in a view, so that a list of a
//! developer's tasks is one read, which neither reads whole releases nor follows each task
//! to the one before it.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use slipway_rpc::page::Page;
use slipway_store::{Entries, Index, Query};

use super::{ReleaseStore, StoreError, TaskFilter};
use crate::{
    identity::UserId,
    release::{PlacedTask, Release, ReleaseId, Task, TaskState, Text},
};

/// Releases under each developer who has a task in them, and under developer and state
/// ([`key`]); the newest last.
pub(super) const ASSIGNED: Index = Index::list("assigned");
/// [`Work`], under the developer.
pub(super) const WORK: Index = Index::view("work");

/// Bytes of text of a release whose tasks are in the view. It says most of them twice, to
/// the task's owner and to the next one's: a release with more than this is read itself, so
/// that it has room in its document.
const MAX_VIEWED: usize = 512 * 1024;

/// A developer's task, with the task before it if that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTask {
    /// The task.
    pub placed: PlacedTask,
    /// What has to be completed first.
    pub blocked_by: Option<PlacedTask>,
}

/// Where a page of a developer's tasks ends: release and order index.
pub type AssignedKey = (ReleaseId, i64);

impl AssignedTask {
    /// Its place in a developer's list.
    #[must_use]
    pub fn key(&self) -> AssignedKey {
        (self.placed.release_id, self.placed.task.order_index.get())
    }

    /// Whether it is behind `after` in a developer's list.
    fn is_behind(&self, after: AssignedKey) -> bool {
        let (release, order_index) = self.key();
        release < after.0 || release == after.0 && order_index > after.1
    }
}

impl TaskFilter {
    /// The one that shows tasks in this state.
    fn of(state: TaskState) -> Self {
        match state {
            TaskState::Todo => Self::Todo,
            TaskState::InProcess { .. } => Self::InProcess,
            TaskState::Completed { .. } => Self::Completed,
        }
    }
}

/// What a developer has to do in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Work<'a> {
    release: ReleaseId,
    name: Cow<'a, Text>,
    /// The developer's tasks, each behind the one before it if that is not completed, in
    /// order. `None`: they are to be read in the release.
    tasks: Option<Vec<Cow<'a, Task>>>,
}

impl<'a> Work<'a> {
    fn of(release: &'a Release, developer: UserId) -> Self {
        let own = |task: &Task| task.assignee.id == developer;
        let blocks = |place: usize| release.tasks.get(place + 1).is_some_and(own);
        let tasks = release.tasks.iter().enumerate();
        let tasks = tasks.filter(|(n, task)| own(task) || !task.is_completed() && blocks(*n));
        Self {
            tasks: Some(tasks.map(|(_, task)| Cow::Borrowed(task)).collect()),
            ..Self::to_be_read(release)
        }
    }

    fn to_be_read(release: &'a Release) -> Self {
        Self {
            release: release.id,
            name: Cow::Borrowed(&release.name),
            tasks: None,
        }
    }

    /// The developer's tasks, in order.
    fn assigned_to(self, developer: UserId) -> Vec<AssignedTask> {
        let place = |task| PlacedTask {
            release_id: self.release,
            release_name: Text::clone(&self.name),
            task,
        };
        let mut assigned: Vec<AssignedTask> = Vec::new();
        // Somebody else's, before the next one.
        let mut others = None;
        for task in self.tasks.into_iter().flatten() {
            let task = task.into_owned();
            if task.assignee.id != developer {
                others = Some(task);
                continue;
            }
            // Tasks are completed in their order: of two that are not, with none of them in
            // between, the first has to be completed first.
            let blocked_by = match (others.take(), assigned.last()) {
                _ if task.is_completed() => None,
                (Some(others), _) => Some(place(others)),
                (None, Some(own)) if !own.placed.task.is_completed() => Some(own.placed.clone()),
                (None, _) => None,
            };
            assigned.push(AssignedTask {
                placed: place(task),
                blocked_by,
            });
        }
        assigned
    }
}

/// The entries of what developers have to do in a release.
pub(super) fn enter(release: &Release, entries: &mut Entries) {
    let assigned = release.tasks.iter();
    let assigned = assigned.map(|task| (task.assignee.id, TaskFilter::of(task.state)));
    let assigned: BTreeSet<_> = assigned.collect();
    for (developer, state) in &assigned {
        entries.list(&ASSIGNED, key(*developer, Some(*state)), release.id);
    }
    let developers: BTreeSet<_> = assigned
        .into_iter()
        .map(|(developer, _)| developer)
        .collect();
    let is_viewed = release.text() <= MAX_VIEWED;
    for developer in developers {
        entries.list(&ASSIGNED, key(developer, None), release.id);
        let work = match is_viewed {
            true => Work::of(release, developer),
            false => Work::to_be_read(release),
        };
        entries.view(&WORK, developer, &work);
    }
}

/// The key of a developer's list of releases.
fn key(developer: UserId, filter: Option<TaskFilter>) -> String {
    match filter {
        None => developer.to_string(),
        Some(TaskFilter::Todo) => format!("{developer}/TODO"),
        Some(TaskFilter::InProcess) => format!("{developer}/IN_PROCESS"),
        Some(TaskFilter::Completed) => format!("{developer}/COMPLETED"),
    }
}

impl ReleaseStore {
    /// A page of a developer's tasks, newest release first, in order within a release; and
    /// what they are working on, on that page or not.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn work_of(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<(Page<AssignedTask, AssignedKey>, Option<PlacedTask>), StoreError> {
        // Each but the first, which `after` may have exhausted, has a task for the page.
        let releases = limit + 2;
        // Greater than the release that `after` is in, and less than those behind it.
        let newest = after.map(|(release, _)| format!("{release}~"));
        let query = Query::last(releases, key(developer, filter)).behind(newest);
        let found = self
            .documents
            .view::<Release, Work>(&ASSIGNED, &query, &WORK, developer)
            .await?;
        let shows_active = filter.is_none_or(|filter| filter == TaskFilter::InProcess);
        let is_all = after.is_none() && shows_active && found.len() < releases as usize;
        let (mut page, mut active, mut found) = (Vec::new(), None, found.into_iter());
        while page.len() <= limit as usize
            && let Some(work) = found.next()
        {
            for assigned in self.read(work, developer).await? {
                let state = TaskFilter::of(assigned.placed.task.state);
                if state == TaskFilter::InProcess {
                    active = Some(assigned.placed.clone());
                }
                let is_wanted = filter.is_none_or(|filter| filter == state);
                if is_wanted && after.is_none_or(|after| assigned.is_behind(after)) {
                    page.push(assigned);
                }
            }
        }
        let has_seen_all = is_all && found.len() == 0;
        if active.is_none() && !has_seen_all {
            active = self.active_task(developer).await?;
        }
        let page = Page::from_overfetch(page, limit, AssignedTask::key);
        Ok((page, active))
    }

    async fn read(
        &self,
        work: Work<'static>,
        developer: UserId,
    ) -> Result<Vec<AssignedTask>, StoreError> {
        if work.tasks.is_some() {
            return Ok(work.assigned_to(developer));
        }
        let release = self.release(work.release).await?;
        let work = release.as_ref().map(|release| Work::of(release, developer));
        Ok(work.map_or_else(Vec::new, |work| work.assigned_to(developer)))
    }
}
