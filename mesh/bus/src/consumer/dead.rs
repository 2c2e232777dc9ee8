//! A dead letter as administrators see it, and how it is replayed to its group.

use bytes::Bytes;
use uuid::Uuid;

use super::envelope::{Attempt, CAUSE, Envelope, ORIGIN_TOPIC, REASON};
use crate::{Delivery, Record};

/// What the names of dead-letter topics end with.
const SUFFIX: &str = ".dlq";

/// A record that a group gave up on, with what has happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The group that could not handle it.
    pub group: String,
    /// The record as it was published, on the topic where it was published.
    pub record: Record,
    /// Its partition there.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// Why it is one, as [`super::envelope::Cause`] writes it; empty if it does not
    /// say.
    pub cause: String,
    /// The same in words.
    pub reason: String,
    /// How often it has failed.
    pub attempts: u32,
    /// Its failures, the first one and the last ones, in order.
    pub history: Vec<Attempt>,
    /// The replay that it has come back from.
    pub replay: Option<Uuid>,
}

/// Whether a topic holds dead letters of a group.
#[must_use]
pub fn is_dead_letter_topic(topic: &str) -> bool {
    topic.ends_with(SUFFIX)
}

impl DeadLetter {
    /// Reads a record of a dead-letter topic. Nothing is refused: what it does not say is
    /// taken from where it was found.
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
            // A group's name has no dot, a topic's may have.
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

    /// Identifies this dead letter, however often it was published: a crash between publishing
    /// it and committing the offset publishes it again, at another offset of the dead-letter
    /// topic. The event's id is part of it, because a topic that is made anew
    /// counts from 0 again.
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

    /// The record that sends it back: to the first retry topic of its group, so that no
    /// other group sees it again, due at once. `payload` replaces what was published. If
    /// it fails again it comes back with its whole history and with the id `replay`.
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

    fn found(record: Record) -> Delivery {
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
        found(envelope.dead(group, Cause::Poison, "never"))
    }

    #[test]
    fn a_dead_letter_is_read_as_what_it_was() {
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
    fn a_record_that_says_nothing_of_itself_is_taken_from_where_it_was_found() {
        let record = Record {
            headers: vec![],
            ..crate::testing::stage::record("some.topic.g.dlq", "k", "v")
        };
        let letter = DeadLetter::read(&found(record));
        assert_eq!(
            (letter.group.as_str(), letter.record.topic.as_str()),
            ("g", "some.topic")
        );
        assert_eq!((letter.partition, letter.offset), (0, 41));
        assert_eq!((letter.attempts, letter.replay), (0, None));
    }

    #[test]
    fn a_replay_that_fails_comes_back_with_its_history_and_another_identity() {
        let first = DeadLetter::read(&dead("g"));
        let id = Uuid::now_v7();
        let record = first.replay(id, Some("w".into()));
        assert_eq!(record.topic, "some.topic.g.retry.1");
        assert_eq!(record.header(DUE), None, "it is due at once");
        let mut envelope = Envelope::returned(&found(record));
        assert_eq!(envelope.due(), None);
        envelope.failed(Timestamp::UNIX_EPOCH, "again");
        let again = DeadLetter::read(&found(envelope.dead("g", Cause::Poison, "never")));
        assert_eq!(again.replay, Some(id));
        assert_eq!(again.record.value, "w");
        assert_eq!((again.partition, again.offset), (3, 7));
        let errors: Vec<_> = again.history.iter().map(|a| a.error.as_str()).collect();
        assert_eq!(errors, ["refused", "again"]);
        assert_ne!(again.identity(), first.identity());
    }

    #[test]
    fn a_letter_that_is_published_twice_is_one() {
        let (one, mut other) = (dead("g"), dead("g"));
        other.offset += 1;
        let [one, other] = [one, other].map(|delivery| DeadLetter::read(&delivery));
        assert_eq!(one.identity(), other.identity());
    }
}
