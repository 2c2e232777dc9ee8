//! Tracks whether the mail server is available, and limits claims accordingly.
//!
//! | the server is | mails claimed | |
//! | --- | --- | --- |
//! | unknown: at the start, and after a probe succeeded | one | its result shows whether the server accepts mails |
//! | present | as many as there are connections | |
//! | away | none | the server is probed every [`PROBE_EVERY`], without a mail |
//!
//! A server that is not away is probed too if no mail was sent for [`IDLE`]: otherwise nobody would
//! learn that it is away until the next mail.
//!
//! Nothing of this is stored. A mail that did not reach the server stays due in the queue, so the
//! first replica, or the next process, that reaches the server sends it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use slipway_runtime::life::{Check, Problem};
use tokio::time::Instant;

use crate::{metrics as m, notification::GIVE_UP_AFTER};

/// How often an unavailable mail server is probed.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// After this time without a contact, an available mail server is probed. Short enough for an alert
/// within a minute, long enough for a server that wants to be asked rarely.
const IDLE: Duration = Duration::from_secs(15);

/// How long this process must have seen the server unavailable before it gives up any notification.
/// After a start, many may have waited for long, and the server may still be starting too.
const TIMEOUT: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// Why the mail server is unavailable, as the dispatcher knows it: a mail server cannot be checked
/// without connecting to it.
#[derive(Clone, Default)]
pub(crate) struct MailServer(Arc<Mutex<Option<String>>>);

impl MailServer {
    pub(super) fn note(&self, server: &Server) {
        let problem = match server {
            Server::Away { why, .. } => Some(why.clone()),
            Server::Unknown { .. } | Server::Present { .. } => None,
        };
        *self.0.lock() = problem;
    }
}

#[async_trait]
impl Check for MailServer {
    async fn check(&self) -> Result<(), Problem> {
        self.0
            .lock()
            .clone()
            .map_or(Ok(()), |why| Err(Problem::Away(why)))
    }
}

/// What an attempt showed about the mail server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Contact {
    /// Nothing: the server was not contacted.
    #[default]
    NotTried,
    /// It answered.
    Made,
    /// It is unavailable, and why.
    Failed(String),
}

/// The known state of the mail server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Server {
    Unknown {
        /// Since when it was unavailable, if it was.
        away_since: Option<Timestamp>,
        probe_at: Instant,
    },
    Present {
        probe_at: Instant,
    },
    Away {
        since: Timestamp,
        why: String,
        /// When to probe it next.
        probe_at: Instant,
    },
}

impl Default for Server {
    fn default() -> Self {
        Self::Unknown {
            away_since: None,
            probe_at: Instant::now() + IDLE,
        }
    }
}

impl Server {
    /// How many more mails may be claimed while `sending` mails are being sent.
    pub(super) fn free(&self, connections: usize, sending: usize) -> usize {
        match self {
            Self::Present { .. } => connections.saturating_sub(sending),
            Self::Unknown { .. } => 1_usize.saturating_sub(sending),
            Self::Away { .. } => 0,
        }
    }

    /// When to probe the server while `sending` mails are being sent; `None` if these will show
    /// whether it is available.
    pub(super) fn probe_at(&self, sending: usize) -> Option<Instant> {
        match self {
            Self::Away { probe_at, .. } => Some(*probe_at),
            Self::Unknown { probe_at, .. } | Self::Present { probe_at } => {
                (sending == 0).then_some(*probe_at)
            }
        }
    }

    /// Records what an attempt showed.
    pub(super) fn learn(&mut self, contact: Contact, now: Timestamp) {
        match contact {
            Contact::NotTried => {}
            Contact::Made => self.is_present(),
            Contact::Failed(why) => self.is_away(why, now),
        }
    }

    /// Records the result of a probe.
    pub(super) fn answered(&mut self, answer: Result<(), String>, now: Timestamp) {
        match answer {
            // It answers, but that does not mean that it accepts mails from us.
            Ok(()) => self.is_there(),
            Err(why) => self.is_away(why, now),
        }
    }

    /// If notifications are to be given up at `now`: the latest due time of those, and the reason.
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
            Self::Present { .. } => None,
            Self::Unknown { away_since, .. } => *away_since,
            Self::Away { since, .. } => Some(*since),
        }
    }

    fn is_present(&mut self) {
        if self.away_since().is_some() {
            tracing::info!("mail server is back; sending mails");
        }
        *self = Self::Present {
            probe_at: Instant::now() + IDLE,
        };
        metrics::gauge!(m::MAIL_SERVER_UP).set(1.0);
    }

    fn is_there(&mut self) {
        let next = Instant::now() + IDLE;
        match self {
            Self::Away { since, .. } => {
                *self = Self::Unknown {
                    away_since: Some(*since),
                    probe_at: next,
                };
            }
            // An attempt has shown more.
            Self::Unknown { probe_at, .. } | Self::Present { probe_at } => *probe_at = next,
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
        let mut server = Server::default();
        server.learn(Contact::Failed("refused".to_owned()), NOW);
        server
    }

    #[test]
    fn one_mail_is_tried_first_and_then_all_are_sent() {
        let mut server = Server::default();
        assert_eq!((server.free(16, 0), server.free(16, 1)), (1, 0));
        server.learn(Contact::NotTried, NOW);
        assert_eq!(server.free(16, 0), 1, "nothing is known yet");
        server.learn(Contact::Made, NOW);
        assert_eq!((server.free(16, 0), server.free(16, 15)), (16, 1));
        assert_eq!(server.free(16, 20), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_server_is_probed_and_gets_no_mails() {
        let mut server = away();
        assert_eq!(server.free(16, 0), 0);
        assert_eq!(server.probe_at(0), Some(Instant::now() + PROBE_EVERY));
        tokio::time::advance(PROBE_EVERY).await;
        server.answered(Err("refused".to_owned()), after(1));
        assert_eq!(server.free(16, 0), 0);
        assert_eq!(server.probe_at(0), Some(Instant::now() + PROBE_EVERY));
        server.answered(Ok(()), after(2));
        assert_eq!(server.free(16, 0), 1);
        server.learn(Contact::Made, after(2));
        assert_eq!(server.free(16, 0), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn an_available_server_is_probed_if_no_mail_is_sent() {
        let next = || Some(Instant::now() + IDLE);
        let mut server = Server::default();
        assert_eq!((server.probe_at(0), server.probe_at(1)), (next(), None));
        tokio::time::advance(IDLE).await;
        server.learn(Contact::Made, NOW);
        assert_eq!((server.probe_at(0), server.probe_at(1)), (next(), None));
        tokio::time::advance(IDLE).await;
        server.answered(Ok(()), NOW);
        assert_eq!((server.probe_at(0), server.free(16, 0)), (next(), 16));
        server.answered(Err("refused".to_owned()), NOW);
        assert_eq!(server.free(16, 0), 0);
    }

    #[test]
    fn a_server_that_answers_but_refuses_us_is_unavailable() {
        let mut server = away();
        server.answered(Ok(()), after(1));
        server.learn(Contact::Failed("530 who are you?".to_owned()), after(1));
        assert_eq!(server.free(16, 0), 0);
        assert_eq!(server.away_since(), Some(NOW), "it is one outage");
    }

    #[tokio::test]
    async fn others_are_told_while_the_server_is_unavailable() {
        let told = MailServer::default();
        assert_eq!(told.check().await, Ok(()));
        let mut server = away();
        told.note(&server);
        assert_eq!(told.check().await, Err(Problem::Away("refused".to_owned())));
        server.learn(Contact::Made, after(1));
        told.note(&server);
        assert_eq!(told.check().await, Ok(()));
    }

    #[test]
    fn a_late_probe_result_changes_nothing() {
        let mut server = away();
        server.learn(Contact::Made, after(1));
        server.answered(Ok(()), after(1));
        assert_eq!(server.free(16, 0), 16);
    }

    #[test]
    fn nothing_is_given_up_until_the_server_was_unavailable_for_a_while() {
        let mut server = away();
        assert_eq!(server.gives_up(after(9)), None);
        server.answered(Err("still refused".to_owned()), after(9));
        let (due_by, why) = server.gives_up(after(10)).unwrap();
        assert_eq!((due_by, why), (after(10) - GIVE_UP_AFTER, "still refused"));
        server.answered(Ok(()), after(10));
        assert_eq!(server.gives_up(after(99)), None);
    }
}
