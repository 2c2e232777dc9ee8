//! Stores dead letters: one document for each.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use slipway_bus::{
    Record,
    consumer::{Attempt, DeadLetter},
};
use slipway_rpc::page::Page;
use slipway_store::{
    BY_ID, Collection, Document, Documents, Entries, Index, Query, Refusal, Write,
};
use uuid::Uuid;

use super::{Act, DeadLetterId, Filed, Filter, State, Summary};
use crate::store::{StoreError, search::Search};

#[cfg(test)]
mod tests;

/// The same failure is stored once, whichever replica stores it.
const IDENTITY: Index = Index::unique("identity");
const BY_TYPE: Index = Index::list("by_type");
const BY_GROUP: Index = Index::list("by_group");
const BY_CAUSE: Index = Index::list("by_cause");
const BY_STATE: Index = Index::list("by_state");
/// Dead letters from the replay of another one, by the id of that one.
const BY_ORIGIN: Index = Index::list("by_origin");

/// Number of summaries to read at a time when the filter may reject some of them.
const READ: u32 = 500;

/// A dead letter as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredDeadLetter {
    id: DeadLetterId,
    received_at: Timestamp,
    group: String,
    topic: String,
    key: String,
    headers: Vec<(String, String)>,
    #[serde(with = "slipway_store::base64_bytes")]
    payload: Bytes,
    partition: u32,
    offset: u64,
    cause: String,
    reason: String,
    attempts: u32,
    history: Vec<Attempt>,
    replay_of: Option<Uuid>,
    state: State,
    acts: Vec<Act>,
}

impl From<Filed> for StoredDeadLetter {
    fn from(filed: Filed) -> Self {
        let letter = filed.letter;
        Self {
            id: filed.id,
            received_at: filed.received_at,
            group: letter.group,
            topic: letter.record.topic,
            key: letter.record.key,
            headers: letter.record.headers,
            payload: letter.record.value,
            partition: letter.partition,
            // Broker offsets have 63 bits.
            offset: letter.offset.min(i64::MAX.unsigned_abs()),
            cause: letter.cause,
            reason: letter.reason,
            attempts: letter.attempts,
            history: letter.history,
            replay_of: letter.replay,
            state: filed.state,
            acts: filed.acts,
        }
    }
}

impl StoredDeadLetter {
    /// Converts it. Which dead letter its replay became is not stored here.
    fn filed(self) -> Filed {
        Filed {
            id: self.id,
            received_at: self.received_at,
            letter: DeadLetter {
                group: self.group,
                record: Record {
                    topic: self.topic,
                    key: self.key,
                    headers: self.headers,
                    value: self.payload,
                },
                partition: self.partition,
                offset: self.offset,
                cause: self.cause,
                reason: self.reason,
                attempts: self.attempts,
                history: self.history,
                replay: self.replay_of,
            },
            state: self.state,
            acts: self.acts,
            returned_as: None,
        }
    }
}

impl Document for StoredDeadLetter {
    const COLLECTION: Collection = Collection::new(
        "dead_letters",
        1,
        &[
            BY_ID, IDENTITY, BY_TYPE, BY_GROUP, BY_CAUSE, BY_STATE, BY_ORIGIN,
        ],
    )
    .with_events();

    type Summary = Summary;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn revision(&self) -> u64 {
        self.acts.len() as u64 + 1
    }

    fn entries(&self, entries: &mut Entries) {
        let filed = self.clone().filed();
        let summary = filed.summary();
        // The identity is long and contains text from outside, so it is hashed.
        let identity = Sha256::digest(filed.letter.identity());
        entries.unique(&IDENTITY, STANDARD.encode(identity));
        if let Some(event_type) = &summary.event_type {
            entries.list(&BY_TYPE, event_type, self.id);
        }
        entries.list(&BY_GROUP, &self.group, self.id);
        entries.list(&BY_CAUSE, &self.cause, self.id);
        entries.list(&BY_STATE, self.state.as_str(), self.id);
        if let Some(origin) = self.replay_of {
            entries.list(&BY_ORIGIN, origin, self.id);
        }
    }

    fn summary(&self) -> Summary {
        self.clone().filed().summary()
    }
}

/// The filed dead letters.
#[derive(Clone)]
pub struct DeadLetterStore(Documents);

impl DeadLetterStore {
    /// A store of the dead letters in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Stores dead letters. One that is stored already, by its [`DeadLetter::identity`], is
    /// skipped. Returns how many were new.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored: retry with all of them.
    pub async fn file(&self, letters: Vec<Filed>) -> Result<usize, StoreError> {
        let letters: Vec<_> = letters.into_iter().map(StoredDeadLetter::from).collect();
        let filed = self
            .0
            .write_many(letters.iter().map(Write::insert).collect());
        Ok(filed.await?.into_iter().filter(Result::is_ok).count())
    }

    /// Those that match `filter`, newest first, after `after`. A page may have fewer than `limit`
    /// although more follow: its size and the number of records it examines are limited.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Page<Summary, DeadLetterId>, StoreError> {
        let (least, end) = filter.range(after);
        let (index, key) = most_selective(filter);
        let search = Search {
            limit,
            read: READ,
            place: &|summary: &Summary| summary.id,
            admits: &|summary| filter.admits(summary),
            weight: &Summary::weight,
        };
        let read = |limit, last: Option<DeadLetterId>| {
            let part = Query::last(limit, key).above(least).below(end);
            let part = part.behind(last);
            async move { self.0.summaries::<StoredDeadLetter>(index, &part).await }
        };
        search.page(read).await
    }

    /// One of them.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn get(&self, id: DeadLetterId) -> Result<Option<Filed>, StoreError> {
        let Some(kept) = self.0.get::<StoredDeadLetter>(id).await? else {
            return Ok(None);
        };
        let returned = self
            .0
            .summaries::<StoredDeadLetter>(&BY_ORIGIN, &Query::first(1, id))
            .await?;
        Ok(Some(Filed {
            returned_as: returned.first().map(|summary| summary.id),
            ..kept.filed()
        }))
    }

    /// Marks it as replayed and puts `records` into the outbox, in one write, if it is still
    /// waiting. Returns whether it was. Of two concurrent replays, one succeeds.
    ///
    /// # Errors
    /// If the database is unavailable. It may have been replayed.
    pub async fn replay(
        &self,
        id: DeadLetterId,
        act: Act,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<bool, StoreError> {
        let waiting = |kept: &StoredDeadLetter| kept.state == State::Waiting;
        let Some(before) = self.0.get::<StoredDeadLetter>(id).await?.filter(waiting) else {
            return Ok(false);
        };
        let mut after = before.clone();
        after.state = State::Replayed;
        after.acts.push(act);
        let mut write = Write::replace(&before, &after);
        for record in records {
            write = write.with_record(id, record);
        }
        match self.0.write(write).await? {
            Ok(()) => Ok(true),
            // It changes only once: another request has replayed it.
            Err(Refusal::Revision) => Ok(false),
            Err(refusal) => Err(slipway_store::StoreError::from(refusal).into()),
        }
    }
}

/// The index for the most selective condition, and its key.
fn most_selective(filter: &Filter) -> (&'static Index, &str) {
    let conditions = [
        (&BY_TYPE, filter.event_type.as_deref()),
        (&BY_GROUP, filter.group.as_deref()),
        (&BY_CAUSE, filter.cause.as_deref()),
        (&BY_STATE, filter.state.map(State::as_str)),
    ];
    let mut given = conditions.into_iter();
    given
        .find_map(|(index, wanted)| Some((index, wanted?)))
        .unwrap_or((&BY_ID, ""))
}
