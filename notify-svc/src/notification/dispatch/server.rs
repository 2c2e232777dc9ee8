//! What a process knows of the mail server, and what it does about it.
//!
//! | the server is | mails are claimed | |
//! | --- | --- | --- |
//! | unknown: at the start, and when it has just answered again | one | what came of it tells |
//! | present | as many as there are connections | |
//! | away | none | every [`PROBE_EVERY`] it is asked whether it is back, without a mail |
//!
//! None of this is stored. A mail that did not reach the server is due in the queue as it was
//! before, so whoever finds the server first, another replica or the next process, sends it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{metrics as m, notification::GIVE_UP_AFTER};

/// How often a mail server that is away is asked.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// How long it has to be away, as this process knows, before anything is given up: after a
/// start there may be much that has waited for long, and the server may be about to start
/// as well.
const TIMEOUT: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// What an attempt has shown of the mail server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Contact {
    /// Nothing: it was not asked.
    #[default]
    NotSought,
    /// It answered.
    Made,
    /// It is away, and how that showed.
    Failed(String),
}

/// The mail server, as far as is known; at first nothing is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Server {
    Unknown {
        /// Since when it was away, if it was.
        away_since: Option<Timestamp>,
    },
    Present,
    Away {
        since: Timestamp,
        why: String,
        /// When it is asked next.
        probe_at: Instant,
    },
}

impl Default for Server {
    fn default() -> Self {
        Self::Unknown { away_since: None }
    }
}

impl Server {
    /// How many mails may be claimed while so many are being sent.
    pub(super) fn free(&self, connections: usize, sending: usize) -> usize {
        match self {
            Self::Present => connections.saturating_sub(sending),
            Self::Unknown { .. } => 1_usize.saturating_sub(sending),
            Self::Away { .. } => 0,
        }
    }

    /// When it is to be asked, if it is.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        match self {
            Self::Away { probe_at, .. } => Some(*probe_at),
            _ => None,
        }
    }

    /// Takes note of what an attempt has shown.
    pub(super) fn learn(&mut self, contact: Contact, now: Timestamp) {
        match contact {
            Contact::NotSought => {}
            Contact::Made => self.is_present(),
            Contact::Failed(why) => self.is_away(why, now),
        }
    }

    /// Takes note of what it answered, or why it did not.
    pub(super) fn answered(&mut self, answer: Result<(), String>, now: Timestamp) {
        match answer {
            // That it talks to us does not say that it takes mails from us.
            Ok(()) => self.is_there(),
            Err(why) => self.is_away(why, now),
        }
    }

    /// Why notifications that were due by then are given up at `now`, if they are.
    pub(super) fn gives_up(&self, now: Timestamp) -> Option<(Timestamp, &str)> {
        match self {
            Self::Away { since, why, .. } if now.duration_since(*since) >= TIMEOUT => {
                let due_by = now.checked_sub(GIVE_UP_AFTER).ok()?;
                Some((due_by, why))
            }
            _ => None,
        }
    }

    fn away_since(&self) -> Option<Timestamp> {
        match self {
            Self::Present => None,
            Self::Unknown { away_since } => *away_since,
            Self::Away { since, .. } => Some(*since),
        }
    }

    fn is_present(&mut self) {
        if self.away_since().is_some() {
            tracing::info!("mail server is back; sending mails");
        }
        *self = Self::Present;
        metrics::gauge!(m::MAIL_SERVER_UP).set(1.0);
    }

    fn is_there(&mut self) {
        // A mail may have shown more meanwhile.
        if let Self::Away { since, .. } = *self {
            *self = Self::Unknown {
                away_since: Some(since),
            };
        }
        metrics::gauge!(m::MAIL_SERVER_UP).set(1.0);
    }

    fn is_away(&mut self, why: String, now: Timestamp) {
        let since = self.away_since().unwrap_or_else(|| {
            tracing::error!(why, "mail server unreachable; notifications are waiting");
            now
        });
        *self = Self::Away {
            since,
            why,
            probe_at: Instant::now() + PROBE_EVERY,
        };
        metrics::gauge!(m::MAIL_SERVER_UP).set(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn after(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn away() -> Server {
        let mut server = Server::Present;
        server.learn(Contact::Failed("refused".to_owned()), NOW);
        server
    }

    #[test]
    fn one_mail_finds_out_and_then_all_go() {
        let mut server = Server::default();
        assert_eq!((server.free(16, 0), server.free(16, 1)), (1, 0));
        server.learn(Contact::NotSought, NOW);
        assert_eq!(server.free(16, 0), 1, "nothing is known yet");
        server.learn(Contact::Made, NOW);
        assert_eq!((server.free(16, 0), server.free(16, 15)), (16, 1));
        assert_eq!((server.free(16, 20), server.probe_at()), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_asked_and_sent_nothing() {
        let mut server = away();
        assert_eq!(server.free(16, 0), 0);
        assert_eq!(server.probe_at(), Some(Instant::now() + PROBE_EVERY));
        tokio::time::advance(PROBE_EVERY).await;
        server.answered(Err("refused".to_owned()), after(1));
        assert_eq!(server.free(16, 0), 0);
        assert_eq!(server.probe_at(), Some(Instant::now() + PROBE_EVERY));
        server.answered(Ok(()), after(2));
        assert_eq!((server.free(16, 0), server.probe_at()), (1, None));
        server.learn(Contact::Made, after(2));
        assert_eq!(server.free(16, 0), 16);
    }

    #[test]
    fn a_server_that_answers_and_refuses_us_is_away_again() {
        let mut server = away();
        server.answered(Ok(()), after(1));
        server.learn(Contact::Failed("530 who are you?".to_owned()), after(1));
        assert_eq!(server.free(16, 0), 0);
        assert!(server.probe_at().is_some());
        assert_eq!(server.away_since(), Some(NOW), "it is one outage");
    }

    #[test]
    fn an_answer_that_comes_late_takes_nothing_back() {
        let mut server = away();
        server.learn(Contact::Made, after(1));
        server.answered(Ok(()), after(1));
        assert_eq!(server, Server::Present);
    }

    #[test]
    fn nothing_is_given_up_before_the_server_was_away_for_a_while() {
        let mut server = away();
        assert_eq!(server.gives_up(after(9)), None);
        server.answered(Err("still refused".to_owned()), after(9));
        let (due_by, why) = server.gives_up(after(10)).unwrap();
        assert_eq!((due_by, why), (after(10) - GIVE_UP_AFTER, "still refused"));
        server.answered(Ok(()), after(10));
        assert_eq!(server.gives_up(after(99)), None);
    }
}
