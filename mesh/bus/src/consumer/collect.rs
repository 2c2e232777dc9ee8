//! Consumes raw records from a set of topics that changes over time: the dead-letter topics.
//!
//! Unlike a [`super::Consumer`] it refuses no record, so it has no dead letters of its own. If a
//! record cannot be stored now, it is tried again, and no later record overtakes it.

use std::{collections::BTreeSet, ops::ControlFlow, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use slipway_runtime::backoff::Backoff;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Host, health::GroupHealth};
use crate::{BusError, Delivery, SharedBus, Subscription};

/// Maximum records per write. They may be large: whole payloads with headers.
const BATCH: usize = 50;

/// How often it looks for new topics. A group creates its topics when it starts.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Stores the collected records.
#[async_trait]
pub trait RecordSink: Send + Sync + 'static {
    /// Stores the records. A record that is delivered several times is stored once.
    ///
    /// # Errors
    /// A text for the log, if the records cannot be stored now. They are delivered again.
    async fn store(&self, records: &[Delivery]) -> Result<(), String>;
}

/// The names of all topics, as last seen; `None` before the first look.
pub type KnownTopics = watch::Receiver<Option<BTreeSet<String>>>;

/// A consumer group that stores raw records.
pub struct Collector {
    /// The group's name.
    pub group: &'static str,
    /// Whether it consumes the topic of this name.
    pub wants: fn(&str) -> bool,
    /// Stores the records.
    pub sink: Arc<dyn RecordSink>,
}

impl Collector {
    /// Starts collecting in the background until shutdown. Returns the topics it sees.
    pub fn spawn(self, host: &Host) -> KnownTopics {
        let (seen, known) = watch::channel(None);
        let group = self.group;
        let run = Arc::new(Run {
            collector: self,
            bus: host.bus.clone(),
            seen,
            health: host.group_health(group),
        });
        host.background.spawn(group, move |stop| {
            let run = Arc::clone(&run);
            async move { run.until_stopped(&stop).await }
        });
        known
    }
}

struct Run {
    collector: Collector,
    bus: SharedBus,
    seen: watch::Sender<Option<BTreeSet<String>>>,
    health: Arc<GroupHealth<()>>,
}

impl Run {
    async fn until_stopped(&self, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            if let Err(error) = self.collect(&mut backoff, stop).await {
                let group = self.collector.group;
                tracing::warn!(group, %error, "collector lost the bus; rejoining the group");
                self.health.failed((), error.to_string());
                if backoff.wait(stop).await.is_break() {
                    return;
                }
            }
        }
    }

    /// Collects from the present topics until the set of topics changes.
    async fn collect(
        &self,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), BusError> {
        let wanted = self.look().await?;
        let mut member = if wanted.is_empty() {
            None
        } else {
            Some(self.bus.subscribe(self.collector.group, &wanted).await?)
        };
        let mut idle = pin!(self.health.idle(&()).fuse());
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(look_at) => {
                    if self.look().await? != wanted {
                        break;
                    }
                    look_at = Instant::now() + LOOK_EVERY;
                    continue;
                }
                batch = next(&mut member) => batch?,
                () = &mut idle => Vec::new(),
            };
            if let (Some(member), false) = (&mut member, batch.is_empty()) {
                if self.store(&batch, stop).await.is_break() {
                    break;
                }
                member.commit(&batch).await?;
            }
            backoff.reset();
            self.health.succeeded(&());
        }
        if let Some(member) = member {
            member.leave().await;
        }
        Ok(())
    }

    /// Reads the list of topics; returns those to consume.
    async fn look(&self) -> Result<Vec<String>, BusError> {
        let topics = self.bus.topics().await?;
        let wanted = topics.iter().filter(|topic| (self.collector.wants)(topic));
        let wanted = wanted.cloned().collect();
        self.seen.send_replace(Some(topics.into_iter().collect()));
        Ok(wanted)
    }

    async fn store(&self, batch: &[Delivery], stop: &CancellationToken) -> ControlFlow<()> {
        let mut backoff = Backoff::default();
        loop {
            let Err(error) = self.collector.sink.store(batch).await else {
                return ControlFlow::Continue(());
            };
            let group = self.collector.group;
            tracing::warn!(group, error, "records cannot be stored; trying again");
            backoff.wait(stop).await?;
        }
    }
}

/// The next records. Without a subscription it waits forever.
async fn next(member: &mut Option<Box<dyn Subscription>>) -> Result<Vec<Delivery>, BusError> {
    match member {
        Some(member) => member.next(BATCH).await,
        None => std::future::pending().await,
    }
}
