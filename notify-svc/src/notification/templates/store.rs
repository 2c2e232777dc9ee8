//! What administrators have saved of templates, in a database: a document for each type,
//! with its latest version, and one for each version before.
//!
//! A version is put among those before, by whoever follows it, while it is still the
//! latest: so at every moment there is all of them.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom as _;
use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_store::{Collection, Document, Documents, Entries, Index, Query, Refusal, Write};

use super::Version;
use crate::store::StoreError;

#[cfg(test)]
mod tests;

/// Versions kept of each type, the latest among them.
pub const VERSIONS_KEPT: u64 = 50;

/// Types of administrators' own, as far as they are not deleted, at most.
pub const OWN_TYPES: usize = 200;

/// Types, or versions, are read so many at a time.
const READ: u32 = 500;

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Stored,
    /// Another was faster: its number is not the next.
    Overtaken,
    /// There are [`OWN_TYPES`] already.
    Full,
}

/// How far a type has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The type.
    pub kind: String,
    /// The number of its latest version.
    pub number: u64,
}

const BY_NAME: Index = Index::list("by_name");
/// An administrators' own type has one of [`OWN_TYPES`] slots: so there are no more of them.
const SLOT: Index = Index::unique("slot");
const BY_SLOT: Index = Index::list("by_slot");

/// A type that was ever saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Type {
    latest: Version,
    slot: Option<usize>,
}

impl Document for Type {
    const COLLECTION: Collection =
        Collection::new("templates", 1, &[BY_NAME, SLOT, BY_SLOT]).with_events();

    type Summary = (Head, Option<usize>);

    fn id(&self) -> String {
        self.latest.kind.clone()
    }

    fn revision(&self) -> u64 {
        self.latest.number
    }

    fn entries(&self, entries: &mut Entries) {
        entries.list(&BY_NAME, "", &self.latest.kind);
        if let Some(slot) = self.slot {
            entries.unique(&SLOT, slot);
            entries.list(&BY_SLOT, "", format!("{slot:03}"));
        }
    }

    fn summary(&self) -> Self::Summary {
        let head = Head {
            kind: self.latest.kind.clone(),
            number: self.latest.number,
        };
        (head, self.slot)
    }
}

const OF_TYPE: Index = Index::list("of_type");

/// A version that is not the latest any more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Earlier(Version);

impl Document for Earlier {
    const COLLECTION: Collection = Collection::new("template_versions", 1, &[OF_TYPE]);

    type Summary = ();

    fn id(&self) -> String {
        format!("{}/{}", self.0.kind, self.0.number)
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        entries.list(&OF_TYPE, &self.0.kind, order(self.0.number));
    }

    fn summary(&self) {}
}

/// The place of a version among those of its type.
fn order(number: u64) -> String {
    format!("{number:020}")
}

/// Saved templates.
#[derive(Clone)]
pub struct TemplateStore(Documents);

impl TemplateStore {
    /// The templates among these documents.
    #[must_use]
    pub fn new(documents: Documents) -> Self {
        Self(documents)
    }

    /// How far each type has come that was ever saved, by name.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let mut heads = Vec::new();
        let mut query = Query::first(READ, "");
        loop {
            let more = self.0.summaries::<Type>(&BY_NAME, &query).await?;
            let Some((last, _)) = more.last() else {
                return Ok(heads);
            };
            query = query.above(&last.kind);
            heads.extend(more.into_iter().map(|(head, _)| head));
        }
    }

    /// The latest versions of these types, by name; those never saved are left out.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn latest(&self, kinds: &[String]) -> Result<Vec<Version>, StoreError> {
        let found = self.0.get_many::<Type>(kinds).await?.into_iter();
        let mut latest: Vec<_> = found.map(|found| found.latest).collect();
        latest.sort_unstable_by(|a, b| a.kind.cmp(&b.kind));
        Ok(latest)
    }

    /// Versions of a type that are kept, newest first, those with a smaller number than
    /// `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database is away.
    pub async fn versions(
        &self,
        kind: &str,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Version>, StoreError> {
        // Read first: whatever is saved meanwhile, those before it are in their collection.
        let Some(Type { latest, .. }) = self.0.get(kind).await? else {
            return Ok(Vec::new());
        };
        let query = Query::last(limit, kind).below(order(before.min(latest.number)));
        let earlier = self.0.list::<Earlier>(&OF_TYPE, &query).await?.into_iter();
        let kept = latest.number.saturating_sub(VERSIONS_KEPT);
        let earlier = earlier.map(|Earlier(version)| version);
        let newest = (latest.number < before).then_some(latest);
        let mut versions: Vec<_> = newest.into_iter().chain(earlier).collect();
        versions.retain(|version| version.number > kept);
        versions.truncate(limit as usize);
        Ok(versions)
    }

    /// Stores the version that follows the latest one of its type, with `events`, unless its number is
    /// not the next, or it would be of one of administrators' own types too many: those
    /// whose latest version has a sample. Of the versions before, only [`VERSIONS_KEPT`]
    /// stay.
    ///
    /// # Errors
    /// If the database is away. Then it is not known whether it is stored.
    pub async fn append(&self, version: Version, events: &[Event]) -> Result<Saved, StoreError> {
        let before: Option<Type> = self.0.get(&version.kind).await?;
        let number = before.as_ref().map_or(0, Document::revision);
        if number + 1 != version.number {
            return Ok(Saved::Overtaken);
        }
        if let Some(Type { latest, .. }) = &before {
            let earlier = Earlier(latest.clone());
            // It may be there: a version does not change.
            let _there = self.0.write(Write::insert(&earlier)).await?;
        }
        let mut after = Type {
            latest: version,
            slot: before.as_ref().and_then(|before| before.slot),
        };
        loop {
            after.slot = match (after.latest.is_own(), after.slot) {
                (false, _) => None,
                (true, Some(slot)) => Some(slot),
                (true, None) => match self.free_slot().await? {
                    None => return Ok(Saved::Full),
                    slot => slot,
                },
            };
            let write = match &before {
                None => Write::insert(&after),
                Some(before) => Write::replace(before, &after),
            };
            match self.0.write(write.with_events(events)).await? {
                Ok(()) => break,
                // Another type was faster to take the slot.
                Err(Refusal::Taken(Some(_))) => after.slot = None,
                Err(_) => return Ok(Saved::Overtaken),
            }
        }
        self.make_room(&after.latest).await?;
        Ok(Saved::Stored)
    }

    /// At random: of those who look for one at the same time most find another.
    async fn free_slot(&self) -> Result<Option<usize>, StoreError> {
        let query = Query::first(READ, "");
        let taken = self.0.summaries::<Type>(&BY_SLOT, &query).await?;
        let taken: BTreeSet<_> = taken.into_iter().filter_map(|(_, slot)| slot).collect();
        let free = (0..OWN_TYPES).filter(|slot| !taken.contains(slot));
        Ok(free.choose(&mut rand::rng()))
    }

    /// Deletes the versions of a type that its latest one leaves no room for.
    async fn make_room(&self, latest: &Version) -> Result<(), StoreError> {
        let kept = latest.number.saturating_sub(VERSIONS_KEPT);
        let old = Query::first(READ, &latest.kind).below(order(kept + 1));
        let old = self.0.list::<Earlier>(&OF_TYPE, &old).await?;
        // One that somebody else has deleted is as good as deleted.
        let _deleted = self
            .0
            .write_many(old.iter().map(Write::delete).collect())
            .await?;
        Ok(())
    }
}
