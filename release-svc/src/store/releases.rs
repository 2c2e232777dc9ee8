//! Stores releases: one document per release, with its tasks.
//!
//! A unique index enforces that a developer has one task in process on the whole platform: the
//! database refuses a second one, even when several replicas write at the same time.
//!
//! A MongoDB document may have 16 MiB. The text of a release is limited
//! ([`MAX_TEXT`](crate::release::MAX_TEXT)), and so is everything in the document that repeats
//! it: the release, the views of its developers ([`super::work`]), and receipts, whose responses
//! contain each text once. The number of unpublished events is not limited: a change is refused
//! if the document has no room for its events.
//!
//! On MongoDB the events and receipts of a release are in its document. So a deleted release stays
//! stored, found by no query, until its receipts have expired and its events are published.

use jiff::Timestamp;
use slipway_rpc::page::Page;
use slipway_store::{
    Collection, Document, Documents, Entries, Index, Query, Refusal, Write, by_time,
    due::{self, Due},
};

use super::{
    Commit, ReleaseFilter, ReleaseSummary, SaveError, StoreError,
    work::{self, ASSIGNED, WORK},
};
use crate::{
    identity::UserId,
    release::{PlacedTask, Release, ReleaseId, Task, TaskId},
};

/// The owners of the tasks in process.
const ACTIVE_DEVELOPERS: Index = Index::unique("active_developers");
/// By the ids of its tasks. Not a unique index: the ids are unique anyway, and every change would
/// have to check each of them.
const BY_TASK: Index = Index::list("by_task");
/// By the time at which something is due.
const DUE: Index = Index::list("due");
/// All releases under the empty key, and each release under its state; the newest last.
pub(super) const BY_STATE: Index = Index::list("by_state");
/// Deleted releases, by the time of their deletion.
const BY_DELETION: Index = Index::list("by_deletion");

/// Deleted releases that one write purges.
const PURGED: u32 = 100;

impl Document for Release {
    const COLLECTION: Collection = Collection::new(
        "releases",
        1,
        &[
            ACTIVE_DEVELOPERS,
            BY_TASK,
            BY_STATE,
            BY_DELETION,
            ASSIGNED,
            WORK,
            DUE,
        ],
    )
    .with_events()
    .with_receipts();

    type Summary = ReleaseSummary;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision.0
    }

    fn entries(&self, entries: &mut Entries) {
        if let Some(at) = self.deleted_at {
            entries.list(&BY_DELETION, "", by_time(at, self.id));
            return;
        }
        let state = if self.is_completed() {
            ReleaseFilter::Completed
        } else {
            ReleaseFilter::Open
        };
        entries.list(&BY_STATE, listed(None), self.id);
        entries.list(&BY_STATE, listed(Some(state)), self.id);
        for task in &self.tasks {
            entries.list(&BY_TASK, task.id, self.id);
        }
        for task in self.active_tasks() {
            entries.unique(&ACTIVE_DEVELOPERS, task.assignee.id);
        }
        work::enter(self, entries);
        due::enter(self, entries);
    }

    fn summary(&self) -> ReleaseSummary {
        let count = |tasks: usize| u32::try_from(tasks).unwrap_or(u32::MAX);
        ReleaseSummary {
            release: self.without_tasks(),
            total: count(self.tasks.len()),
            completed: count(self.completed_tasks()),
        }
    }
}

impl Due for Release {
    const DUE: Index = DUE;

    fn due_at(&self) -> Option<Timestamp> {
        Self::due_at(self)
    }
}

/// The key of a list of releases.
pub(super) fn listed(filter: Option<ReleaseFilter>) -> &'static str {
    match filter {
        None => "",
        Some(ReleaseFilter::Open) => "OPEN",
        Some(ReleaseFilter::Completed) => "COMPLETED",
    }
}

/// Releases with their tasks.
#[derive(Clone)]
pub struct ReleaseStore {
    pub(super) documents: Documents,
}

impl ReleaseStore {
    pub(super) fn new(documents: Documents) -> Self {
        Self { documents }
    }

    /// The documents, for the timer.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// Stores a new release.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn insert(&self, release: &Release, commit: Commit) -> Result<(), SaveError> {
        self.write(Write::insert(release), commit, None).await
    }

    /// Replaces `before` by `after`, if the stored revision is still that of `before` and each
    /// developer has at most one task in process.
    ///
    /// # Errors
    /// [`SaveError`].
    pub async fn save(
        &self,
        before: &Release,
        after: &Release,
        commit: Commit,
    ) -> Result<(), SaveError> {
        let starter = starter(before, after);
        let write = Write::replace(before, after);
        self.write(write, commit, starter).await
    }

    /// Runs a write. `starter` is the developer who starts a task in it.
    async fn write(
        &self,
        write: Write<'_>,
        commit: Commit,
        starter: Option<UserId>,
    ) -> Result<(), SaveError> {
        let write = write
            .with_events(&commit.events)
            .with_receipt(commit.receipt);
        let refusal = match self.documents.write(write).await? {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        Err(match (refusal, starter) {
            (Refusal::Revision, _) => SaveError::Revision,
            (Refusal::Unpublished, _) => SaveError::Backlog,
            (Refusal::Taken(index), Some(starter)) if index == Some(ACTIVE_DEVELOPERS.name) => {
                SaveError::DeveloperBusy(starter)
            }
            (refusal, _) => StoreError::from(refusal).into(),
        })
    }

    /// One release.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError> {
        let found: Option<Release> = self.documents.get(id).await?;
        Ok(found.filter(|release| release.deleted_at.is_none()))
    }

    /// The release a task belongs to.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn release_of(&self, task: TaskId) -> Result<Option<Release>, StoreError> {
        let first = Query::first(1, task);
        Ok(self.documents.list(&BY_TASK, &first).await?.pop())
    }

    /// The task that a developer has in process.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn active_task(&self, developer: UserId) -> Result<Option<PlacedTask>, StoreError> {
        let found = self.documents.find(&ACTIVE_DEVELOPERS, developer).await?;
        Ok(found.and_then(|release: Release| {
            let mut active = release.active_tasks();
            let own = active.find(|task| task.assignee.id == developer);
            own.map(|task| release.place(task))
        }))
    }

    /// The developer's task in process, as far as it matters for what they could start in this
    /// release: it is read only if the next task waits for them.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn work_beside(
        &self,
        release: &Release,
        developer: UserId,
    ) -> Result<Option<PlacedTask>, StoreError> {
        match release.waits_for(developer) {
            true => self.active_task(developer).await,
            false => Ok(None),
        }
    }

    /// How many developers have a task in process.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn active_developers(&self) -> Result<u64, StoreError> {
        let keys = self.documents.count_keys::<Release>(&ACTIVE_DEVELOPERS);
        keys.await
    }

    /// A page of releases, newest first, starting after `after`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        filter: Option<ReleaseFilter>,
        after: Option<ReleaseId>,
        limit: u32,
    ) -> Result<Page<ReleaseSummary, ReleaseId>, StoreError> {
        let query = Query::last(limit + 1, listed(filter)).behind(after);
        let found = self.documents.summaries::<Release>(&BY_STATE, &query);
        Ok(Page::from_overfetch(found.await?, limit, |last| {
            last.release.id
        }))
    }

    /// Removes the releases that were deleted before `before` and have no unpublished events.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn purge_deleted(&self, before: Timestamp) -> Result<(), StoreError> {
        let mut query = Query::first(PURGED, "").below(by_time(before, ""));
        loop {
            let found: Vec<Release> = self.documents.list(&BY_DELETION, &query).await?;
            // One with unpublished events is not removed; a later purge does.
            let purge = found.iter().map(Write::delete).collect();
            self.documents.write_many(purge).await?;
            match found
                .last()
                .and_then(|last| Some((last.deleted_at?, last.id)))
            {
                Some((at, id)) if found.len() == PURGED as usize => {
                    query = query.above(by_time(at, id));
                }
                _ => return Ok(()),
            }
        }
    }
}

/// The developer who starts a task in this change: only this one can be busy with another task.
fn starter(before: &Release, after: &Release) -> Option<UserId> {
    let was_active = |task: &Task| before.active_tasks().any(|before| before.id == task.id);
    let started = after.active_tasks().find(|task| !was_active(task));
    started.map(|task| task.assignee.id)
}
