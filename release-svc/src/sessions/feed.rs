//! Spreads the end of sessions: from replica to replica by the database, and to the other processes
//! by a stream.
//!
//! Not by the bus: it may be away, and then a signed-out client would stay signed in.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use slipway_proto::{
    identity::v1::{EndedSession as Message, WatchEndedSessionsResponse},
    time::to_proto,
};
use slipway_rpc::access::EndedSession;
use slipway_runtime::life::Background;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{MARGIN, service::Sessions};
use crate::store::StoreError;

/// Interval between looks into the database. Sessions end everywhere within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Interval between answers without sessions.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A process that has not looked into the database for this time does not know what has ended.
const OUTDATED: Duration = Duration::from_secs(2);

/// Sessions in one answer.
const MAX_IN_ANSWER: usize = 500;

/// What this process knows of ended sessions, and until when.
pub(crate) struct EndedFeed {
    sessions: Arc<Sessions>,
    /// The last complete look into the database; `None` if no other process can end sessions.
    looked: Option<Mutex<Instant>>,
    /// Cancelled when the process drains: streams then end.
    drain: CancellationToken,
}

impl EndedFeed {
    /// Reads what ended before this process started, and starts to look for what other replicas
    /// end.
    ///
    /// # Errors
    /// If the database is unavailable.
    pub(crate) async fn start(
        sessions: Arc<Sessions>,
        drain: CancellationToken,
        background: &Background,
    ) -> Result<Arc<Self>, StoreError> {
        let now = sessions.clock.now();
        // All that are stored: the purge leaves those whose tokens may be valid.
        look(&sessions, Timestamp::UNIX_EPOCH).await?;
        let alone = sessions.store.sole_owner();
        let feed = Arc::new(Self {
            looked: (!alone).then(|| Mutex::new(Instant::now())),
            sessions,
            drain,
        });
        if !alone {
            let looking = Arc::clone(&feed);
            background.spawn("ended-sessions", move |stop| {
                let feed = Arc::clone(&looking);
                async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = feed.keep_looking(now) => {}
                    }
                }
            });
        }
        Ok(feed)
    }

    /// Looks again and again, each time at what ended since shortly before the last look: a write
    /// may become visible late, and clocks of replicas differ.
    async fn keep_looking(&self, mut from: Timestamp) {
        let mut failed = false;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let (now, began) = (self.sessions.clock.now(), Instant::now());
            let since = from.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN);
            match look(&self.sessions, since).await {
                Ok(()) => {
                    from = now;
                    failed = false;
                    if let Some(looked) = &self.looked {
                        *looked.lock() = began;
                    }
                }
                Err(error) if !failed => {
                    failed = true;
                    tracing::warn!(
                        %error,
                        "sessions that end at other replicas are not known at the moment"
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn is_current(&self) -> bool {
        let looked = self.looked.as_ref();
        looked.is_none_or(|looked| looked.lock().elapsed() < OUTDATED)
    }

    /// Everything that has ended and that ends, for another process.
    pub(crate) fn stream(
        self: &Arc<Self>,
    ) -> impl Stream<Item = Result<WatchEndedSessionsResponse, Status>> + use<> {
        let (known, live) = self.sessions.ended.follow();
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let follower = Follower {
            feed: Arc::clone(self),
            known,
            live,
            beat,
        };
        stream::unfold(follower, |mut follower| async move {
            let sessions = follower.next().await?;
            let sessions = sessions.iter().map(message).collect();
            Some((Ok(WatchEndedSessionsResponse { sessions }), follower))
        })
    }
}

/// One process that follows.
struct Follower {
    feed: Arc<EndedFeed>,
    /// Sessions to send first.
    known: Vec<EndedSession>,
    live: Receiver<EndedSession>,
    beat: Interval,
}

impl Follower {
    /// The sessions of the next answer; `None` ends the stream, and the process follows again.
    async fn next(&mut self) -> Option<Vec<EndedSession>> {
        if !self.known.is_empty() {
            let count = self.known.len().min(MAX_IN_ANSWER);
            return Some(self.known.drain(..count).collect());
        }
        loop {
            tokio::select! {
                biased;
                () = self.feed.drain.cancelled() => return None,
                ended = self.live.recv() => {
                    return match ended {
                        Ok(ended) => Some(vec![ended]),
                        Err(RecvError::Lagged(_) | RecvError::Closed) => None,
                    };
                }
                _ = self.beat.tick() => {
                    if self.feed.is_current() {
                        return Some(Vec::new());
                    }
                }
            }
        }
    }
}

/// Adds all sessions that ended since `since`.
async fn look(sessions: &Sessions, since: Timestamp) -> Result<(), StoreError> {
    for end in sessions.store.ended_since(since).await? {
        if let Some(until) = end.until {
            sessions.announce(end.id, until);
        }
    }
    Ok(())
}

fn message(session: &EndedSession) -> Message {
    Message {
        id: session.id.to_string(),
        until: Some(to_proto(session.until)),
    }
}
