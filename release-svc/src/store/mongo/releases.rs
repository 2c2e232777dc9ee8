//! Releases in MongoDB: writing them, and reading whole ones and their lists. Single
//! tasks are read in [`super::tasks`].

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc, serialize_to_bson, serialize_to_vec};
use slipway_mongo::{StorageError, bounded, malformed};
use slipway_rpc::page::Page;
use slipway_store::receipts::{RECEIPT_TTL, mongo::make_room};

use super::{
    MAX_DOCUMENT, MongoStore, ONE_ACTIVE, RELEASE_RECEIPT,
    documents::{ReleaseDocument, revision},
    tasks,
};
use crate::{
    identity::UserId,
    release::{PlacedTask, Release, ReleaseId, TaskId},
    store::{
        AssignedKey, AssignedTask, Commit, ReleaseFilter, ReleaseStore, ReleaseSummary, SaveError,
        StoreError, TaskFilter,
    },
};

#[async_trait]
impl ReleaseStore for MongoStore {
    async fn insert(&self, release: Release, with: Commit) -> Result<(), SaveError> {
        let document = ReleaseDocument::new(&release, &with);
        loop {
            let insert = bounded(self.releases.insert_one(&document).into_future());
            let Err(error) = insert.await else {
                return Ok(());
            };
            self.after_conflict(error, &release, &with).await?;
        }
    }

    async fn save(&self, before: Release, after: Release, with: Commit) -> Result<(), SaveError> {
        // The index sees a developer once in a document: within one it is checked here.
        if let Some(developer) = busy_twice(&after) {
            return Err(SaveError::DeveloperBusy(developer));
        }
        let change = change(&before, &after, &with)?;
        let room = room_for(&change)?;
        let guard = guard(&before, &with, &room);
        loop {
            let update = self.releases.update_one(guard.clone(), change.clone());
            match bounded(update.into_future()).await {
                Ok(result) if result.matched_count == 1 => return Ok(()),
                Ok(_) => self.after_no_match(&before, &with, &room).await?,
                Err(error) => self.after_conflict(error, &after, &with).await?,
            }
        }
    }

    async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError> {
        self.load(doc! { "_id": id.to_string() }).await
    }

    async fn release_of(&self, task: TaskId) -> Result<Option<Release>, StoreError> {
        self.load(doc! { "tasks.id": task.to_string() }).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<PlacedTask>, StoreError> {
        Ok(tasks::by_id(&self.releases, id).await?)
    }

    async fn list(
        &self,
        filter: Option<ReleaseFilter>,
        after: Option<ReleaseId>,
        limit: u32,
    ) -> Result<Page<ReleaseSummary, ReleaseId>, StoreError> {
        let find = self
            .releases
            .find(listed(filter, after))
            .sort(doc! { "_id": -1 })
            .projection(doc! { "tasks": 0, "outbox": 0, "receipts": 0 })
            .limit(i64::from(limit) + 1);
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let summaries = found.into_iter().map(ReleaseDocument::into_summary);
        let summaries = summaries.collect::<Result<_, _>>()?;
        Ok(Page::from_overfetch(summaries, limit, |last| {
            last.release.id
        }))
    }

    async fn assigned_to(
        &self,
        developer: UserId,
        filter: Option<TaskFilter>,
        after: Option<AssignedKey>,
        limit: u32,
    ) -> Result<Page<AssignedTask, AssignedKey>, StoreError> {
        let found = tasks::assigned(&self.releases, developer, filter, after, limit + 1).await?;
        Ok(Page::from_overfetch(found, limit, AssignedTask::key))
    }

    async fn active_task(&self, developer: UserId) -> Result<Option<PlacedTask>, StoreError> {
        Ok(tasks::active(&self.releases, developer).await?)
    }
}

impl MongoStore {
    async fn load(&self, condition: Document) -> Result<Option<Release>, StoreError> {
        let find = self
            .releases
            .find_one(condition)
            .projection(doc! { "outbox": 0, "receipts": 0 });
        let found = bounded(find.into_future()).await?;
        Ok(found.map(ReleaseDocument::into_release).transpose()?)
    }

    /// Whether the release is as the change was made on it, and its document has no room
    /// for it.
    async fn lacks(&self, before: &Release, room: &Document) -> Result<bool, StorageError> {
        let mut large = place(before);
        large.insert("$nor", [room]);
        let documents = self.releases.clone_with_type::<Document>();
        let find = documents.find_one(large).projection(doc! { "_id": 1 });
        Ok(bounded(find.into_future()).await?.is_some())
    }

    /// After a write that was refused, perhaps by a unique index: `Ok` if it is worth
    /// another try.
    async fn after_conflict(
        &self,
        error: StorageError,
        after: &Release,
        with: &Commit,
    ) -> Result<(), SaveError> {
        if error.gave_way() {
            return Ok(());
        }
        match (error.duplicate_key(), &with.receipt) {
            (Some(ONE_ACTIVE), _) => match after.active_tasks().next() {
                Some(task) => Err(SaveError::DeveloperBusy(task.assignee.id)),
                None => Err(error.into()),
            },
            (Some(RELEASE_RECEIPT), Some(receipt)) => {
                if make_room(&self.releases, receipt).await? {
                    Ok(())
                } else {
                    Err(SaveError::Receipt)
                }
            }
            _ => Err(error.into()),
        }
    }

    /// After a write that found no release as its guard wants it: `Ok` if it is worth
    /// another try.
    async fn after_no_match(
        &self,
        before: &Release,
        with: &Commit,
        room: &Document,
    ) -> Result<(), SaveError> {
        if self.lacks(before, room).await? {
            if self.receipts.move_out(before.id).await? {
                return Ok(());
            }
            return Err(SaveError::Backlog);
        }
        let Some(receipt) = &with.receipt else {
            return Err(SaveError::Revision);
        };
        if make_room(&self.releases, receipt).await? {
            return Ok(());
        }
        let since = receipt.at - RECEIPT_TTL;
        match self.receipts.find(&receipt.key, since).await? {
            Some(_) => Err(SaveError::Receipt),
            None => Err(SaveError::Revision),
        }
    }
}

impl From<StorageError> for SaveError {
    fn from(error: StorageError) -> Self {
        Self::Store(error.into())
    }
}

/// A developer with two tasks in process in this release.
fn busy_twice(release: &Release) -> Option<UserId> {
    let active: Vec<_> = release
        .active_tasks()
        .map(|task| task.assignee.id)
        .collect();
    let twice = |(at, developer): (usize, &UserId)| active[..at].contains(developer);
    let found = active.iter().enumerate().find(|entry| twice(*entry));
    found.map(|(_, developer)| *developer)
}

/// The release as the change was made on it. That it does not hold the receipt's key is
/// part of it: of one document, a unique index does not see that a key comes twice.
fn guard(before: &Release, with: &Commit, room: &Document) -> Document {
    let mut guard = place(before);
    guard.extend(room.clone());
    if let Some(receipt) = &with.receipt {
        guard.insert("receipts.key", doc! { "$ne": &receipt.key.0 });
    }
    guard
}

/// The release at its revision.
fn place(release: &Release) -> Document {
    doc! { "_id": release.id.to_string(), "revision": revision(release.revision) }
}

/// The documents that have room for a change.
fn room_for(change: &Document) -> Result<Document, StorageError> {
    let added = serialize_to_vec(change).map_err(malformed)?.len();
    let most = MAX_DOCUMENT.saturating_sub(added) as i64;
    Ok(doc! { "$expr": { "$lte": [{ "$bsonSize": "$$ROOT" }, most] } })
}

/// What a command can change, with the events and the receipt, as one update.
fn change(before: &Release, after: &Release, with: &Commit) -> Result<Document, StorageError> {
    let target = ReleaseDocument::new(after, with);
    let mut set = doc! {
        "revision": target.revision,
        "isCompleted": target.is_completed,
        "completedAt": target.completed_at,
        "reopenedCount": target.reopened_count,
        "totalTasks": target.total_tasks,
        "completedTasks": target.completed_tasks,
    };
    let same_places = before.tasks.len() == after.tasks.len()
        && before
            .tasks
            .iter()
            .zip(&after.tasks)
            .all(|(a, b)| a.id == b.id);
    if same_places {
        for (place, task) in target.tasks.iter().enumerate() {
            if before.tasks[place] != after.tasks[place] {
                set.insert(
                    format!("tasks.{place}"),
                    serialize_to_bson(task).map_err(malformed)?,
                );
            }
        }
    } else {
        set.insert(
            "tasks",
            serialize_to_bson(&target.tasks).map_err(malformed)?,
        );
    }
    let mut change = Document::new();
    if target.active_developers.is_empty() {
        change.insert("$unset", doc! { "activeDevelopers": "" });
    } else {
        set.insert("activeDevelopers", target.active_developers);
    }
    change.insert("$set", set);
    let push = doc! {
        "outbox": { "$each": serialize_to_bson(&target.committed.outbox).map_err(malformed)? },
        "receipts": { "$each": serialize_to_bson(&target.committed.receipts).map_err(malformed)? },
    };
    change.insert("$push", push);
    Ok(change)
}

/// Which releases are on a list behind `after`.
pub(super) fn listed(filter: Option<ReleaseFilter>, after: Option<ReleaseId>) -> Document {
    let mut condition = Document::new();
    if let Some(filter) = filter {
        condition.insert("isCompleted", filter == ReleaseFilter::Completed);
    }
    if let Some(after) = after {
        condition.insert("_id", doc! { "$lt": after.to_string() });
    }
    condition
}
