//! Appending: taking the next numbers, whoever else takes numbers at the same time.

use std::{collections::HashSet, time::Duration};

use futures::TryStreamExt as _;
use jiff::Timestamp;
use mongodb::bson::doc;
use serde::Deserialize;
use slipway_mongo::{StorageError, bounded};

use super::{MongoActivityStore, documents::EntryDocument, list::number};
use crate::{activity::Activity, store::activity::Appended};

/// Documents of one insert: what stays well within an operation's time.
const BATCH: usize = 500;

/// After losing a race. The winner's entry may take this long to be on a majority.
const PAUSE: Duration = Duration::from_millis(1);

/// An entry, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    event_id: String,
}

pub(super) async fn append(
    store: &MongoActivityStore,
    activities: Vec<Activity>,
    now: Timestamp,
) -> Result<Appended, StorageError> {
    let mut seen = HashSet::new();
    let mut waiting: Vec<_> = activities
        .into_iter()
        .filter(|activity| seen.insert(activity.id))
        .collect();
    let (mut count, mut newest) = (0, store.end(-1).await?);
    while !waiting.is_empty() {
        let batch = waiting.len().min(BATCH);
        let new = unknown(store, &waiting[..batch]).await?;
        let stored = insert(store, newest, &new, now).await?;
        count += stored as u64;
        newest += stored as u64;
        if stored == new.len() {
            waiting.drain(..batch);
        } else {
            // Others were faster: with the number, or with the event itself. What was
            // stored is known the next time.
            tokio::time::sleep(PAUSE).await;
            newest = store.end(-1).await?;
        }
    }
    Ok(Appended { count, newest })
}

/// Those whose events are not in the log.
async fn unknown<'a>(
    store: &MongoActivityStore,
    activities: &'a [Activity],
) -> Result<Vec<&'a Activity>, StorageError> {
    let ids: Vec<_> = activities
        .iter()
        .map(|activity| activity.id.to_string())
        .collect();
    let entries = store.entries.clone_with_type::<Known>();
    let find = entries
        .find(doc! { "eventId": { "$in": ids } })
        .projection(doc! { "_id": 0, "eventId": 1 });
    let known: Vec<Known> = bounded(async { find.await?.try_collect().await }).await?;
    let known: HashSet<_> = known.into_iter().map(|entry| entry.event_id).collect();
    let new = |activity: &&Activity| !known.contains(&activity.id.to_string());
    Ok(activities.iter().filter(new).collect())
}

/// Stores entries behind number `newest`, in order, until another writer has one of the
/// numbers or events; returns how many. The server stops at the first that is refused,
/// so that none gets a number that leaves a gap.
async fn insert(
    store: &MongoActivityStore,
    newest: u64,
    activities: &[&Activity],
    now: Timestamp,
) -> Result<usize, StorageError> {
    if activities.is_empty() {
        return Ok(0);
    }
    let documents: Vec<_> = (newest + 1..)
        .zip(activities)
        .map(|(sequence, activity)| EntryDocument::new(number(sequence), activity, now))
        .collect();
    let insert = store.entries.insert_many(&documents).ordered(true);
    match bounded(insert.into_future()).await {
        Ok(_) => Ok(documents.len()),
        Err(error) => error.inserted_before_refusal().ok_or(error),
    }
}
