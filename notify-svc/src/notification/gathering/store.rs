//! Stores tallies: one document for each.

use jiff::Timestamp;
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Write, by_time};

use crate::{notification::Tally, store::StoreError};

#[cfg(test)]
mod tests;

const BY_CHANGE: Index = Index::list("by_change");

impl Document for Tally {
    const COLLECTION: Collection = Collection::new("tallies", 1, &[BY_CHANGE]);

    type Summary = ();

    fn id(&self) -> String {
        self.key.clone()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        entries.list(&BY_CHANGE, "", by_time(self.changed_at, &self.key));
    }

    fn summary(&self) {}
}

/// The store of tallies.
#[derive(Clone)]
pub struct TallyStore(Documents);

impl TallyStore {
    /// A store of the tallies in this database.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// The stored tallies of `keys`, in any order.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn find(&self, keys: &[String]) -> Result<Vec<Tally>, StoreError> {
        Ok(self.0.get_many(keys).await?)
    }

    /// Stores changed tallies, each pair the tally before and after. Each is one write, guarded by
    /// the revision. `false` if another writer was faster with one of them; the others may be
    /// stored.
    ///
    /// # Errors
    /// If the database is unavailable. Some may have been stored.
    pub async fn save(&self, changed: &[(Tally, Tally)]) -> Result<bool, StoreError> {
        let writes = changed.iter().map(|(before, after)| match before.revision {
            0 => Write::insert(after),
            _ => Write::replace(before, after),
        });
        let outcomes = self.0.write_many(writes.collect()).await?;
        Ok(outcomes.iter().all(Result::is_ok))
    }

    /// Deletes at most `limit` tallies unchanged since `before`; returns how many.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let old = Query::first(limit, "").below(by_time(before, ""));
        let old: Vec<Tally> = self.0.list(&BY_CHANGE, &old).await?;
        let outcomes = self.0.write_many(old.iter().map(Write::delete).collect());
        // One that was changed in the meantime stays.
        let deleted = outcomes.await?.into_iter().filter(Result::is_ok);
        Ok(deleted.count())
    }
}
