//! Follows the activity log by one stream per process, and broadcasts every entry to all clients.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use slipway_proto::{
    notify::v1::{
        ActivityEntry, ActivityGap, ActivityServiceListRequest, ActivityServiceWatchRequest,
        ActivityServiceWatchResponse, activity_service_client::ActivityServiceClient,
    },
    time::from_proto,
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

/// The first delay before a reconnection; each further delay is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Timeout for the first answer of the log.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A message to the subscribers of the hub.
#[derive(Debug, Clone)]
pub(super) enum Live {
    /// The next entry.
    Entry(Arc<Frame>),
    /// The sequence numbers have a gap: the client has to connect again, and gets the gap then.
    StartOver,
}

/// The position of the hub in the log.
#[derive(Debug, Default)]
struct Position {
    /// The last number broadcast; `None` until the log has answered for the first time.
    head: Option<u64>,
    /// Whether the stream from the log is connected.
    following: bool,
}

/// Broadcasts every entry of the log to all subscribers.
pub(crate) struct Hub {
    /// Locked while an entry is broadcast and while a client subscribes, so that a subscriber
    /// knows its exact start position.
    position: Mutex<Position>,
    live: broadcast::Sender<Live>,
}

impl Hub {
    /// A hub whose subscribers may be at most `reader_bound` entries behind.
    pub(crate) fn new(reader_bound: usize) -> Self {
        Self {
            position: Mutex::default(),
            live: broadcast::channel(reader_bound.max(1)).0,
        }
    }

    /// Follows the log in the background, from its newest entry on, until the process drains.
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
                    // A drain also ends the log's stream. It is checked first, so that this end is
                    // not counted as a loss.
                    biased;
                    () = stop.cancelled() => {}
                    () = drain.cancelled() => {}
                    () = follower.run() => {}
                }
            }
        });
    }

    /// Subscribes to the entries after the returned number.
    pub(super) fn subscribe(&self) -> Result<(broadcast::Receiver<Live>, u64), Fault> {
        let position = self.position.lock();
        match position.head {
            Some(head) if position.following => Ok((self.live.subscribe(), head)),
            // Not logged for each client: the lost stream is logged once.
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

    /// Marks the log as not followed. Returns whether it was followed until now.
    fn set_disconnected(&self) -> bool {
        std::mem::take(&mut self.position.lock().following)
    }

    /// Broadcasts the next entry. An entry that was broadcast before is ignored. An entry that is
    /// not the next one is an error: entries were lost.
    fn publish(&self, entry: ActivityEntry) -> Result<(), Fault> {
        let (sequence, time) = (entry.sequence, entry.time);
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
        record_lag(time);
        match frame {
            // There may be no subscribers.
            Ok(frame) => drop(self.live.send(Live::Entry(Arc::new(frame)))),
            // Skip it, so that it does not block the entries after it.
            Err(error) => tracing::error!(%error, "activity entry skipped: it cannot be shown"),
        }
        Ok(())
    }

    /// Continues after a gap: either the log has deleted the entries, or they are beyond its newest
    /// entry (then it is another log than before).
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

/// Records how long ago the event of an entry that has just arrived happened.
fn record_lag(happened: Option<prost_types::Timestamp>) {
    let Some(Ok(happened)) = happened.map(from_proto) else {
        return;
    };
    let lag = Timestamp::now().duration_since(happened).as_secs_f64();
    metrics::histogram!(m::STREAM_LAG_SECONDS).record(lag.max(0.0));
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
            let followed = self.hub.set_disconnected();
            if followed {
                metrics::counter!(m::STREAM_LOST).increment(1);
            }
            match ended {
                // The process at the other end shuts down.
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

    /// Follows the log until the stream ends. Resets `delay` when the stream is connected.
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
