//! Stores preferences: one document for each user who has chosen some.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Documents, Entries};
use uuid::Uuid;

use super::Preferences;
use crate::store::StoreError;

#[cfg(test)]
mod tests;

/// A user's preferences with their revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPreferences {
    /// The user.
    pub user: Uuid,
    /// The preferences.
    pub preferences: Preferences,
    /// Number of changes; 0 for a user who has chosen nothing.
    pub revision: u64,
    /// When they were last changed, if ever.
    pub at: Option<Timestamp>,
}

impl SavedPreferences {
    /// The preferences of a user who has chosen nothing.
    #[must_use]
    pub fn never(user: Uuid) -> Self {
        Self {
            user,
            preferences: Preferences::default(),
            revision: 0,
            at: None,
        }
    }
}

impl Document for SavedPreferences {
    const COLLECTION: Collection = Collection::new("preferences", 1, &[]);

    type Summary = ();

    fn id(&self) -> String {
        self.user.to_string()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, _: &mut Entries) {}

    fn summary(&self) {}
}

/// The store of preferences.
#[derive(Clone)]
pub struct PreferenceStore(Documents);

impl PreferenceStore {
    /// A store of the preferences in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// The user's preferences; [`SavedPreferences::never`] if there are none.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn of(&self, user: Uuid) -> Result<SavedPreferences, StoreError> {
        let found = self.0.get(user).await?;
        Ok(found.unwrap_or_else(|| SavedPreferences::never(user)))
    }

    /// The preferences of these users, in one query. Users who have chosen nothing are left out.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn of_all(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Preferences>, StoreError> {
        let ids: Vec<_> = users.iter().map(Uuid::to_string).collect();
        let found = self.0.get_many::<SavedPreferences>(&ids).await?.into_iter();
        Ok(found
            .map(|chosen| (chosen.user, chosen.preferences))
            .collect())
    }

    /// Replaces the user's preferences, if `expected` is their revision or `None`. Returns the new
    /// ones; `None`, and nothing is stored, if the revision is different.
    ///
    /// # Errors
    /// If the database is unavailable. They may have been stored: try again.
    pub async fn choose(
        &self,
        user: Uuid,
        preferences: Preferences,
        expected: Option<u64>,
        at: Timestamp,
    ) -> Result<Option<SavedPreferences>, StoreError> {
        let choose = self.0.update(user, |before: Option<&SavedPreferences>| {
            let revision = before.map_or(0, |chosen| chosen.revision);
            let as_expected = expected.is_none_or(|expected| expected == revision);
            as_expected.then(|| SavedPreferences {
                user,
                preferences: preferences.clone(),
                revision: revision + 1,
                at: Some(at),
            })
        });
        Ok(choose.await?)
    }
}
