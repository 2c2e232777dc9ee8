//! Stores the buckets: one document for each day and each hour, and one with the position up to which
//! the logs are folded.

use jiff::{Timestamp, ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};
use slipway_store::{BY_ID, Collection, Document, Documents, Entries, Query, Write};

use super::{
    Day, Fact, Hour,
    answers::{Answer, AnswerLog},
    by_bucket, day_of, hour_of,
};
use crate::{activity::store::ActivityStore, store::StoreError};

#[cfg(test)]
mod tests;

/// Entries of a log that are folded at a time.
const BATCH: u32 = 500;

/// A day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredDay {
    date: Date,
    revision: u64,
    day: Day,
}

impl Document for StoredDay {
    const COLLECTION: Collection = Collection::new("statistics_days", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        self.date.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// An hour.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredHour {
    /// Its number since 1970.
    number: i64,
    revision: u64,
    hour: Hour,
}

/// The document id of an hour; ids sort in the order of time.
fn id_of_hour(number: i64) -> String {
    format!("{:012}", number.max(0))
}

impl Document for StoredHour {
    const COLLECTION: Collection = Collection::new("statistics_hours", 1, &[BY_ID]);

    type Summary = ();

    fn id(&self) -> String {
        id_of_hour(self.number)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// How far the logs are folded into all buckets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Position {
    revision: u64,
    /// The number of the last entry of the activity feed.
    activity: u64,
    /// The number of the last answer.
    answers: u64,
}

impl Position {
    /// The id of the only one.
    const ID: &str = "position";
}

impl Document for Position {
    const COLLECTION: Collection = Collection::new("statistics_position", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        Self::ID.to_owned()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// The statistics, and the logs from which they are folded.
#[derive(Clone)]
pub struct StatisticsStore {
    documents: Documents,
    activity: ActivityStore,
    answers: AnswerLog,
}

impl StatisticsStore {
    /// The statistics in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self {
            activity: ActivityStore::new(documents.clone()),
            answers: AnswerLog::new(documents.clone()),
            documents,
        }
    }

    /// Appends answers to their log.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been appended: retry with all of them.
    pub(crate) async fn append(&self, answers: Vec<Answer>) -> Result<(), StoreError> {
        self.answers.append(answers).await?;
        Ok(())
    }

    /// Folds everything that the logs have into the buckets. Several replicas may do so at the same
    /// time.
    ///
    /// # Errors
    /// If the database is unavailable: the next call continues.
    pub async fn fold(&self) -> Result<(), StoreError> {
        loop {
            let position = self.position().await?;
            let entries = self.activity.following(position.activity, BATCH).await?;
            let events: Vec<_> = entries.iter().map(Fact::of).collect();
            let answers = self.answers.following(position.answers, BATCH).await?;
            self.fold_days(&events).await?;
            self.fold_hours(&events).await?;
            self.fold_hours(&answers).await?;
            let last = |facts: &[Fact]| facts.last().map_or(0, |fact| fact.number);
            self.advance(last(&events), last(&answers)).await?;
            if events.len() < BATCH as usize && answers.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn position(&self) -> Result<Position, StoreError> {
        Ok(self.documents.get(Position::ID).await?.unwrap_or_default())
    }

    /// Moves the position forward, never back.
    async fn advance(&self, activity: u64, answers: u64) -> Result<(), StoreError> {
        let decide = |before: Option<&Position>| {
            let before = before.cloned().unwrap_or_default();
            let after = Position {
                revision: before.revision + 1,
                activity: before.activity.max(activity),
                answers: before.answers.max(answers),
            };
            let moved = after.activity > before.activity || after.answers > before.answers;
            moved.then_some(after)
        };
        self.documents.update(Position::ID, decide).await?;
        Ok(())
    }

    async fn fold_days(&self, facts: &[Fact]) -> Result<(), StoreError> {
        for (date, facts) in by_bucket(facts, day_of) {
            let decide = |before: Option<&StoredDay>| {
                let (revision, before) = before.map_or((0, Day::default()), |before| {
                    (before.revision, before.day.clone())
                });
                let mut day = before.clone();
                day.fold(&facts);
                let revision = revision + 1;
                (day != before).then_some(StoredDay {
                    date,
                    revision,
                    day,
                })
            };
            self.documents.update(date, decide).await?;
        }
        Ok(())
    }

    async fn fold_hours(&self, facts: &[Fact]) -> Result<(), StoreError> {
        for (number, facts) in by_bucket(facts, hour_of) {
            let decide = |before: Option<&StoredHour>| {
                let (revision, before) = before.map_or((0, Hour::default()), |before| {
                    (before.revision, before.hour.clone())
                });
                let mut hour = before.clone();
                hour.fold(&facts);
                let revision = revision + 1;
                (hour != before).then_some(StoredHour {
                    number,
                    revision,
                    hour,
                })
            };
            self.documents.update(id_of_hour(number), decide).await?;
        }
        Ok(())
    }

    /// The `count` days up to that of `now`, the oldest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn days(&self, now: Timestamp, count: u32) -> Result<Vec<(Date, Day)>, StoreError> {
        let today = day_of(now);
        let dates = (0..count).rev();
        let dates = dates.map(|ago| today.saturating_sub(i64::from(ago).days()));
        let dates: Vec<_> = dates.collect();
        let ids: Vec<_> = dates.iter().map(Date::to_string).collect();
        let mut found: Vec<StoredDay> = self.documents.get_many(&ids).await?;
        let days = dates.into_iter().map(|date| {
            let place = found.iter().position(|found| found.date == date);
            let day = place.map(|place| found.swap_remove(place).day);
            (date, day.unwrap_or_default())
        });
        Ok(days.collect())
    }

    /// The `count` hours before that of `now`, and that hour: each with its number since 1970, the
    /// oldest first.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn hours(&self, now: Timestamp, count: u32) -> Result<Vec<(i64, Hour)>, StoreError> {
        let last = hour_of(now);
        let numbers: Vec<_> = (last - i64::from(count)..=last).collect();
        let ids: Vec<_> = numbers.iter().copied().map(id_of_hour).collect();
        let mut found: Vec<StoredHour> = self.documents.get_many(&ids).await?;
        let hours = numbers.into_iter().map(|number| {
            let place = found.iter().position(|found| found.number == number);
            let hour = place.map(|place| found.swap_remove(place).hour);
            (number, hour.unwrap_or_default())
        });
        Ok(hours.collect())
    }

    /// Deletes at most `limit` hours before that of `before`. Returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune_hours(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let old = Query::first(limit, "").below(id_of_hour(hour_of(before)));
        let old: Vec<StoredHour> = self.documents.list(&BY_ID, &old).await?;
        let deleted = self
            .documents
            .write_many(old.iter().map(Write::delete).collect());
        Ok(deleted.await?.iter().filter(|one| one.is_ok()).count())
    }

    /// Deletes at most `limit` answers from before `before`. Returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune_answers(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize, StoreError> {
        self.answers.prune(before, limit).await
    }
}
