//! Claiming what is due.

use std::collections::{BTreeMap, HashSet};

use futures::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use slipway_mongo::{StorageError, bounded, to_bson};

use super::{Claim, MongoNotificationStore};
use crate::notification::{
    Notification,
    digest::{self, LARGEST},
};

/// When a group is looked at again that is being sent.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

/// What is due.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Due {
    #[serde(rename = "_id")]
    id: String,
    recipient: String,
    #[serde(default)]
    gathered_by: Option<String>,
}

/// Those that go in one mail: the recipient, and what gathers them.
type Group = (String, String);

/// Whether a group can be claimed.
enum Lead {
    /// By this claim: its first one is.
    Ours,
    /// Its first one is another claim's, or not due any more.
    Gone,
    /// It is being sent.
    Busy,
}

/// The condition that finds what is due.
pub(super) fn is_due(now: Timestamp) -> Document {
    doc! { "state": "QUEUED", "dueAt": { "$lte": to_bson(now) } }
}

/// The condition that finds what is queued of a group.
pub(super) fn queued((recipient, group): &Group) -> Document {
    // That it exists is said too: the index holds only the documents where it does.
    doc! {
        "recipient": recipient, "gatheredBy": { "$eq": group, "$exists": true },
        "state": "QUEUED",
    }
}

pub(super) async fn due(
    store: &MongoNotificationStore,
    claim: &Claim,
    limit: usize,
) -> Result<Vec<Notification>, StorageError> {
    let (mut ids, mut mails) = (Vec::new(), 0);
    while mails < limit && ids.len() < LARGEST {
        let due = find_due(store, claim.now, limit - mails).await?;
        if due.is_empty() {
            break;
        }
        let (gathered, alone): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|due| due.gathered_by.is_some());
        let alone: Vec<_> = alone.into_iter().map(|due| due.id).collect();
        if !alone.is_empty() {
            mails += store
                .change(&alone, is_due(claim.now), claimed(claim))
                .await?;
            ids.extend(alone);
        }
        let mut groups = HashSet::new();
        for due in gathered {
            let group = (due.recipient, due.gathered_by.unwrap_or_default());
            if ids.len() >= LARGEST || !groups.insert(group.clone()) {
                continue;
            }
            match lead(store, claim, &due.id, &group).await? {
                Lead::Ours => {
                    ids.push(due.id);
                    ids.extend(follow(store, claim, &group).await?);
                    mails += 1;
                }
                Lead::Gone => {}
                Lead::Busy => put_off(store, claim.now, &group).await?,
            }
        }
    }
    number(store, claim, &ids).await
}

async fn find_due(
    store: &MongoNotificationStore,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, StorageError> {
    let documents = store.notifications.clone_with_type::<Due>();
    let find = documents
        .find(is_due(now))
        .sort(doc! { "dueAt": 1 })
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .projection(doc! { "recipient": 1, "gatheredBy": 1 });
    bounded(async { find.await?.try_collect().await }).await
}

fn claimed(claim: &Claim) -> Document {
    doc! { "$set": {
        "state": "SENDING", "claim": claim.id.to_string(),
        "claimedUntil": to_bson(claim.until), "updatedAt": to_bson(claim.now),
    } }
}

/// Claims the first one of a group for all of them.
async fn lead(
    store: &MongoNotificationStore,
    claim: &Claim,
    id: &str,
    (recipient, group): &Group,
) -> Result<Lead, StorageError> {
    let mut condition = is_due(claim.now);
    condition.insert("_id", id);
    let mut update = claimed(claim);
    super::in_part(&mut update, "$set").insert("leads", format!("{recipient} {group}"));
    loop {
        let update = store
            .notifications
            .update_one(condition.clone(), update.clone());
        match bounded(update.into_future()).await {
            Ok(updated) if updated.modified_count == 1 => return Ok(Lead::Ours),
            Ok(_) => return Ok(Lead::Gone),
            Err(error) if error.duplicate_key().is_some() => return Ok(Lead::Busy),
            Err(error) if error.gave_way() => {}
            Err(error) => return Err(error),
        }
    }
}

/// Claims the others of a group; returns their ids.
async fn follow(
    store: &MongoNotificationStore,
    claim: &Claim,
    group: &Group,
) -> Result<Vec<String>, StorageError> {
    let others = queued(group);
    let ids = store
        .ids(others.clone(), doc! { "_id": 1 }, LARGEST - 1)
        .await?;
    if !ids.is_empty() {
        store.change(&ids, others, claimed(claim)).await?;
    }
    Ok(ids)
}

/// What came later into a group that is being sent: not before that is done, and not in the
/// way of what else is due.
async fn put_off(
    store: &MongoNotificationStore,
    now: Timestamp,
    group: &Group,
) -> Result<(), StorageError> {
    let ids = store.ids(queued(group), doc! { "_id": 1 }, LARGEST).await?;
    let again = now.saturating_add(AGAIN).unwrap_or(now);
    let later = doc! { "$set": { "dueAt": to_bson(again) } };
    store.change(&ids, is_due(now), later).await?;
    Ok(())
}

/// Those of `ids` that this claim has; those that go in one mail get its id.
async fn number(
    store: &MongoNotificationStore,
    claim: &Claim,
    ids: &[String],
) -> Result<Vec<Notification>, StorageError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mine = doc! { "_id": { "$in": ids }, "claim": claim.id.to_string() };
    let find = store.notifications.find(mine).sort(doc! { "dueAt": 1 });
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    let found = found.into_iter().map(Notification::try_from);
    let mut found: Vec<_> = found.collect::<Result<_, _>>()?;
    let mut groups: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    for (n, notification) in found.iter().enumerate() {
        if let Some(group) = &notification.group {
            let group = (notification.to.to_string(), group.clone());
            groups.entry(group).or_default().push(n);
        }
    }
    for members in groups.into_values() {
        let digest = (members.len() > 1).then(|| digest::id(members.iter().map(|n| found[*n].id)));
        if members.iter().all(|n| found[*n].digest_id == digest) {
            continue;
        }
        let ids: Vec<_> = members.iter().map(|n| found[*n].id.to_string()).collect();
        let update = match digest {
            Some(digest) => doc! { "$set": { "digestId": digest.to_string() } },
            None => doc! { "$unset": { "digestId": "" } },
        };
        let ours = doc! { "claim": claim.id.to_string() };
        store.change(&ids, ours, update).await?;
        for n in members {
            found[n].digest_id = digest;
        }
    }
    Ok(found)
}
