//! An entry as it is stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_store::{BY_ID, Collection, Document, Entries, Index, by_time};

use crate::{
    audit::{Entry, Head},
    store::sequence::place,
};

/// Each event is in the trail once.
pub(super) const EVENT: Index = Index::unique("event");
/// All entries under the empty key.
pub(super) const BY_TIME: Index = Index::list("by_time");
pub(super) const BY_TYPE: Index = Index::list("by_type");
/// Under the user who did it, and under the account that it is about.
pub(super) const BY_USER: Index = Index::list("by_user");
/// In the order of the chain, so that a release's history can be read as it was written.
pub(super) const BY_RELEASE: Index = Index::list("by_release");
/// In the order of the chain.
pub(super) const BY_TASK: Index = Index::list("by_task");

/// The part of an entry that a search and a writer need.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub(super) head: Head,
    /// As precise as lists are ordered.
    pub(super) happened: Timestamp,
    pub(super) event_type: String,
    pub(super) users: Vec<String>,
    pub(super) release_id: String,
    pub(super) release_position: u64,
    /// Size of its texts in bytes.
    pub(super) weight: usize,
}

impl Document for Entry {
    const COLLECTION: Collection = Collection::new(
        "audit",
        1,
        &[BY_ID, EVENT, BY_TIME, BY_TYPE, BY_USER, BY_RELEASE, BY_TASK],
    );

    type Summary = Found;

    fn id(&self) -> String {
        place(self.number)
    }

    fn revision(&self) -> u64 {
        1
    }

    fn entries(&self, entries: &mut Entries) {
        let place = self.id();
        let time = by_time(self.happened(), &place);
        entries.unique(&EVENT, &self.event_id);
        entries.list(&BY_TIME, "", &time);
        entries.list(&BY_TYPE, &self.event_type, &time);
        for user in self.users() {
            entries.list(&BY_USER, user, &time);
        }
        if !self.release_id.is_empty() {
            entries.list(&BY_RELEASE, &self.release_id, &place);
        }
        if !self.task_id.is_empty() {
            entries.list(&BY_TASK, &self.task_id, &place);
        }
    }

    fn summary(&self) -> Found {
        Found {
            head: self.head(),
            happened: in_lists(self.happened()),
            event_type: self.event_type.clone(),
            users: self.users().map(str::to_owned).collect(),
            release_id: self.release_id.clone(),
            release_position: self.release_position,
            weight: self.weight(),
        }
    }
}

/// A time as [`by_time`] distinguishes it: to the millisecond, and not before 1970.
pub(super) fn in_lists(time: Timestamp) -> Timestamp {
    let millis = time.as_millisecond().max(0);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}
