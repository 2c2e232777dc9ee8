//! The log of the assistant's answers: who asked, and what, is not in it.
//!
//! It has each event once, with the numbers 1, 2, 3, …, so that statistics can be folded from it like
//! from the activity feed, in which the use of the assistant does not appear.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{BY_ID, Collection, Document, Documents, Entries, Index, Query, Write};
use uuid::Uuid;

use super::{Fact, What};
use crate::store::{
    StoreError,
    sequence::{Appended, Following, Log, place},
};

/// Each event is logged once.
const EVENT: Index = Index::unique("event");

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// Id of the event.
    pub(crate) event: Uuid,
    /// When it was stored.
    pub(crate) time: Timestamp,
    /// Milliseconds from the question to the end of the answer.
    pub(crate) latency_ms: u64,
}

/// An answer with its number.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredAnswer {
    number: u64,
    answer: Answer,
}

impl Document for StoredAnswer {
    const COLLECTION: Collection = Collection::new("answers", 1, &[BY_ID, EVENT]);

    type Summary = ();

    fn id(&self) -> String {
        place(self.number)
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        entries.unique(&EVENT, self.answer.event);
    }

    fn summary(&self) {}
}

/// The log.
#[derive(Clone)]
pub(crate) struct AnswerLog(Documents);

impl AnswerLog {
    pub(crate) fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// Appends answers. One whose event is in the log is skipped.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been appended: retry with all of them.
    pub(crate) async fn append(&self, answers: Vec<Answer>) -> Result<Appended, StoreError> {
        Answers.append(&self.0, answers).await
    }

    /// The answers after a number as facts, oldest first, at most `limit`.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn following(&self, after: u64, limit: u32) -> Result<Vec<Fact>, StoreError> {
        let part = Query::first(limit, "").above(place(after));
        let found: Vec<StoredAnswer> = self.0.list(&BY_ID, &part).await?;
        let facts = found.into_iter().map(|stored| Fact {
            number: stored.number,
            time: stored.answer.time,
            what: What::Answer(stored.answer.latency_ms),
        });
        Ok(facts.collect())
    }

    /// Deletes up to `limit` answers from before `before`, the oldest first, but never the newest
    /// one: the numbers continue after it. Returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let newest = self.newest().await?;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let oldest = Query::first(limit, "").below(place(newest));
        let oldest: Vec<StoredAnswer> = self.0.list(&BY_ID, &oldest).await?;
        let old = oldest
            .iter()
            .take_while(|stored| stored.answer.time < before);
        let (deleted, _) = self
            .0
            .write_in_order(old.map(Write::delete).collect())
            .await?;
        Ok(deleted)
    }

    async fn newest(&self) -> Result<u64, StoreError> {
        let last: Vec<StoredAnswer> = self.0.list(&BY_ID, &Query::last(1, "")).await?;
        Ok(last.first().map_or(0, |last| last.number))
    }
}

struct Answers;

#[async_trait]
impl Log for Answers {
    type Item = Answer;
    type Entry = StoredAnswer;

    const EVENT: Index = EVENT;

    fn event(answer: &Answer) -> String {
        answer.event.to_string()
    }

    async fn following(
        &self,
        documents: &Documents,
        answers: Vec<Answer>,
    ) -> Result<Following<StoredAnswer>, StoreError> {
        let newest = AnswerLog(documents.clone()).newest().await?;
        let entries = (newest + 1..).zip(answers);
        let entries = entries.map(|(number, answer)| StoredAnswer { number, answer });
        Ok(Following {
            newest,
            entries: entries.collect(),
        })
    }

    fn item(stored: StoredAnswer) -> Answer {
        stored.answer
    }
}
