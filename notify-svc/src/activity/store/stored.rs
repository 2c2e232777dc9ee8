//! An activity entry as it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{BY_ID, Collection, Document, Entries, Index};
use uuid::Uuid;

use crate::{
    activity::{Activity, Entry},
    store::sequence::place,
};

/// Each event is logged once.
pub(super) const EVENT: Index = Index::unique("event");
pub(super) const BY_TYPE: Index = Index::list("by_type");
pub(super) const BY_FAMILY: Index = Index::list("by_family");
pub(super) const BY_RELEASE: Index = Index::list("by_release");
/// One index entry for each user the activity is about.
pub(super) const BY_PERSON: Index = Index::list("by_person");

/// An entry with the time it was stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredEntry {
    sequence: u64,
    pub(super) stored_at: Timestamp,
    pub(super) activity: Activity,
}

/// The part of an entry that a search needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    pub(super) sequence: u64,
    pub(super) event_type: String,
    pub(super) release_id: Option<Uuid>,
    /// Size of its texts in bytes.
    pub(super) weight: usize,
}

impl StoredEntry {
    pub(super) fn new(sequence: u64, activity: Activity, now: Timestamp) -> Self {
        Self {
            sequence,
            stored_at: now,
            activity,
        }
    }
}

impl From<StoredEntry> for Entry {
    fn from(logged: StoredEntry) -> Self {
        Self {
            sequence: logged.sequence,
            activity: logged.activity,
        }
    }
}

impl Document for StoredEntry {
    const COLLECTION: Collection = Collection::new(
        "activity",
        // Version 1 was the layout before documents.
        2,
        &[BY_ID, EVENT, BY_TYPE, BY_FAMILY, BY_RELEASE, BY_PERSON],
    );

    type Summary = Found;

    fn id(&self) -> String {
        place(self.sequence)
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        let (activity, place) = (&self.activity, self.id());
        entries.unique(&EVENT, activity.id);
        entries.list(&BY_TYPE, &activity.event_type, &place);
        if let Some((family, _)) = activity.event_type.split_once('.') {
            entries.list(&BY_FAMILY, family, &place);
        }
        if let Some(release) = activity.release_id {
            entries.list(&BY_RELEASE, release, &place);
        }
        for person in activity.people() {
            entries.list(&BY_PERSON, person, &place);
        }
    }

    fn summary(&self) -> Found {
        Found {
            sequence: self.sequence,
            event_type: self.activity.event_type.clone(),
            release_id: self.activity.release_id,
            weight: self.activity.weight(),
        }
    }
}
