//! Stores positions: one document for each user who has read something.

use serde::{Deserialize, Serialize};
use slipway_store::{Collection, Document, Documents, Entries};
use uuid::Uuid;

use super::Position;
use crate::store::StoreError;

#[cfg(test)]
mod tests;

/// A user's position.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredPosition {
    user: Uuid,
    revision: u64,
    position: Position,
}

impl Document for StoredPosition {
    const COLLECTION: Collection = Collection::new("read_positions", 1, &[]);

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

/// The positions of users.
#[derive(Clone)]
pub struct ReadingStore(Documents);

impl ReadingStore {
    /// The positions in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// A user's position.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn of(&self, user: Uuid) -> Result<Position, StoreError> {
        let found: Option<StoredPosition> = self.0.get(user).await?;
        Ok(found.map(|found| found.position).unwrap_or_default())
    }

    /// Moves a user's position forward; returns where it is then. Others who do so at the same time
    /// cannot move it back.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn advance(&self, user: Uuid, to: Position) -> Result<Position, StoreError> {
        let mut reached = to;
        let decide = |before: Option<&StoredPosition>| {
            let (revision, position) = before.map_or((0, Position::default()), |before| {
                (before.revision, before.position)
            });
            reached = position.joined(to);
            (reached != position).then_some(StoredPosition {
                user,
                revision: revision + 1,
                position: reached,
            })
        };
        self.0.update(user, decide).await?;
        Ok(reached)
    }
}
