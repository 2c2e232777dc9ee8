//! Reads a dead letter for administrators, and builds the record that replays it to its group.

use bytes::Bytes;
use uuid::Uuid;

use super::envelope::{Attempt, CAUSE, Envelope, ORIGIN_TOPIC, REASON};
use crate::{Delivery, Record};

/// Suffix of dead-letter topics.
const SUFFIX: &str = ".dlq";

/// A record that a group gave up on, with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The group that could not handle it.
    pub group: String,
    /// The record as it was published, with its original topic.
    pub record: Record,
    /// Its partition in the original topic.
    pub partition: u32,
    /// Its offset in that partition.
    pub offset: u64,
    /// Why it is a dead letter, as [`super::envelope::Cause`] writes it; empty if the header is
    /// missing.
    pub cause: String,
    /// The reason as text.
    pub reason: String,
    /// How often it has failed.
    pub attempts: u32,
    /// Its failures, the first one and the last ones, in order.
    pub history: Vec<Attempt>,
    /// Id of the replay after which it failed again.
    pub replay: Option<Uuid>,
}

/// Whether a topic holds dead letters of a group.
#[must_use]
pub fn is_dead_letter_topic(topic: &str) -> bool {
    topic.ends_with(SUFFIX)
}

/// The group whose dead letters a topic holds. A group's name has no dot, but a topic's name may
/// have one.
#[must_use]
pub fn group_of(topic: &str) -> Option<&str> {
    let place = topic.strip_suffix(SUFFIX)?;
    Some(place.rsplit_once('.')?.1)
}

impl DeadLetter {
    /// Reads a record of a dead-letter topic. Never fails: a missing header is replaced by the
    /// place where the record was found.
    #[must_use]
    pub fn read(delivery: &Delivery) -> Self {
        let found = &delivery.record;
        let mut envelope = Envelope::returned(delivery);
        let place = found.topic.strip_suffix(SUFFIX).unwrap_or(&found.topic);
        let group = match found.header(ORIGIN_TOPIC) {
            Some(origin) => place
                .strip_prefix(origin)
                .and_then(|group| group.strip_prefix('.')),
            None => None,
        };
        let (origin, group) = match group {
            Some(group) => (envelope.record.topic.clone(), group.to_owned()),
            // A group's name has no dot, but a topic's name may have one.
            None => place.rsplit_once('.').map_or_else(
                || (place.to_owned(), String::new()),
                |(origin, group)| (origin.to_owned(), group.to_owned()),
            ),
        };
        envelope.record.topic = origin;
        let text = |name| found.header(name).unwrap_or_default().to_owned();
        Self {
            group,
            partition: envelope.partition,
            offset: envelope.offset,
            cause: text(CAUSE),
            reason: text(REASON),
            attempts: envelope.attempts,
            replay: envelope.replay.as_deref().and_then(|id| id.parse().ok()),
            history: envelope.history,
            record: envelope.record,
        }
    }

    /// Identifies this dead letter, even if it was published twice: a crash between publishing it
    /// and committing the offset publishes it again, at another offset of the dead-letter topic.
    /// The event's id is part of the identity, because a topic that is deleted and created again
    /// restarts at offset 0.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        let replay = self.replay.map(|id| id.to_string()).unwrap_or_default();
        let event = self.record.header("ce_id").unwrap_or_default();
        let (partition, offset) = (self.partition.to_string(), self.offset.to_string());
        [
            &self.group,
            &self.record.topic,
            &partition,
            &offset,
            &replay,
            event,
        ]
        .join("\n")
        .into_bytes()
    }

    /// The record that replays it: to the first retry topic of its group, so that no other group
    /// sees it again, and due immediately. `payload` replaces the published payload. If it fails
    /// again, it becomes a dead letter with its whole history and with the id `replay`.
    #[must_use]
    pub fn replay(&self, replay: Uuid, payload: Option<Bytes>) -> Record {
        let mut record = self.record.clone();
        if let Some(payload) = payload {
            record.value = payload;
        }
        let envelope = Envelope {
            record,
            partition: self.partition,
            offset: self.offset,
            attempts: self.attempts,
            history: self.history.clone(),
            replay: Some(replay.to_string()),
            due: None,
        };
        envelope.replayed(&self.group)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{
        super::envelope::{Cause, DUE},
        *,
    };

    fn delivered(record: Record) -> Delivery {
        Delivery {
            record,
            partition: 0,
            offset: 41,
        }
    }

    fn dead(group: &str) -> Delivery {
        let mut envelope = Envelope::new(&Delivery {
            record: crate::testing::stage::record("some.topic", "k", "v"),
            partition: 3,
            offset: 7,
        });
        envelope.failed(Timestamp::UNIX_EPOCH, "refused");
        delivered(envelope.dead(group, Cause::Poison, "never"))
    }

    #[test]
    fn a_dead_letter_contains_the_original_record() {
        let letter = DeadLetter::read(&dead("g.h"));
        assert_eq!(
            letter.record,
            crate::testing::stage::record("some.topic", "k", "v")
        );
        assert_eq!((letter.partition, letter.offset), (3, 7));
        assert_eq!(
            (
                letter.group.as_str(),
                letter.cause.as_str(),
                letter.reason.as_str()
            ),
            ("g.h", "poison", "never")
        );
        assert_eq!((letter.attempts, letter.history.len()), (1, 1));
    }

    #[test]
    fn missing_headers_are_replaced_by_the_place_of_the_record() {
        let record = Record {
            headers: vec![],
            ..crate::testing::stage::record("some.topic.g.dlq", "k", "v")
        };
        let letter = DeadLetter::read(&delivered(record));
        assert_eq!(
            (letter.group.as_str(), letter.record.topic.as_str()),
            ("g", "some.topic")
        );
        assert_eq!((letter.partition, letter.offset), (0, 41));
        assert_eq!((letter.attempts, letter.replay), (0, None));
    }

    #[test]
    fn a_failed_replay_has_its_history_and_another_identity() {
        let first = DeadLetter::read(&dead("g"));
        let id = Uuid::now_v7();
        let record = first.replay(id, Some("w".into()));
        assert_eq!(record.topic, "some.topic.g.retry.1");
        assert_eq!(record.header(DUE), None, "it is due at once");
        let mut envelope = Envelope::returned(&delivered(record));
        assert_eq!(envelope.due(), None);
        envelope.failed(Timestamp::UNIX_EPOCH, "again");
        let again = DeadLetter::read(&delivered(envelope.dead("g", Cause::Poison, "never")));
        assert_eq!(again.replay, Some(id));
        assert_eq!(again.record.value, "w");
        assert_eq!((again.partition, again.offset), (3, 7));
        let errors: Vec<_> = again.history.iter().map(|a| a.error.as_str()).collect();
        assert_eq!(errors, ["refused", "again"]);
        assert_ne!(again.identity(), first.identity());
    }

    #[test]
    fn a_dead_letter_published_twice_has_one_identity() {
        let (one, mut other) = (dead("g"), dead("g"));
        other.offset += 1;
        let [one, other] = [one, other].map(|delivery| DeadLetter::read(&delivery));
        assert_eq!(one.identity(), other.identity());
    }
}
