//! What becomes of records that are published together: each has an outcome of its own,
//! and none overtakes one with its key.

use std::{collections::HashMap, iter::repeat_n};

use super::{BusError, Record};

/// What an event may have at most, with its key and its headers, in bytes. Brokers take
/// 1,048,588 unless they are told otherwise, and count what is around a record too.
pub const MAX_EVENT: usize = 1_000_000;

impl Record {
    /// Its key, headers and value, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + headers + self.value.len()
    }
}

/// What became of one record. It is durable; or the error [is passing](BusError::is_passing),
/// and it may be durable all the same; or it is not, and would be refused again.
pub type Outcome = Result<(), BusError>;

/// Not all records were published. To people it says why the first was not.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{first}")]
pub struct Unpublished {
    first: BusError,
    outcomes: Vec<Outcome>,
}

impl Unpublished {
    /// What a bus answers when this is what became of each record.
    ///
    /// # Errors
    /// If one was not published.
    pub fn unless_all(outcomes: Vec<Outcome>) -> Result<(), Self> {
        let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        match failed.cloned() {
            None => Ok(()),
            Some(first) => Err(Self { first, outcomes }),
        }
    }

    /// None of so many records was published, for one reason.
    #[must_use]
    pub fn all(records: usize, error: BusError) -> Self {
        Self {
            first: error.clone(),
            outcomes: repeat_n(Err(error), records).collect(),
        }
    }

    /// What became of each record, in the order in which they were given.
    #[must_use]
    pub fn outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}

impl From<Unpublished> for BusError {
    fn from(unpublished: Unpublished) -> Self {
        unpublished.first
    }
}

/// Records on their way to the broker, in order. What stands behind a refused one of its
/// topic and key is refused with it; when the bus is away, so it is for all behind.
#[derive(Default)]
pub struct InOrder<'a> {
    refused: HashMap<(&'a str, &'a str), BusError>,
    away: Option<BusError>,
}

impl<'a> InOrder<'a> {
    /// Has the next record put where it belongs, if it may be.
    ///
    /// # Errors
    /// If it may not, or `put` fails.
    pub fn put<T>(
        &mut self,
        record: &'a Record,
        put: impl FnOnce() -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let before = self.refused.get(&(&*record.topic, &*record.key));
        if let Some(before) = self.away.as_ref().or(before) {
            return Err(before.clone());
        }
        let done = put();
        if let Err(error) = &done {
            self.failed(record, error);
        }
        done
    }

    /// A record that was put has failed.
    pub fn failed(&mut self, record: &'a Record, error: &BusError) {
        if error.is_passing() {
            self.away = Some(error.clone());
        } else {
            let key = (&*record.topic, &*record.key);
            self.refused.insert(key, error.clone());
        }
    }
}
