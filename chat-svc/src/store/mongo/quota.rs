//! The quota in MongoDB: a document for each user, with the times of the questions that
//! count. It holds no more of them than the quota allows.

use jiff::Timestamp;
use mongodb::{
    Collection,
    bson::{DateTime, doc},
};
use serde::{Deserialize, Serialize};
use slipway_mesh::store::mongo::{StorageError, bounded, from_bson, to_bson};

use crate::{chat::UserId, store::Quota};

/// What counts against a user's quota.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Count {
    #[serde(rename = "_id")]
    user: String,
    /// Grows with every change: whoever changes it names the one they saw.
    revision: i64,
    /// In order.
    asked: Vec<DateTime>,
}

/// Reads, decides, and writes what was decided if nobody else was faster.
pub(super) async fn count_question(
    counts: &Collection<Count>,
    user: UserId,
    quota: Quota,
    now: Timestamp,
) -> Result<Option<Timestamp>, StorageError> {
    let since = to_bson(now.checked_sub(quota.window).unwrap_or(Timestamp::MIN));
    loop {
        let find = counts.find_one(doc! { "_id": user.to_string() });
        let found = bounded(find.into_future()).await?;
        let (revision, mut asked) =
            found.map_or((0, Vec::new()), |count| (count.revision, count.asked));
        asked.retain(|at| *at > since);
        if asked.len() >= quota.limit as usize {
            let oldest = asked.iter().min().copied().map(from_bson).transpose()?;
            let free = oldest.and_then(|oldest| oldest.checked_add(quota.window).ok());
            return Ok(Some(free.unwrap_or(now)));
        }
        asked.push(to_bson(now));
        let next = Count {
            user: user.to_string(),
            revision: revision + 1,
            asked,
        };
        if store(counts, revision, &next).await? {
            return Ok(None);
        }
    }
}

/// Whether `next` took the place of `revision`; 0: of none.
async fn store(
    counts: &Collection<Count>,
    revision: i64,
    next: &Count,
) -> Result<bool, StorageError> {
    let stored = if revision == 0 {
        let insert = bounded(counts.insert_one(next).into_future()).await;
        insert.map(|_| true)
    } else {
        let seen = doc! { "_id": &next.user, "revision": revision };
        let replace = bounded(counts.replace_one(seen, next).into_future()).await;
        replace.map(|result| result.matched_count == 1)
    };
    match stored {
        Err(error) if error.gave_way() || error.duplicate_key().is_some() => Ok(false),
        stored => stored,
    }
}
