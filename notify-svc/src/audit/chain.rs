//! The chain of entries: each has the hash of the one before, so none can be changed, removed, added
//! or moved without a trace, except at the end. Who has noted a [`Head`] finds that too.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Entry;

/// The end of a chain: the number and the hash of its last entry. It stands for the whole chain up
/// to there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Head {
    /// The number of the entry; 0: the chain is empty.
    pub number: u64,
    /// Its hash: 64 hexadecimal digits in lower case.
    pub hash: String,
}

impl Head {
    /// The hash that the first entry follows.
    pub const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    /// The head of an empty chain.
    #[must_use]
    pub fn none() -> Self {
        Self {
            number: 0,
            hash: Self::NONE.to_owned(),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.hash)
    }
}

/// The text is not a [`Head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the number of an entry, a colon, and its hash of 64 hexadecimal digits")]
pub struct MalformedHead;

impl FromStr for Head {
    type Err = MalformedHead;

    fn from_str(text: &str) -> Result<Self, MalformedHead> {
        let (number, hash) = text.split_once(':').ok_or(MalformedHead)?;
        let is_hash = hash.len() == Self::NONE.len()
            && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number: u64 = number.parse().map_err(|_| MalformedHead)?;
        match is_hash {
            true => Ok(Self {
                number,
                hash: hash.to_owned(),
            }),
            false => Err(MalformedHead),
        }
    }
}

/// Where a chain is broken first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {number} {flaw}")]
pub struct Broken {
    /// The number of the entry.
    pub number: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Another number is at its place.
    #[error("is missing: entry {0} is at its place")]
    Missing(u64),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// Its content has another hash than it says.
    #[error("was changed: its content has another hash than it says")]
    Changed,
    /// It follows another entry than the one before it.
    #[error("does not follow the entry before it: that one was changed or replaced")]
    Unlinked,
    /// Entries of its release are missing before it, or it is in the place of another.
    #[error("is number {found} of its release, where number {expected} belongs")]
    Misplaced {
        /// The number where it belongs.
        expected: u64,
        /// The number that it says.
        found: u64,
    },
    /// It has another hash than when its head was noted.
    #[error("has another hash than was noted: {0}")]
    NotAsNoted(String),
    /// The chain ends before it.
    #[error("is missing: it was noted, but the chain ends with entry {0}")]
    CutOff(u64),
}

impl Flaw {
    pub(super) fn of(self, number: u64) -> Broken {
        Broken { number, flaw: self }
    }
}

/// A chain that is read from its first entry on.
#[derive(Debug)]
pub struct Chain {
    head: Head,
    /// How many entries of each release there are so far.
    releases: HashMap<String, u64>,
    noted: Option<Head>,
}

impl Chain {
    /// An empty chain, in which the entry that was noted must be found, if one was.
    #[must_use]
    pub fn new(noted: Option<Head>) -> Self {
        Self {
            head: Head::none(),
            releases: HashMap::new(),
            noted,
        }
    }

    /// The end so far.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The number that the next entry must have.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.head.number + 1
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// If the chain is broken at it.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Broken> {
        let next = self.next();
        if entry.number != next {
            return Err(Flaw::Missing(entry.number).of(next));
        }
        if entry.content_hash() != entry.hash {
            return Err(Flaw::Changed.of(next));
        }
        if entry.previous_hash != self.head.hash {
            return Err(Flaw::Unlinked.of(next));
        }
        self.place(entry)?;
        is_as_noted(entry, self.noted.as_ref())?;
        self.head = entry.head();
        Ok(())
    }

    fn place(&mut self, entry: &Entry) -> Result<(), Broken> {
        let expected = match self.releases.get_mut(&entry.release_id) {
            _ if entry.release_id.is_empty() => 0,
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                self.releases.insert(entry.release_id.clone(), 1);
                1
            }
        };
        let found = entry.release_position;
        match found == expected {
            true => Ok(()),
            false => Err(Flaw::Misplaced { expected, found }.of(entry.number)),
        }
    }

    /// The head of the whole chain.
    ///
    /// # Errors
    /// If the chain ends before the entry that was noted.
    pub fn end(self) -> Result<Head, Broken> {
        match self.noted {
            Some(noted) if noted.number > self.head.number => {
                Err(Flaw::CutOff(self.head.number).of(noted.number))
            }
            _ => Ok(self.head),
        }
    }
}

/// Checks that an entry has the hash that was noted, if it is the one.
pub(super) fn is_as_noted(entry: &Entry, noted: Option<&Head>) -> Result<(), Broken> {
    match noted {
        Some(noted) if noted.number == entry.number && noted.hash != entry.hash => {
            Err(Flaw::NotAsNoted(noted.hash.clone()).of(entry.number))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// The `n`-th entry, before it is chained. Two of three belong to one of three releases.
    pub(crate) fn entry(n: u128) -> Entry {
        let release_id = match n % 3 {
            0 => String::new(),
            _ => Uuid::from_u128(0xe1_0000 + n % 4).to_string(),
        };
        let user = |n: u128| Uuid::from_u128(0xad_0000 + n).to_string();
        let second = n % 60;
        Entry {
            number: 0,
            event_id: Uuid::from_u128(n).to_string(),
            event_type: ["task.started", "task.updated", "release.created"][(n % 3) as usize]
                .to_owned(),
            schema: "task.started/1".to_owned(),
            time: format!("2026-01-02T03:04:{second:02}.5Z"),
            recorded_at: "2026-01-02T03:05:00Z".to_owned(),
            actor_id: user(n % 2),
            actor_name: format!("user {}", n % 2),
            request_id: format!("r-{n}"),
            trace_id: format!("{n:032x}"),
            address: "192.0.2.1".to_owned(),
            subject: format!("„{n}“ \u{1F680}"),
            release_id,
            release_position: 0,
            task_id: Uuid::from_u128(0x7a_0000 + n % 5).to_string(),
            user_id: String::new(),
            data: format!(r#"{{"n": {n}, "text": "a\nb"}}"#),
            previous_hash: String::new(),
            hash: String::new(),
        }
    }

    /// A whole chain.
    pub(crate) fn chain(length: u128) -> Vec<Entry> {
        let mut releases: HashMap<String, u64> = HashMap::new();
        let mut head = Head::none();
        let mut chain = Vec::new();
        for n in 1..=length {
            let entry = entry(n);
            let count = releases.entry(entry.release_id.clone()).or_default();
            let entry = entry.chained(&head, *count);
            *count += 1;
            head = entry.head();
            chain.push(entry);
        }
        chain
    }

    fn read(entries: &[Entry], noted: Option<Head>) -> Result<Head, Broken> {
        let mut chain = Chain::new(noted);
        for entry in entries {
            chain.follow(entry)?;
        }
        chain.end()
    }

    fn broken_at(entries: &[Entry]) -> u64 {
        read(entries, None).unwrap_err().number
    }

    #[test]
    fn a_whole_chain_ends_with_its_last_entry() {
        assert_eq!(read(&[], None).unwrap(), Head::none());
        let entries = chain(20);
        assert_eq!(read(&entries, None).unwrap(), entries[19].head());
    }

    #[test]
    fn a_cut_is_found_by_a_head_that_was_noted() {
        let entries = chain(9);
        let noted = entries[8].head();
        assert!(read(&entries, Some(noted.clone())).is_ok());
        let cut = read(&entries[..7], Some(noted)).unwrap_err();
        assert_eq!((cut.number, cut.flaw), (9, Flaw::CutOff(7)));
        let other = Head {
            number: 4,
            hash: Head::NONE.to_owned(),
        };
        assert_eq!(read(&entries, Some(other)).unwrap_err().number, 4);
    }

    #[test]
    fn an_entry_with_a_new_hash_is_found_at_the_next_link() {
        let mut entries = chain(9);
        entries[4].data = "{}".to_owned();
        entries[4].hash = entries[4].content_hash();
        let broken = read(&entries, None).unwrap_err();
        assert_eq!((broken.number, broken.flaw), (6, Flaw::Unlinked));
    }

    #[test]
    fn a_head_survives_a_round_trip() {
        let head = chain(3)[2].head();
        assert_eq!(head.to_string().parse(), Ok(head));
        for bad in [
            "",
            "3",
            "3:",
            ":a",
            "x:00",
            &format!("3:{}", "G".repeat(64)),
        ] {
            assert_eq!(bad.parse::<Head>(), Err(MalformedHead), "{bad}");
        }
    }

    /// Changes one field.
    fn change(entry: &mut Entry, field: usize) {
        let text = match field {
            0 => &mut entry.event_id,
            1 => &mut entry.event_type,
            2 => &mut entry.schema,
            3 => &mut entry.time,
            4 => &mut entry.recorded_at,
            5 => &mut entry.actor_id,
            6 => &mut entry.actor_name,
            7 => &mut entry.request_id,
            8 => &mut entry.trace_id,
            9 => &mut entry.address,
            10 => &mut entry.subject,
            11 => &mut entry.release_id,
            12 => &mut entry.task_id,
            13 => &mut entry.user_id,
            14 => &mut entry.data,
            15 => &mut entry.previous_hash,
            16 => &mut entry.hash,
            17 => return entry.number += 1,
            _ => return entry.release_position += 1,
        };
        text.push(' ');
    }

    proptest! {
        #[test]
        fn a_changed_field_is_found_at_its_entry(at in 0_usize..30, field in 0_usize..19) {
            let mut entries = chain(30);
            change(&mut entries[at], field);
            prop_assert_eq!(broken_at(&entries), at as u64 + 1);
        }

        #[test]
        fn text_that_moves_to_the_next_field_is_found(at in 0_usize..30) {
            let mut entries = chain(30);
            let moved = entries[at].actor_name.pop();
            entries[at].request_id.insert(0, moved.unwrap());
            prop_assert_eq!(broken_at(&entries), at as u64 + 1);
        }

        #[test]
        fn a_removed_entry_is_found(at in 0_usize..29) {
            let mut entries = chain(30);
            entries.remove(at);
            prop_assert_eq!(broken_at(&entries), at as u64 + 1);
        }

        #[test]
        fn swapped_entries_are_found(a in 0_usize..30, b in 0_usize..30, renumbered: bool) {
            prop_assume!(a != b);
            let mut entries = chain(30);
            entries.swap(a, b);
            if renumbered {
                let (number, other) = (entries[a].number, entries[b].number);
                entries[a].number = other;
                entries[b].number = number;
            }
            prop_assert_eq!(broken_at(&entries), a.min(b) as u64 + 1);
        }

        #[test]
        fn an_added_entry_is_found(at in 0_usize..29, number in 1_u64..40) {
            let mut entries = chain(30);
            let forged = Head { number: number - 1, hash: entries[at].previous_hash.clone() };
            let forged = entry(99).chained(&forged, 0);
            entries.insert(at, forged);
            let found = broken_at(&entries);
            // Behind it, if it is a possible entry there.
            prop_assert!(found == at as u64 + 1 || found == at as u64 + 2);
        }
    }
}
