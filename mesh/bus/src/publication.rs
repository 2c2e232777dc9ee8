//! The result of publishing several records: one outcome per record, and no record overtakes an
//! earlier one with the same key.

use std::{collections::HashMap, iter::repeat_n};

use super::{BusError, Record};

/// The largest allowed event, in bytes, including its key and headers. Brokers accept 1,048,588
/// bytes by default, and their limit includes the record's framing.
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

/// The outcome of publishing one record. On success it is durable. If the error [is
/// temporary](BusError::is_passing), the record may be durable or not. On any other error it is not
/// durable and would be refused again.
pub type Outcome = Result<(), BusError>;

/// At least one record was not published. `Display` shows the first error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{first}")]
pub struct Unpublished {
    first: BusError,
    outcomes: Vec<Outcome>,
}

impl Unpublished {
    /// The result of a publication, from the outcome of each record.
    ///
    /// # Errors
    /// If a record was not published.
    pub fn unless_all(outcomes: Vec<Outcome>) -> Result<(), Self> {
        let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        match failed.cloned() {
            None => Ok(()),
            Some(first) => Err(Self { first, outcomes }),
        }
    }

    /// All records of a publication failed, for the same reason.
    #[must_use]
    pub fn all(records: usize, error: BusError) -> Self {
        Self {
            first: error.clone(),
            outcomes: repeat_n(Err(error), records).collect(),
        }
    }

    /// The outcome of each record, in the order in which they were given.
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

/// Keeps the order of records that are being published. After a refused record, later records of
/// the same topic and key are refused too; after a temporary error, all later records fail with it.
#[derive(Default)]
pub struct InOrder<'a> {
    refused: HashMap<(&'a str, &'a str), BusError>,
    unavailable: Option<BusError>,
}

impl<'a> InOrder<'a> {
    /// Calls `put` to publish the next record, unless an earlier failure prevents it.
    ///
    /// # Errors
    /// If an earlier failure prevents it, or `put` fails.
    pub fn put<T>(
        &mut self,
        record: &'a Record,
        put: impl FnOnce() -> Result<T, BusError>,
    ) -> Result<T, BusError> {
        let before = self.refused.get(&(&*record.topic, &*record.key));
        if let Some(before) = self.unavailable.as_ref().or(before) {
            return Err(before.clone());
        }
        let done = put();
        if let Err(error) = &done {
            self.failed(record, error);
        }
        done
    }

    /// Notes that publishing a record failed.
    pub fn failed(&mut self, record: &'a Record, error: &BusError) {
        if error.is_passing() {
            self.unavailable = Some(error.clone());
        } else {
            let key = (&*record.topic, &*record.key);
            self.refused.insert(key, error.clone());
        }
    }
}
