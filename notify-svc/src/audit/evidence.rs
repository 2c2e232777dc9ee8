//! The evidence of a release: all of its entries in one document, which is verified without the
//! server.
//!
//! Such a document proves by itself that each entry has the content its hash says, that no entry of
//! the release is missing before the last one, and that neighbours in the chain follow each other.
//! That it is the chain of this server is proved by comparing a hash with one that was noted, or
//! with the server's.

use serde::{Deserialize, Serialize};

use super::{Broken, Entry, Flaw, Head, chain::is_as_noted};

/// The format of the document.
pub const FORMAT: &str = "slipway-evidence/1";

/// All entries of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: String,
    /// The release.
    pub release_id: String,
    /// When the document was made.
    pub generated_at: String,
    /// The end of the chain then.
    pub head: Head,
    /// How many entries the release had then.
    pub count: u64,
    /// The entries, in the order of the chain.
    pub entries: Vec<Entry>,
}

/// The document is not what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refuted {
    /// An entry is not as it must be.
    #[error("{0}")]
    Entry(#[from] Broken),
    /// The document is of a version that this one does not know.
    #[error("its format is {0:?}, not {FORMAT:?}")]
    Format(String),
    /// It has another number of entries than it says.
    #[error("it has {found} entries, not {count}")]
    Count {
        /// How many it says.
        count: u64,
        /// How many it has.
        found: usize,
    },
    /// An entry is of another release.
    #[error("entry {0} belongs to another release")]
    Foreign(u64),
    /// Its head is before its last entry, or contradicts it.
    #[error("its head is entry {0}, which does not fit its last entry")]
    Head(u64),
    /// It says nothing about the entry that was noted.
    #[error("it does not contain entry {0}, and ends elsewhere")]
    Unrelated(u64),
}

impl Evidence {
    /// Verifies the document by itself; if a head was noted, also that the document is of the same
    /// chain.
    ///
    /// # Errors
    /// Why it is refuted.
    pub fn verify(&self, noted: Option<&Head>) -> Result<(), Refuted> {
        if self.format != FORMAT {
            return Err(Refuted::Format(self.format.clone()));
        }
        let mut before: Option<&Entry> = None;
        for entry in &self.entries {
            self.follow(before, entry)?;
            is_as_noted(entry, noted)?;
            before = Some(entry);
        }
        let (count, found) = (self.count, self.entries.len());
        if found as u64 != count {
            return Err(Refuted::Count { count, found });
        }
        let last = before.map_or_else(Head::none, Entry::head);
        if self.head.number < last.number || (self.head.number == last.number && self.head != last)
        {
            return Err(Refuted::Head(self.head.number));
        }
        match noted {
            Some(noted) if !self.contains(noted) => Err(Refuted::Unrelated(noted.number)),
            _ => Ok(()),
        }
    }

    /// Checks an entry behind the one before it, if there is one.
    fn follow(&self, before: Option<&Entry>, entry: &Entry) -> Result<(), Refuted> {
        let number = entry.number;
        if entry.content_hash() != entry.hash {
            return Err(Flaw::Changed.of(number).into());
        }
        if entry.release_id != self.release_id {
            return Err(Refuted::Foreign(number));
        }
        let expected = before.map_or(1, |before| before.release_position + 1);
        let found = entry.release_position;
        if found != expected {
            return Err(Flaw::Misplaced { expected, found }.of(number).into());
        }
        let previous = before.map_or_else(Head::none, Entry::head);
        let is_next = number == previous.number + 1;
        if number <= previous.number || (is_next && entry.previous_hash != previous.hash) {
            return Err(Flaw::Unlinked.of(number).into());
        }
        Ok(())
    }

    fn contains(&self, noted: &Head) -> bool {
        self.head == *noted || self.entries.iter().any(|entry| entry.head() == *noted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::chain::tests::chain;

    /// The evidence of the release that entry 1 belongs to.
    fn evidence() -> Evidence {
        let chain = chain(40);
        let release_id = chain[0].release_id.clone();
        let entries = chain.iter().filter(|entry| entry.release_id == release_id);
        let entries: Vec<_> = entries.cloned().collect();
        Evidence {
            format: FORMAT.to_owned(),
            release_id,
            generated_at: "2026-01-02T03:05:00Z".to_owned(),
            head: chain[39].head(),
            count: entries.len() as u64,
            entries,
        }
    }

    #[test]
    fn a_document_is_whole_as_it_was_made() {
        let document = evidence();
        assert!(document.count > 3);
        document.verify(None).unwrap();
        let text = serde_json::to_string_pretty(&document).unwrap();
        let read: Evidence = serde_json::from_str(&text).unwrap();
        read.verify(Some(&document.head)).unwrap();
        read.verify(Some(&document.entries[1].head())).unwrap();
    }

    #[test]
    fn a_document_of_another_chain_is_refuted_by_a_head_that_was_noted() {
        let document = evidence();
        let other = |number| Head {
            number,
            hash: Head::NONE.to_owned(),
        };
        let first = document.entries[0].number;
        let refuted = document.verify(Some(&other(first))).unwrap_err();
        assert!(matches!(refuted, Refuted::Entry(_)), "{refuted}");
        let refuted = document.verify(Some(&other(40))).unwrap_err();
        assert_eq!(refuted, Refuted::Unrelated(40));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut document = serde_json::to_value(evidence()).unwrap();
        document["entries"][0]["note"] = "added".into();
        serde_json::from_value::<Evidence>(document).unwrap_err();
    }

    proptest! {
        #[test]
        fn an_edited_document_is_refuted(at in 0_usize..100, how in 0_usize..6) {
            let mut document = evidence();
            let at = at % (document.entries.len() - 1);
            match how {
                0 => drop(document.entries.remove(at)),
                1 => document.entries.swap(at, at + 1),
                2 => document.entries[at].data.push(' '),
                3 => document.entries[at].actor_name = "somebody else".to_owned(),
                4 => document.entries[at].release_id = document.entries[0].task_id.clone(),
                _ => drop(document.entries.pop()),
            }
            prop_assert!(document.verify(None).is_err());
        }
    }
}
