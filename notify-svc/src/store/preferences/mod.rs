//! What users want, in a database: one entry for each who has ever chosen.

pub(super) mod mongo;
pub(super) mod sqlite;

#[cfg(test)]
mod contract;

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use slipway_mesh::life::Check;
use uuid::Uuid;

pub(crate) use mongo::MongoPreferenceStore;
pub(crate) use sqlite::SqlitePreferenceStore;

use super::StoreError;
use crate::preferences::Preferences;

/// What a user has chosen, and the how-manieth choice it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What is wanted.
    pub preferences: Preferences,
    /// How often the user has chosen; 0 of a user who never has.
    pub revision: u64,
    /// When, if ever.
    pub at: Option<Timestamp>,
}

impl Chosen {
    /// What applies to who has never chosen.
    #[must_use]
    pub fn never() -> Self {
        Self {
            preferences: Preferences::default(),
            revision: 0,
            at: None,
        }
    }
}

/// What users want.
#[async_trait]
pub trait PreferenceStore: Check {
    /// What this user has chosen; [`Chosen::never`] if nothing.
    ///
    /// # Errors
    /// If the database is away.
    async fn of(&self, user: Uuid) -> Result<Chosen, StoreError>;

    /// What these users have chosen; those who never have are left out. One question,
    /// whatever their number.
    ///
    /// # Errors
    /// If the database is away.
    async fn of_all(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Preferences>, StoreError>;

    /// Replaces what this user has chosen, if `expected` is the revision of that or is not
    /// given. Returns it as it is now; `None`, and nothing is stored, if it is another.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored: try again.
    async fn choose(
        &self,
        user: Uuid,
        preferences: Preferences,
        expected: Option<u64>,
        at: Timestamp,
    ) -> Result<Option<Chosen>, StoreError>;
}
