//! Lists of tasks: the conditions on them, and the tasks of everybody.

use jiff::Timestamp;
use slipway_rpc::page::Page;
use slipway_store::Query;

use super::{
    AssignedKey, ReleaseFilter, ReleaseStore, StoreError, TaskFilter,
    releases::{BY_STATE, listed},
    work::{END, is_behind, key_of},
};
use crate::{
    identity::UserId,
    release::{PlacedTask, Priority, Release, Task},
};

/// Releases that are read at once: each may have 3 MiB.
const AT_ONCE: u32 = 4;

/// Times that a page reads releases, at most.
const READS: u32 = 50;

/// Conditions on a task; it must meet all of them. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// In this state.
    pub state: Option<TaskFilter>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// With this tag, in the form that is stored.
    pub tag: Option<String>,
    /// Due at this time or later.
    pub due_from: Option<Timestamp>,
    /// Due before this time.
    pub due_before: Option<Timestamp>,
    /// With this text in the title or the description; in lower case.
    pub text: Option<String>,
}

impl Conditions {
    /// The condition on the state.
    #[must_use]
    pub fn in_state(state: Option<TaskFilter>) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// Whether the task meets all of them. A task without a due time meets none on the due time.
    #[must_use]
    pub fn admit(&self, task: &Task) -> bool {
        let Self {
            state,
            priority,
            tag,
            due_from,
            due_before,
            text,
        } = self;
        let contains = |text: &str| {
            let texts = [task.title.as_str(), task.description.as_str()];
            texts.iter().any(|own| own.to_lowercase().contains(text))
        };
        state.is_none_or(|state| state == TaskFilter::of(task.state))
            && priority.is_none_or(|priority| priority == task.priority)
            && tag.as_ref().is_none_or(|tag| task.tags.contains(tag))
            && due_from.is_none_or(|from| task.due_at.is_some_and(|due| due >= from))
            && due_before.is_none_or(|before| task.due_at.is_some_and(|due| due < before))
            && text.as_deref().is_none_or(contains)
    }
}

impl ReleaseStore {
    /// A page of the tasks that meet the conditions, newest release first, in order within a
    /// release: those of one developer, or of all. A page reads a bounded number of releases. So it
    /// may have fewer tasks than its limit although more follow.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn tasks(
        &self,
        developer: Option<UserId>,
        conditions: &Conditions,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<Page<PlacedTask, AssignedKey>, StoreError> {
        if let Some(developer) = developer {
            let (work, _) = self.work_of(developer, conditions, after, limit).await?;
            return Ok(Page {
                items: work.items.into_iter().map(|task| task.placed).collect(),
                next: work.next,
            });
        }
        // All tasks of a completed release are completed.
        let releases = match conditions.state {
            Some(TaskFilter::Todo | TaskFilter::InProcess) => Some(ReleaseFilter::Open),
            Some(TaskFilter::Completed) | None => None,
        };
        let (mut page, mut last) = (Vec::new(), None);
        // A key just above the release of `after`, so that the page includes that release.
        let mut behind = after.map(|(release, _)| format!("{release}~"));
        for _ in 0..READS {
            let query = Query::last(AT_ONCE, listed(releases)).behind(behind);
            let found: Vec<Release> = self.documents.list(&BY_STATE, &query).await?;
            for release in &found {
                let tasks = release.tasks.iter().filter(|task| conditions.admit(task));
                let placed = tasks.map(|task| release.place(task));
                page.extend(placed.filter(|task| is_behind(task, after)));
            }
            if page.len() > limit as usize {
                return Ok(Page::from_overfetch(page, limit, key_of));
            }
            let Some(oldest) = found.last().filter(|_| found.len() == AT_ONCE as usize) else {
                last = None;
                break;
            };
            behind = Some(oldest.id.to_string());
            last = Some((oldest.id, END));
        }
        Ok(Page {
            items: page,
            next: last,
        })
    }
}
