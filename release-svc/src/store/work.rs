//! A view of each developer's tasks in a release, stored with the release. With it, a list of a
//! developer's tasks is one read: it need not load whole releases, nor look up the predecessor of
//! each task.

use std::{borrow::Cow, collections::BTreeSet};

use serde::{Deserialize, Serialize};
use slipway_rpc::page::Page;
use slipway_store::{Entries, Index, Query};

use super::{Conditions, ReleaseStore, StoreError, TaskFilter};
use crate::{
    identity::UserId,
    release::{PlacedTask, Release, ReleaseId, Task, TaskState, Text},
};

/// Releases by each developer with a task in them, and by developer and state ([`key`]); the
/// newest last.
pub(super) const ASSIGNED: Index = Index::list("assigned");
/// [`Work`], by developer.
pub(super) const WORK: Index = Index::view("work");

/// Bytes of text that a release with tasks in the view may have. The view repeats most tasks
/// twice, for the owner and for the owner of the next task. A larger release would not fit into
/// its document; its list entries are read from the release itself.
const MAX_VIEWED: usize = 512 * 1024;

/// Open tasks of a developer up to which they are counted.
const MAX_COUNTED: usize = 1000;

/// Tasks that are read at once to count them.
const COUNTED_PAGE: u32 = 200;

/// A developer's task, with the task before it if that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTask {
    /// The task.
    pub placed: PlacedTask,
    /// The task that has to be completed first.
    pub blocked_by: Option<PlacedTask>,
}

/// The cursor of a list of tasks: release and order index.
pub type AssignedKey = (ReleaseId, i64);

/// In a cursor: behind every task of the release.
pub(super) const END: i64 = i64::MAX;

impl AssignedTask {
    /// Its place in a developer's list.
    #[must_use]
    pub fn key(&self) -> AssignedKey {
        key_of(&self.placed)
    }
}

/// The place of a task in a list of tasks.
pub(super) fn key_of(placed: &PlacedTask) -> AssignedKey {
    (placed.release_id, placed.task.order_index.get())
}

/// Whether a task comes after `after` in a list of tasks; every task does if `after` is `None`.
pub(super) fn is_behind(placed: &PlacedTask, after: Option<AssignedKey>) -> bool {
    let (release, order_index) = key_of(placed);
    after.is_none_or(|after| release < after.0 || release == after.0 && order_index > after.1)
}

impl TaskFilter {
    /// The filter that matches tasks in this state.
    pub(super) fn of(state: TaskState) -> Self {
        match state {
            TaskState::Todo => Self::Todo,
            TaskState::InProcess { .. } => Self::InProcess,
            TaskState::Completed { .. } => Self::Completed,
        }
    }
}

/// A developer's tasks in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Work<'a> {
    release: ReleaseId,
    name: Cow<'a, Text>,
    /// The developer's tasks in order, each after its predecessor if that is not completed.
    /// `None`: read them from the release.
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
            ..Self::without_tasks(release)
        }
    }

    fn without_tasks(release: &'a Release) -> Self {
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
        // The previous task, if it belongs to somebody else.
        let mut others = None;
        for task in self.tasks.into_iter().flatten() {
            let task = task.into_owned();
            if task.assignee.id != developer {
                others = Some(task);
                continue;
            }
            // Tasks are completed in order. If neither this task nor the developer's previous one
            // is completed and no task is between them, the previous one blocks this one.
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

/// Adds the index entries and the views of a release's developers.
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
            false => Work::without_tasks(release),
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
    /// A page of a developer's tasks that meet the conditions, newest release first, in order
    /// within a release; and the developer's task in process, whether it is on that page or not.
    ///
    /// A page reads a bounded number of releases. So with conditions on more than the state it may
    /// have fewer tasks than its limit although more follow.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn work_of(
        &self,
        developer: UserId,
        conditions: &Conditions,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<(Page<AssignedTask, AssignedKey>, Option<PlacedTask>), StoreError> {
        let filter = conditions.state;
        // Each release has a task in this state for the page, except perhaps the first: `after` may
        // be its last.
        let releases = limit + 2;
        // A key just above the release of `after`, so that the page includes that release.
        let newest = after.map(|(release, _)| format!("{release}~"));
        let query = Query::last(releases, key(developer, filter)).behind(newest);
        let found = self
            .documents
            .view::<Release, Work>(&ASSIGNED, &query, &WORK, developer)
            .await?;
        let shows_active = filter.is_none_or(|filter| filter == TaskFilter::InProcess);
        let is_last = found.len() < releases as usize;
        let oldest = found.last().map(|work| (work.release, END));
        let is_all = after.is_none() && shows_active && is_last;
        let (mut page, mut active, mut found) = (Vec::new(), None, found.into_iter());
        while page.len() <= limit as usize
            && let Some(work) = found.next()
        {
            for assigned in self.read(work, developer).await? {
                let state = TaskFilter::of(assigned.placed.task.state);
                if state == TaskFilter::InProcess {
                    active = Some(assigned.placed.clone());
                }
                let is_wanted = conditions.admit(&assigned.placed.task);
                if is_wanted && is_behind(&assigned.placed, after) {
                    page.push(assigned);
                }
            }
        }
        let has_seen_all = is_all && found.len() == 0;
        if active.is_none() && !has_seen_all {
            active = self.active_task(developer).await?;
        }
        let mut page = Page::from_overfetch(page, limit, AssignedTask::key);
        if page.next.is_none() && !is_last {
            page.next = oldest;
        }
        Ok((page, active))
    }

    /// How many tasks of a developer are not completed, counted up to about [`MAX_COUNTED`].
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn open_tasks(&self, developer: UserId) -> Result<u32, StoreError> {
        let mut count = 0;
        for state in [TaskFilter::Todo, TaskFilter::InProcess] {
            let conditions = Conditions::in_state(Some(state));
            let mut after = None;
            while count < MAX_COUNTED {
                let page = self.work_of(developer, &conditions, after, COUNTED_PAGE);
                let (page, _) = page.await?;
                count += page.items.len();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
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
