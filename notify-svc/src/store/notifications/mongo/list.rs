//! Reading the log in MongoDB: candidates from one index, in the order asked for.
//!
//! As in SQLite, the most selective condition chooses the index, the others are checked
//! on the candidates, and a bounded number of candidates is examined for a page.

use futures::TryStreamExt as _;
use mongodb::{
    Cursor,
    bson::{Document, doc},
};
use slipway_mesh::store::mongo::{StorageError, bounded, malformed};

use super::{Identified, MongoNotificationStore, documents::NotificationDocument};
use crate::{
    notification::{Notification, NotificationId, filter::key},
    store::{
        EXAMINED, PAGE_WEIGHT,
        notifications::{Direction, Page, Query},
    },
};

/// Documents fetched at a time: a page may end early by its weight.
const FETCHED: u32 = 100;

pub(super) async fn page(
    store: &MongoNotificationStore,
    query: &Query,
) -> Result<Page, StorageError> {
    let conditions = Conditions::of(query);
    let found = store
        .notifications
        .aggregate(conditions.pipeline(query))
        .batch_size(FETCHED)
        .with_type::<NotificationDocument>();
    let (items, more) =
        bounded(async { Ok(fill(found.await?, query.limit as usize).await) }).await??;
    let next = if more {
        items.last().map(|last| last.id)
    } else {
        conditions.examined(store, query).await?
    };
    Ok(Page { items, next })
}

/// The notifications of a page, and whether there are more.
async fn fill(
    mut found: Cursor<NotificationDocument>,
    limit: usize,
) -> Result<(Vec<Notification>, bool), StorageError> {
    let (mut items, mut weight) = (Vec::new(), 0);
    while let Some(document) = found.try_next().await? {
        if items.len() == limit || weight > PAGE_WEIGHT {
            return Ok((items, true));
        }
        let notification = Notification::try_from(document)?;
        weight += notification.weight();
        items.push(notification);
    }
    Ok((items, false))
}

/// The conditions of a query.
pub(super) struct Conditions {
    /// What an index is searched for.
    candidates: Document,
    /// What is checked on what it yields; empty if that is nothing.
    checked: Document,
}

impl Conditions {
    pub(super) fn of(query: &Query) -> Self {
        let filter = &query.filter;
        let mut conditions = Vec::new();
        if let Some(to) = &filter.to {
            conditions.push(doc! { "recipient": to.to_string() });
        }
        if let Some(kind) = &filter.kind {
            conditions.push(doc! { "kind": kind });
        }
        if let Some(state) = filter.state {
            conditions.push(doc! { "state": state.as_str() });
        }
        let (least, end) = query.range();
        let range = doc! { "_id": { "$gte": least.to_string(), "$lt": end.to_string() } };
        let mut conditions = conditions.into_iter();
        let mut candidates = conditions.next().unwrap_or_default();
        candidates.extend(range);
        let mut checked = Document::new();
        checked.extend(conditions.flatten());
        if let Some(text) = &filter.text {
            checked.insert("subjectKey", doc! { "$regex": literally(&key(text)) });
        }
        Self {
            candidates,
            checked,
        }
    }

    /// The stages that find the notifications of a page, and one more.
    pub(super) fn pipeline(&self, query: &Query) -> Vec<Document> {
        let mut stages = vec![
            doc! { "$match": self.candidates.clone() },
            doc! { "$sort": order(query) },
        ];
        if !self.checked.is_empty() {
            stages.push(doc! { "$limit": EXAMINED as i64 });
            stages.push(doc! { "$match": self.checked.clone() });
        }
        stages.push(doc! { "$limit": i64::from(query.limit) + 1 });
        stages
    }

    /// The last of the candidates that were examined, if there are others behind it.
    async fn examined(
        &self,
        store: &MongoNotificationStore,
        query: &Query,
    ) -> Result<Option<NotificationId>, StorageError> {
        if self.checked.is_empty() {
            return Ok(None);
        }
        let documents = store.notifications.clone_with_type::<Identified>();
        let find = documents
            .find(self.candidates.clone())
            .sort(order(query))
            .skip(EXAMINED as u64 - 1)
            .limit(2)
            .projection(doc! { "_id": 1 });
        let found: Vec<Identified> = bounded(async { find.await?.try_collect().await }).await?;
        match found.as_slice() {
            [last, _] => Ok(Some(last.id.parse().map_err(malformed)?)),
            _ => Ok(None),
        }
    }
}

fn order(query: &Query) -> Document {
    match query.direction {
        Direction::OldestFirst => doc! { "_id": 1 },
        Direction::NewestFirst => doc! { "_id": -1 },
    }
}

/// The pattern that finds a text as it is.
fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
