//! Follows the activity log, by one stream for the whole process, and hands every entry to
//! everyone who listens.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use slipway_proto::notify::v1::{
    ActivityEntry, ActivityGap, ActivityServiceListRequest, ActivityServiceWatchRequest,
    ActivityServiceWatchResponse, activity_service_client::ActivityServiceClient,
};
use slipway_rpc::{
    access::ServiceTokens,
    error::{Fault, Kind},
    grpc::{Link, Outbound},
};
use slipway_runtime::life::Background;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use crate::metrics as m;

/// The first delay before the log is asked again; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// The log has this long to answer at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What listeners are handed.
#[derive(Debug, Clone)]
pub(super) enum Live {
    /// The next entry.
    Entry(Arc<Frame>),
    /// The numbers do not go on where they stopped: whoever listens has to connect again,
    /// and will be told what is missing.
    StartOver,
}

/// Where the hub stands.
#[derive(Debug, Default)]
struct Position {
    /// The last number handed out; `None` until the log has answered for the first time.
    head: Option<u64>,
    /// Whether the log is being followed at the moment.
    following: bool,
}

/// Hands every entry of the log to everyone who listens.
pub(crate) struct Hub {
    /// Held while an entry is handed out and while somebody begins to listen, so that a
    /// listener knows exactly where it begins.
    position: Mutex<Position>,
    live: broadcast::Sender<Live>,
}

impl Hub {
    /// A hub whose listeners may be `reader_bound` entries behind.
    pub(crate) fn new(reader_bound: usize) -> Self {
        Self {
            position: Mutex::default(),
            live: broadcast::channel(reader_bound.max(1)).0,
        }
    }

    /// Follows the log in the background, from its newest entry on, until the drain: then
    /// there is nobody left to follow it for.
    pub(crate) fn follow(
        self: &Arc<Self>,
        log: ActivityServiceClient<Link>,
        services: Arc<ServiceTokens>,
        drain: CancellationToken,
        background: &Background,
    ) {
        let hub = Arc::clone(self);
        background.spawn("activity hub", move |stop| {
            let follower = Follower {
                hub: Arc::clone(&hub),
                log: log.clone(),
                services: Arc::clone(&services),
            };
            let drain = drain.clone();
            async move {
                tokio::select! {
                    // The log's end may be the drain's: that comes first, and is no loss.
                    biased;
                    () = stop.cancelled() => {}
                    () = drain.cancelled() => {}
                    () = follower.run() => {}
                }
            }
        });
    }

    /// Begins to listen: what follows after the number that is returned with it.
    pub(super) fn listen(&self) -> Result<(broadcast::Receiver<Live>, u64), Fault> {
        let position = self.position.lock();
        match position.head {
            Some(head) if position.following => Ok((self.live.subscribe(), head)),
            // Not logged for each of many clients: the loss itself was.
            _ => Err(Fault::new(
                Kind::Unavailable,
                "UNAVAILABLE",
                "The activity log cannot be reached at the moment.",
            )
            .retry_after(Duration::from_secs(1))),
        }
    }

    fn head(&self) -> Option<u64> {
        self.position.lock().head
    }

    fn set_following(&self, head: u64) {
        let mut position = self.position.lock();
        position.head = Some(head);
        position.following = true;
    }

    /// Whether it was followed until now.
    fn set_away(&self) -> bool {
        std::mem::take(&mut self.position.lock().following)
    }

    /// Hands out the next entry. One that was handed out before is left out; one that is
    /// not the next means that something was lost on the way.
    fn publish(&self, entry: ActivityEntry) -> Result<(), Fault> {
        let sequence = entry.sequence;
        let frame = Frame::try_from(entry);
        let mut position = self.position.lock();
        let head = position.head.unwrap_or_default();
        if sequence <= head {
            return Ok(());
        }
        if sequence != head + 1 {
            return Err(Fault::unavailable(
                "The activity log",
                format_args!("{sequence} came after {head}"),
            ));
        }
        position.head = Some(sequence);
        match frame {
            // There may be nobody who listens.
            Ok(frame) => drop(self.live.send(Live::Entry(Arc::new(frame)))),
            // What follows must not wait behind it.
            Err(error) => tracing::error!(%error, "activity entry skipped: it cannot be shown"),
        }
        Ok(())
    }

    /// Goes on after a gap. It lies either behind what is kept or beyond the newest entry
    /// (then the log is not the one it was).
    fn skip(&self, gap: ActivityGap) {
        let mut position = self.position.lock();
        let head = position.head.unwrap_or_default();
        let next = if gap.from > head {
            gap.to
        } else {
            gap.from.saturating_sub(1)
        };
        tracing::warn!(from = gap.from, to = gap.to, "activity stream has a gap");
        position.head = Some(next);
        drop(self.live.send(Live::StartOver));
    }
}

struct Follower {
    hub: Arc<Hub>,
    log: ActivityServiceClient<Link>,
    services: Arc<ServiceTokens>,
}

impl Follower {
    async fn run(self) {
        let mut delay = FIRST_DELAY;
        loop {
            let ended = self.watch(&mut delay).await;
            let followed = self.hub.set_away();
            if followed {
                metrics::counter!(m::STREAM_LOST).increment(1);
            }
            match ended {
                // The process at the other end was told to stop.
                Ok(()) => tracing::info!("notify-svc ended the activity stream"),
                Err(Fault { code, .. }) if followed => {
                    tracing::warn!(
                        code,
                        "lost the activity stream from notify-svc; reconnecting"
                    );
                }
                Err(Fault { code, .. }) => {
                    tracing::debug!(code, "activity stream from notify-svc is not available yet");
                }
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }

    /// Follows the log until the stream ends. `delay` starts over once there is a stream.
    async fn watch(&self, delay: &mut Duration) -> Result<(), Fault> {
        let after = match self.hub.head() {
            Some(head) => head,
            None => self.newest().await?,
        };
        let request = self
            .outbound()
            .request(ActivityServiceWatchRequest { after });
        let mut log = self.log.clone();
        let answer = tokio::time::timeout(TIMEOUT, log.watch(request));
        let mut stream = answer.await.map_err(|_| Fault::deadline())??.into_inner();
        self.hub.set_following(after);
        *delay = FIRST_DELAY;
        while let Some(ActivityServiceWatchResponse { gap, entries }) = stream.message().await? {
            if let Some(gap) = gap {
                self.hub.skip(gap);
            }
            for entry in entries {
                self.hub.publish(entry)?;
            }
        }
        Ok(())
    }

    async fn newest(&self) -> Result<u64, Fault> {
        let request = ActivityServiceListRequest {
            page_size: 1,
            ..ActivityServiceListRequest::default()
        };
        let outbound = Outbound {
            deadline: Some(TIMEOUT),
            ..self.outbound()
        };
        let answer = self.log.clone().list(outbound.request(request)).await?;
        Ok(answer.into_inner().newest)
    }

    fn outbound(&self) -> Outbound {
        Outbound::with_token(self.services.current())
    }
}
