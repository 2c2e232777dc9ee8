//! What happened and failed, in one list for administrators: incidents, dead letters, notifications
//! that were given up, and what administrators did.
//!
//! Nothing is stored for it. Each source is read from its own collection, newest first; the rules in
//! this file merge what the sources found. A source examines a bounded number of records for a page.
//! If it has not found enough by then, the page ends where the source stopped, so that no entry is
//! left out or comes late.

mod acts;
pub(crate) mod service;
pub(crate) mod sources;

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::events::UserRef;
use uuid::Uuid;

use crate::{audit::store::Place as AuditPlace, incidents::store::IncidentKey};

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A fault of the system.
    Incident,
    /// An event that a consumer group could not handle.
    DeadLetter,
    /// A notification that was given up.
    FailedNotification,
    /// A change that an administrator made.
    Act,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Incident,
        Self::DeadLetter,
        Self::FailedNotification,
        Self::Act,
    ];
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it comes from.
    pub kind: Kind,
    /// Id of the incident, the dead letter, the notification, or the event about the act.
    pub id: String,
    /// When an incident was last seen, a dead letter was received, a notification was created, or an
    /// act happened.
    pub time: Timestamp,
    /// What happened, in one line.
    pub summary: String,
    /// Why or how; may be empty.
    pub detail: String,
    /// The kind of an incident, or the type of the event or of the notification.
    pub event_type: String,
    /// Who did it; `None` for the system.
    pub actor: Option<UserRef>,
    /// Whether somebody has to do something about it.
    pub open: bool,
    /// The release it is about; may be empty.
    pub release_id: String,
    /// The task it is about; may be empty.
    pub task_id: String,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these kinds; empty: all.
    pub kinds: Vec<Kind>,
    /// Only at this time or later.
    pub from: Option<Timestamp>,
    /// Only before this time.
    pub to: Option<Timestamp>,
    /// Only with this text, in lower case.
    pub text: Option<String>,
}

impl Filter {
    /// Whether entries of this kind are wanted.
    #[must_use]
    pub fn includes(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Whether the text is in an entry. The sources select by kind and time.
    #[must_use]
    pub fn admits(&self, entry: &Entry) -> bool {
        let Some(text) = &self.text else {
            return true;
        };
        let actor = entry.actor.as_ref().map(|actor| &actor.username);
        let texts = [&entry.summary, &entry.detail, &entry.event_type];
        let mut texts = texts.into_iter().chain(actor);
        texts.any(|own| own.to_lowercase().contains(text))
    }
}

/// The place of an entry in its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Key {
    /// In the list of incidents.
    Incident(IncidentKey),
    /// The id of a dead letter.
    DeadLetter(Uuid),
    /// The id of a notification.
    Notification(Uuid),
    /// In the audit trail.
    Act(AuditPlace),
}

/// How far a source was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reached {
    /// Up to and including this place.
    Behind(Key),
    /// Everything.
    End,
}

/// How far each source was read; one that is not in it was not read yet.
pub type Cursor = BTreeMap<Kind, Reached>;

/// What a source found behind its place in the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The source.
    pub kind: Kind,
    /// The entries, newest first.
    pub entries: Vec<(Entry, Key)>,
    /// The last record that was examined, with its time, if others may follow.
    pub next: Option<(Timestamp, Key)>,
}

/// The first `limit` entries of all parts together, newest first, and how far the sources were read
/// then; `None` if nothing is left. No entry comes before one that a source may still have.
#[must_use]
pub fn merge(cursor: &Cursor, parts: Vec<Part>, limit: usize) -> (Vec<Entry>, Option<Cursor>) {
    // What a source has not examined is not newer than this.
    let unknown = parts.iter().filter_map(|part| Some(part.next?.0)).max();
    let kinds: Vec<_> = parts.iter().map(|part| part.kind).collect();
    let mut reached = cursor.clone();
    let mut candidates = Vec::new();
    for part in parts {
        let last = part
            .next
            .map_or(Reached::End, |(_, key)| Reached::Behind(key));
        let count = part.entries.len();
        if count == 0 {
            reached.insert(part.kind, last);
        }
        for (n, (entry, key)) in part.entries.into_iter().enumerate() {
            let is_last = n + 1 == count;
            let then = if is_last { last } else { Reached::Behind(key) };
            candidates.push((entry, then));
        }
    }
    // Stable: entries of one source keep their order.
    candidates.sort_by_key(|(entry, _)| (Reverse(entry.time.as_millisecond()), entry.kind));
    let mut entries = Vec::new();
    for (entry, then) in candidates.into_iter().take(limit) {
        if unknown.is_some_and(|unknown| entry.time.as_millisecond() < unknown.as_millisecond()) {
            break;
        }
        reached.insert(entry.kind, then);
        entries.push(entry);
    }
    // A source of which no entry was taken yet is not in it.
    let is_end = kinds
        .iter()
        .all(|kind| reached.get(kind) == Some(&Reached::End));
    (entries, (!is_end).then_some(reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(n: u128) -> Key {
        Key::DeadLetter(Uuid::from_u128(n))
    }

    fn entry(kind: Kind, second: i64) -> Entry {
        Entry {
            kind,
            id: second.to_string(),
            time: at(second),
            summary: "It failed".into(),
            detail: String::new(),
            event_type: "task.started".into(),
            actor: None,
            open: false,
            release_id: String::new(),
            task_id: String::new(),
        }
    }

    /// A source with an entry at each of these seconds, of which a page examines `most`.
    struct Source {
        kind: Kind,
        seconds: Vec<i64>,
        most: usize,
    }

    impl Source {
        fn part(&self, cursor: &Cursor) -> Option<Part> {
            let from = match cursor.get(&self.kind) {
                None => 0,
                Some(Reached::Behind(Key::DeadLetter(n))) => usize::try_from(n.as_u128()).unwrap(),
                Some(_) => return None,
            };
            let rest = self.seconds.iter().enumerate().skip(from);
            let entries = rest
                .take(self.most)
                .map(|(n, second)| (entry(self.kind, *second), key(n as u128 + 1)));
            let entries: Vec<_> = entries.collect();
            let more = self.seconds.len() > from + entries.len();
            let next = entries.last().map(|(entry, key)| (entry.time, *key));
            Some(Part {
                kind: self.kind,
                next: next.filter(|_| more),
                entries,
            })
        }
    }

    #[test]
    fn pages_joined_are_all_entries_newest_first_whatever_a_source_examines() {
        for (limit, most) in [(1, 1), (2, 1), (3, 2), (2, 5), (100, 3)] {
            let of = |kind, seconds: &[i64], most| Source {
                kind,
                seconds: seconds.to_vec(),
                most,
            };
            let sources = [
                of(Kind::Incident, &[90, 50, 50, 49, 3], most),
                of(Kind::DeadLetter, &[], most),
                of(Kind::FailedNotification, &[99, 98, 97, 96, 95, 50, 2], most),
                of(Kind::Act, &[51, 50, 1], 100),
            ];
            let (mut all, mut cursor, mut pages) = (Vec::new(), Some(Cursor::new()), 0);
            while let Some(now) = cursor {
                let parts = sources
                    .iter()
                    .filter_map(|source| source.part(&now))
                    .collect();
                let (entries, next) = merge(&now, parts, limit);
                assert!(entries.len() <= limit);
                all.extend(entries.iter().map(|entry| entry.time.as_second()));
                cursor = next;
                pages += 1;
                assert!(pages < 100, "it ends");
            }
            let mut expected: Vec<_> = sources.iter().flat_map(|one| one.seconds.clone()).collect();
            expected.sort_unstable_by_key(|second| Reverse(*second));
            assert_eq!(all, expected, "limit {limit}, examined {most}");
        }
    }

    #[test]
    fn a_source_whose_first_entry_is_the_oldest_of_all_is_not_forgotten() {
        let key = key(1);
        let part = |kind, second| Part {
            kind,
            entries: vec![(entry(kind, second), key)],
            next: None,
        };
        let parts = vec![part(Kind::Incident, 1), part(Kind::Act, 9)];
        let (entries, cursor) = merge(&Cursor::new(), parts, 1);
        assert_eq!(entries[0].kind, Kind::Act);
        let cursor = cursor.expect("the incident follows");
        let (entries, cursor) = merge(&cursor, vec![part(Kind::Incident, 1)], 1);
        assert_eq!((entries[0].kind, cursor), (Kind::Incident, None));
    }

    #[test]
    fn a_source_that_has_found_nothing_yet_holds_back_what_is_older_than_where_it_stopped() {
        let found = (entry(Kind::Act, 5), key(1));
        let newer = (entry(Kind::Act, 9), key(0));
        let acts = Part {
            kind: Kind::Act,
            entries: vec![newer, found],
            next: None,
        };
        let searching = Part {
            kind: Kind::DeadLetter,
            entries: vec![],
            next: Some((at(7), key(9))),
        };
        let (entries, cursor) = merge(&Cursor::new(), vec![acts, searching], 10);
        assert_eq!(entries.len(), 1, "the older one comes with the next page");
        let cursor = cursor.unwrap();
        assert_eq!(cursor[&Kind::Act], Reached::Behind(key(0)));
        assert_eq!(cursor[&Kind::DeadLetter], Reached::Behind(key(9)));
    }

    #[test]
    fn a_text_is_found_in_all_texts_of_an_entry_without_regard_to_case() {
        let actor = Some(UserRef {
            id: Uuid::nil(),
            username: "Grace".into(),
        });
        let entry = Entry {
            actor,
            detail: "ENOSPC".into(),
            ..entry(Kind::Act, 1)
        };
        for (text, found) in [
            ("failed", true),
            ("enos", true),
            ("task.s", true),
            ("grace", true),
            ("ada", false),
        ] {
            let filter = Filter {
                text: Some(text.into()),
                ..Filter::default()
            };
            assert_eq!(filter.admits(&entry), found, "{text}");
        }
    }
}
