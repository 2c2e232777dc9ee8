//! What users want, in a database: a document for each who has ever chosen.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Documents, Entries};
use uuid::Uuid;

use super::Preferences;
use crate::store::StoreError;

#[cfg(test)]
mod tests;

/// What a user has chosen, and the how-manieth choice it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedPreferences {
    /// Who.
    pub user: Uuid,
    /// What is wanted.
    pub preferences: Preferences,
    /// How often the user has chosen; 0 of a user who never has.
    pub revision: u64,
    /// When, if ever.
    pub at: Option<Timestamp>,
}

impl SavedPreferences {
    /// What applies to who has never chosen.
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

/// What users want.
#[derive(Clone)]
pub struct PreferenceStore(Documents);

impl PreferenceStore {
    /// The preferences among these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// What this user has chosen; [`SavedPreferences::never`] if nothing.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn of(&self, user: Uuid) -> Result<SavedPreferences, StoreError> {
        let found = self.0.get(user).await?;
        Ok(found.unwrap_or_else(|| SavedPreferences::never(user)))
    }

    /// What these users have chosen; those who never have are left out. One question,
    /// whatever their number.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn of_all(&self, users: &[Uuid]) -> Result<HashMap<Uuid, Preferences>, StoreError> {
        let ids: Vec<_> = users.iter().map(Uuid::to_string).collect();
        let found = self.0.get_many::<SavedPreferences>(&ids).await?.into_iter();
        Ok(found
            .map(|chosen| (chosen.user, chosen.preferences))
            .collect())
    }

    /// Replaces what this user has chosen, if `expected` is the revision of that or is not
    /// given. Returns it as it is now; `None`, and nothing is stored, if it is another.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored: try again.
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
