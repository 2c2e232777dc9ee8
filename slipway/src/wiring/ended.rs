//! Follows the sessions that end in release-svc, in a process without sessions of its own.
//!
//! Without the stream, tokens of ended sessions stay valid here until they expire, after minutes.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use slipway_proto::{
    identity::v1::{WatchEndedSessionsRequest, identity_service_client::IdentityServiceClient},
    time::from_proto,
};
use slipway_rpc::{
    access::{EndedSession, EndedSessions, ServiceTokens},
    error::Fault,
    grpc::{Link, Outbound},
};
use slipway_runtime::{clock::SharedClock, life::Background};
use tokio::time::{Instant, sleep, timeout};

use crate::metrics as m;

/// The first delay before a reconnection; each further delay is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// The replica sends something every second. After this silence, another one is tried.
const SILENCE: Duration = Duration::from_secs(3);

/// Timeout for the head of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// After this time without an answer, it is logged that ends are not known.
const LOST: Duration = Duration::from_secs(10);

/// Follows the ended sessions.
pub(super) struct Following {
    pub(super) release: Link,
    pub(super) tokens: ServiceTokens,
    pub(super) ended: EndedSessions,
    pub(super) clock: SharedClock,
}

impl Following {
    /// Follows in the background until the process stops.
    pub(super) fn spawn(self, background: &Background) {
        let following = Arc::new(self);
        background.spawn("follow-ended-sessions", move |stop| {
            let following = Arc::clone(&following);
            async move {
                let heard = Mutex::new(Instant::now());
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = following.run(&heard) => {}
                    () = measure(&heard) => {}
                }
            }
        });
    }

    async fn run(&self, heard: &Mutex<Instant>) {
        let mut delay = FIRST_DELAY;
        loop {
            match self.follow(heard, &mut delay).await {
                Ok(()) => tracing::debug!("the stream of ended sessions has ended"),
                Err(Fault { code, .. }) => {
                    tracing::debug!(code, "the stream of ended sessions is not available");
                }
            }
            sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// Follows one replica until its stream ends. Resets `delay` when the stream is connected.
    async fn follow(&self, heard: &Mutex<Instant>, delay: &mut Duration) -> Result<(), Fault> {
        let outbound = Outbound::with_token(self.tokens.current());
        let request = outbound.request(WatchEndedSessionsRequest {});
        let mut identity = IdentityServiceClient::new(self.release.clone());
        let answer = timeout(TIMEOUT, identity.watch_ended_sessions(request)).await;
        let mut stream = answer.map_err(|_| Fault::deadline())??.into_inner();
        loop {
            let message = timeout(SILENCE, stream.message()).await;
            let Some(message) = message.map_err(|_| Fault::deadline())?? else {
                return Ok(());
            };
            *delay = FIRST_DELAY;
            *heard.lock() = Instant::now();
            let now = self.clock.now();
            for session in message.sessions {
                let until = session.until.and_then(|until| from_proto(until).ok());
                match (session.id.parse(), until) {
                    (Ok(id), Some(until)) => self.ended.add(EndedSession { id, until }, now),
                    _ => tracing::error!("release-svc sent an ended session that cannot be read"),
                }
            }
        }
    }
}

/// Measures how old the knowledge is, and logs when it becomes too old.
async fn measure(heard: &Mutex<Instant>) {
    let mut lost = false;
    loop {
        let age = heard.lock().elapsed();
        metrics::gauge!(m::ENDED_SESSIONS_AGE).set(age.as_secs_f64());
        if !lost && age > LOST {
            tracing::warn!(
                "SIGNING OUT HAS NO EFFECT HERE at the moment: release-svc does not tell which \
                 sessions end. Their tokens stay valid until they expire"
            );
        } else if lost && age <= LOST {
            tracing::info!("release-svc tells again which sessions end");
        }
        lost = age > LOST;
        sleep(MEASURE_EVERY).await;
    }
}
