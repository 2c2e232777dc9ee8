//! Notifications in MongoDB: a document for each, with its outbox inside.
//!
//! Every change names the state it was made on. A claim first reads what is due and then
//! takes it, document by document as the server goes: of two claims that read the same,
//! each gets what the other has not taken.
//!
//! Of those that go in one mail, a claim takes one first, in which it writes the group:
//! a unique index lets one claim at a time do that, and that one takes the others.

mod claims;
mod documents;
mod list;

#[cfg(test)]
mod plans;

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{Document, doc, serialize_to_bson},
};
use slipway_bus::Event;
use slipway_mongo::{Database, Index, StorageError, bounded, from_bson, malformed, to_bson};
use slipway_runtime::life::{Check, Problem};
use slipway_store::outbox::mongo::{Entry, index as outbox_index};
use uuid::Uuid;

use self::documents::{AttemptDocument, NotificationDocument};
use super::{Backlog, Claim, NotificationStore, Page, Query};
use crate::{
    notification::{Attempt, Notification, NotificationId},
    store::{StoreError, search::Identified},
};

/// The collection.
pub(crate) const COLLECTION: &str = "notifications";

/// How many are stored at the same time.
const STORED_AT_ONCE: usize = 16;

/// Its indexes.
pub(crate) const INDEXES: &[Index] = &[
    Index::on(
        COLLECTION,
        "once",
        &[("eventId", 1), ("recipient", 1), ("channel", 1)],
    )
    .unique(),
    Index::on(COLLECTION, "due", &[("state", 1), ("dueAt", 1)]),
    Index::on(COLLECTION, "claimed", &[("claimedUntil", 1)]).having("claimedUntil"),
    Index::on(
        COLLECTION,
        "gathered",
        &[
            ("recipient", 1),
            ("gatheredBy", 1),
            ("state", 1),
            ("_id", 1),
        ],
    )
    .having("gatheredBy"),
    Index::on(COLLECTION, "leads", &[("leads", 1)])
        .unique()
        .having("leads"),
    Index::on(COLLECTION, "by_digest", &[("digestId", 1)]).having("digestId"),
    Index::on(COLLECTION, "by_recipient", &[("recipient", 1), ("_id", 1)]),
    Index::on(COLLECTION, "by_kind", &[("kind", 1), ("_id", 1)]),
    Index::on(COLLECTION, "by_state", &[("state", 1), ("_id", 1)]),
    outbox_index(COLLECTION),
];

/// The MongoDB backend. It keeps nothing in the process.
#[derive(Debug, Clone)]
pub(crate) struct MongoNotificationStore {
    database: Database,
    notifications: Collection<NotificationDocument>,
}

/// The condition that finds claims that ended by then.
fn abandoned(ended_by: Timestamp) -> Document {
    // That it exists is said too: the index holds only the documents where it does.
    doc! { "claimedUntil": { "$lte": to_bson(ended_by), "$exists": true } }
}

/// The condition that finds those that these mails tell of.
fn of_digests(ids: &[String]) -> Document {
    doc! { "digestId": { "$in": ids, "$exists": true } }
}

/// A part of an update, such as `$set`.
fn in_part<'a>(update: &'a mut Document, part: &str) -> &'a mut Document {
    let entry = update.entry(part.to_owned());
    let part = entry.or_insert_with(|| Document::new().into());
    part.as_document_mut()
        .expect("each part of an update is a document")
}

impl MongoNotificationStore {
    /// The notifications in `database`, which has [`INDEXES`].
    pub(crate) fn new(database: &Database) -> Self {
        Self {
            notifications: database.collection(COLLECTION),
            database: database.clone(),
        }
    }

    /// The ids that `condition` finds, by `order`.
    async fn ids(
        &self,
        condition: Document,
        order: Document,
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let documents = self.notifications.clone_with_type::<Identified<String>>();
        let find = documents
            .find(condition)
            .sort(order)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .projection(doc! { "_id": 1 });
        let found: Vec<Identified<String>> =
            bounded(async { find.await?.try_collect().await }).await?;
        Ok(found.into_iter().map(|found| found.id).collect())
    }

    /// Changes those of `ids` for which `still` holds; returns how many. Tried again
    /// where writes met inside the server: what is changed already no longer fits.
    async fn change(
        &self,
        ids: &[String],
        still: Document,
        update: Document,
    ) -> Result<usize, StorageError> {
        let mut condition = doc! { "_id": { "$in": ids } };
        condition.extend(still);
        loop {
            let change = self
                .notifications
                .update_many(condition.clone(), update.clone());
            match bounded(change.into_future()).await {
                Ok(changed) => return Ok(usize::try_from(changed.modified_count).unwrap_or(0)),
                Err(error) if error.gave_way() => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn insert(&self, notifications: &[Notification]) -> Result<usize, StorageError> {
        let documents: Vec<_> = notifications
            .iter()
            .map(NotificationDocument::try_from)
            .collect::<Result<_, _>>()?;
        let (mut stored, mut rest) = (0, documents.as_slice());
        while !rest.is_empty() {
            let insert = self.notifications.insert_many(rest).ordered(true);
            match bounded(insert.into_future()).await {
                Ok(_) => return Ok(stored + rest.len()),
                // The first that is refused is there already, or gave way to another
                // write; which of the two shows when it is tried again.
                Err(error) => {
                    let before = error.inserted_before_refusal().ok_or(error)?;
                    stored += before;
                    rest = &rest[before..];
                    if self.is_stored(&rest[0]).await? {
                        rest = &rest[1..];
                    }
                }
            }
        }
        Ok(stored)
    }

    async fn is_stored(&self, document: &NotificationDocument) -> Result<bool, StorageError> {
        let found = self.ids(document.once(), doc! { "_id": 1 }, 1).await?;
        Ok(!found.is_empty())
    }

    /// Stores a changed notification with its events if `still` holds of it.
    async fn store_change(
        &self,
        still: Document,
        notification: &Notification,
        events: &[Event],
    ) -> Result<bool, StorageError> {
        let attempts = notification.attempts.iter().map(AttemptDocument::from);
        let attempts: Vec<_> = attempts.collect();
        let outbox: Vec<_> = events.iter().map(Entry::from).collect();
        let mut update = doc! {
            "$set": {
                "state": notification.state.as_str(),
                "reason": &notification.reason,
                "dueAt": to_bson(notification.due_at),
                "attempts": serialize_to_bson(&attempts).map_err(malformed)?,
                "updatedAt": to_bson(notification.updated_at),
            },
            "$unset": { "claim": "", "claimedUntil": "", "leads": "" },
        };
        let digest = notification.digest_id.map(|id| id.to_string());
        match digest {
            Some(digest) => in_part(&mut update, "$set").insert("digestId", digest),
            None => in_part(&mut update, "$unset").insert("digestId", ""),
        };
        if !outbox.is_empty() {
            let entries = serialize_to_bson(&outbox).map_err(malformed)?;
            update.insert("$push", doc! { "outbox": { "$each": entries } });
        }
        let id = notification.id.to_string();
        Ok(self.change(&[id], still, update).await? == 1)
    }
}

#[async_trait]
impl Check for MongoNotificationStore {
    async fn check(&self) -> Result<(), Problem> {
        self.database.check().await
    }
}

#[async_trait]
impl NotificationStore for MongoNotificationStore {
    async fn enqueue(&self, notifications: Vec<Notification>) -> Result<usize, StoreError> {
        Ok(self.insert(&notifications).await?)
    }

    async fn claim(&self, claim: &Claim, limit: usize) -> Result<Vec<Notification>, StoreError> {
        Ok(claims::due(self, claim, limit).await?)
    }

    async fn settle(
        &self,
        claim: Uuid,
        settled: Vec<(Notification, Vec<Event>)>,
    ) -> Result<usize, StoreError> {
        let storing = settled
            .into_iter()
            .map(|(notification, events)| async move {
                let still = doc! { "state": "SENDING", "claim": claim.to_string() };
                self.store_change(still, &notification, &events).await
            });
        let stored = stream::iter(storing).buffer_unordered(STORED_AT_ONCE);
        let count = stored.try_fold(0, async |count, one| Ok(count + usize::from(one)));
        Ok(count.await?)
    }

    async fn take_back(
        &self,
        ended_by: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let abandoned = abandoned(ended_by);
        let ids = self
            .ids(abandoned.clone(), doc! { "claimedUntil": 1 }, limit)
            .await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let interrupted = AttemptDocument::from(&Attempt::interrupted(now));
        let now = to_bson(now);
        let interrupted =
            serialize_to_bson(&interrupted).map_err(|error| StoreError::from(malformed(error)))?;
        let update = doc! {
            "$set": { "state": "QUEUED", "dueAt": now, "updatedAt": now },
            "$unset": { "claim": "", "claimedUntil": "", "leads": "" },
            "$push": { "attempts": interrupted },
        };
        Ok(self.change(&ids, abandoned, update).await?)
    }

    async fn get(&self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        let find = self.notifications.find_one(doc! { "_id": id.to_string() });
        let found = bounded(find.into_future()).await?;
        Ok(found.map(Notification::try_from).transpose()?)
    }

    async fn mailed_as(&self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        let ids: Vec<_> = ids.iter().map(NotificationId::to_string).collect();
        let mut found = Vec::new();
        for condition in [doc! { "_id": { "$in": &ids } }, of_digests(&ids)] {
            let find = self.notifications.find(condition);
            let documents: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
            found.extend(documents);
        }
        let notifications = found.into_iter().map(Notification::try_from);
        Ok(notifications.collect::<Result<_, _>>()?)
    }

    async fn confirm(
        &self,
        notification: &Notification,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let still = doc! { "state": "SENT" };
        Ok(self.store_change(still, notification, &events).await?)
    }

    async fn of_event(&self, event_id: Uuid) -> Result<Vec<Notification>, StoreError> {
        let find = self
            .notifications
            .find(doc! { "eventId": event_id.to_string() });
        let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
        let notifications = found.into_iter().map(Notification::try_from);
        Ok(notifications.collect::<Result<_, _>>()?)
    }

    async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        Ok(list::page(self, query).await?)
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        let waiting = doc! { "state": { "$in": ["QUEUED", "SENDING"] } };
        let count = self.notifications.count_documents(waiting);
        let waiting = bounded(count.into_future()).await?;
        let due = doc! { "state": "QUEUED", "dueAt": { "$lte": to_bson(now) } };
        let oldest = self.notifications.find_one(due).sort(doc! { "dueAt": 1 });
        let oldest = bounded(oldest.into_future()).await?;
        let oldest_due = oldest.map(|oldest| from_bson(oldest.due_at)).transpose();
        Ok(Backlog {
            waiting,
            oldest_due: oldest_due?,
        })
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let old = doc! {
            "_id": { "$lt": NotificationId::first_at(before).to_string() },
            "state": { "$nin": ["QUEUED", "SENDING"] },
            // What is not published yet is still needed.
            "outbox.id": { "$exists": false },
        };
        let ids = self.ids(old, doc! { "_id": 1 }, limit).await?;
        let delete = self
            .notifications
            .delete_many(doc! { "_id": { "$in": ids } });
        let deleted = bounded(delete.into_future()).await?;
        Ok(usize::try_from(deleted.deleted_count).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slipway_mongo::testing::Scratch;
    use slipway_store::outbox::mongo::MongoOutbox;

    use super::*;
    use crate::store::notifications::contract::{self, Opened};

    contract::tests!({
        let Some(scratch) = Scratch::database().await else {
            return;
        };
        let opened = Database::open(scratch.client(), scratch.name(), INDEXES).await;
        let database = opened.unwrap();
        (scratch, move || Opened {
            outbox: Arc::new(MongoOutbox::new(database.clone(), &[COLLECTION])),
            store: Arc::new(MongoNotificationStore::new(&database)),
        })
    });
}
