//! Consumes records as they are, from topics that come and go: dead letters.
//!
//! Unlike a [`super::Consumer`] it refuses nothing, so it has no dead letters of its own:
//! a record that cannot be stored now is tried again, and nothing overtakes it.

use std::{collections::BTreeSet, ops::ControlFlow, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt as _;
use slipway_runtime::backoff::Backoff;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Host, health::GroupHealth};
use crate::{BusError, Delivery, SharedBus, Subscription};

/// Records stored in one write at most. They may be large: whole payloads with headers.
const BATCH: usize = 50;

/// How often it looks for topics that have come. A group makes its topics when it starts.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Stores what was collected.
#[async_trait]
pub trait RecordSink: Send + Sync + 'static {
    /// Stores the records, each once however often it is delivered.
    ///
    /// # Errors
    /// A text for the log, if they cannot be stored now. They are delivered again.
    async fn store(&self, records: &[Delivery]) -> Result<(), String>;
}

/// The names of the topics there are, as last seen; `None` before the first look.
pub type KnownTopics = watch::Receiver<Option<BTreeSet<String>>>;

/// A consumer group of records as they are.
pub struct Collector {
    /// The group's name.
    pub group: &'static str,
    /// Which topics it consumes.
    pub wants: fn(&str) -> bool,
    /// What stores the records.
    pub sink: Arc<dyn RecordSink>,
}

impl Collector {
    /// Collects in the background until told to stop. Returns the topics it sees.
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

    /// Collects from the topics there are now, until there are others.
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

    /// The topics that are wanted.
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

/// The next records; without a topic there are none, ever.
async fn next(member: &mut Option<Box<dyn Subscription>>) -> Result<Vec<Delivery>, BusError> {
    match member {
        Some(member) => member.next(BATCH).await,
        None => std::future::pending().await,
    }
}
