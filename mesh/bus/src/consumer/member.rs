//! The loop of one member of a group: take a batch, call the handler, publish refused events to
//! retry or dead-letter topics, commit.

use std::{collections::HashMap, ops::ControlFlow, pin::pin, sync::Arc};

use futures::FutureExt as _;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use tokio_util::sync::CancellationToken;

use super::{
    Consumer, Group,
    envelope::{Cause, Envelope, retry_topic},
    health::GroupHealth,
    reroute::{self, Rerouted},
    settle::{Disposition, Item, Refused},
};
use crate::metrics as m;
use crate::{BusError, Delivery, Event, Record, SharedBus, Subscription};
use slipway_runtime::{backoff::Backoff, clock::SharedClock};

/// Maximum events per write.
const BATCH: usize = 500;

/// The topics that a member consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The group's topics.
    Topics,
    /// The retry topics of this tier, from 1.
    Tier(usize),
}

/// One running member of a group.
pub(super) struct Member {
    pub(super) consumer: Arc<Consumer>,
    pub(super) source: Source,
    pub(super) bus: SharedBus,
    pub(super) clock: SharedClock,
    pub(super) health: Arc<GroupHealth<Source>>,
    pub(super) stop: CancellationToken,
}

/// Continue, or break because the process is stopping.
type Flow = ControlFlow<()>;

impl Member {
    /// Consumes until shutdown; rejoins the group whenever the bus is lost.
    pub(super) async fn until_stopped(&self) {
        let mut backoff = Backoff::default();
        let group = self.consumer.group.name;
        while let Err(error) = self.consume(&mut backoff).await {
            tracing::warn!(group, source = ?self.source, %error, "consumer lost the bus; rejoining the group");
            self.health.failed(self.source, error.to_string());
            if backoff.wait(&self.stop).await.is_break() {
                return;
            }
        }
    }

    async fn consume(&self, backoff: &mut Backoff) -> Result<(), BusError> {
        let mut subscription = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            joined = self.join() => joined?,
        };
        let mut idle = pin!(self.health.idle(&self.source).fuse());
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                batch = subscription.next(BATCH) => batch?,
                () = &mut idle => Vec::new(),
            };
            if !batch.is_empty() && self.batch(&mut *subscription, batch).await?.is_break() {
                break;
            }
            // Reset only now: a batch that cannot be rerouted or committed is delivered again and
            // again.
            backoff.reset();
            self.health.succeeded(&self.source);
        }
        subscription.leave().await;
        Ok(())
    }

    async fn join(&self) -> Result<Box<dyn Subscription>, BusError> {
        let Group {
            name: group,
            topics,
            ..
        } = &self.consumer.group;
        let own = self.consumer.group.own_topics();
        self.bus.create_topics(&own).await?;
        match self.source {
            Source::Topics => self.bus.subscribe(group, topics).await,
            Source::Tier(tier) => {
                let retries: Vec<_> = topics
                    .iter()
                    .map(|topic| retry_topic(topic, group, tier))
                    .collect();
                let group = format!("{group}.retry.{tier}");
                self.bus.subscribe(&group, &retries).await
            }
        }
    }

    async fn batch(
        &self,
        subscription: &mut dyn Subscription,
        batch: Vec<Delivery>,
    ) -> Result<Flow, BusError> {
        if self.source == Source::Topics {
            let envelopes = batch.iter().map(Envelope::new).collect();
            return self.settle(subscription, &batch, envelopes).await;
        }
        let mut waiting = in_order_of_due(batch);
        while let Some(first) = waiting.first() {
            if self.wait_until(first.due).await.is_break() {
                return Ok(Flow::Break(()));
            }
            let now = self.clock.now();
            let count = waiting.iter().take_while(|w| w.due <= now).count().max(1);
            let (due, envelopes): (Vec<_>, Vec<_>) = waiting
                .drain(..count)
                .map(|waiting| (waiting.delivery, waiting.envelope))
                .unzip();
            if self.settle(subscription, &due, envelopes).await?.is_break() {
                return Ok(Flow::Break(()));
            }
        }
        Ok(Flow::Continue(()))
    }

    async fn wait_until(&self, due: Timestamp) -> Flow {
        let wait = due.duration_since(self.clock.now());
        tokio::select! {
            () = self.stop.cancelled() => Flow::Break(()),
            () = tokio::time::sleep(wait.try_into().unwrap_or_default()) => Flow::Continue(()),
        }
    }

    /// Passes everything in `envelopes` to the handler or to another topic, and commits
    /// `deliveries`, from which the envelopes were read.
    async fn settle(
        &self,
        subscription: &mut dyn Subscription,
        deliveries: &[Delivery],
        envelopes: Vec<Envelope>,
    ) -> Result<Flow, BusError> {
        let (mut items, mut refused) = (Vec::with_capacity(envelopes.len()), Vec::new());
        for envelope in envelopes {
            match decode(&envelope.record) {
                Ok(event) => items.push(Item { envelope, event }),
                Err(reason) => refused.push(Refused {
                    envelope,
                    disposition: Disposition::Dead(Cause::Undecodable),
                    reason,
                }),
            }
        }
        let Some(settled) = self.consumer.settle(items, &self.stop).await else {
            return Ok(Flow::Break(()));
        };
        refused.extend(settled.refused);
        self.reroute(refused).await?;
        subscription.commit(deliveries).await?;
        self.count(&settled.handled);
        Ok(Flow::Continue(()))
    }

    async fn reroute(&self, refused: Vec<Refused>) -> Result<(), BusError> {
        let (group, now) = (&self.consumer.group, self.clock.now());
        let rerouted = refused.into_iter();
        let rerouted =
            rerouted.map(|refused| Rerouted::new(refused, self.source, group.order, now));
        reroute::publish(&self.bus, group.name, rerouted.collect()).await
    }

    fn count(&self, events: &[Event]) {
        let (group, now) = (self.consumer.group.name, self.clock.now());
        for event in events {
            let topic = event.topic.clone();
            metrics::counter!(m::EVENTS_CONSUMED, "group" => group, "topic" => topic).increment(1);
            let lag = now.duration_since(event.time).as_secs_f64();
            metrics::histogram!(m::EVENT_LAG_SECONDS, "group" => group).record(lag.max(0.0));
        }
    }
}

/// Reads the event in a record.
fn decode(record: &Record) -> Result<Event, String> {
    let event = Event::from_record(record).map_err(|reason| format!("it is no event: {reason}"))?;
    serde_json::from_slice::<IgnoredAny>(&event.data)
        .map_err(|error| format!("its payload is not JSON: {error}"))?;
    Ok(event)
}

/// A record of a retry topic that is not due yet.
struct Waiting {
    delivery: Delivery,
    envelope: Envelope,
    due: Timestamp,
}

/// Sorts a batch by due time, so that no partition waits for another, and keeps the order within
/// each partition: a record is not due before the records in front of it.
fn in_order_of_due(batch: Vec<Delivery>) -> Vec<Waiting> {
    let mut latest: HashMap<(String, u32), Timestamp> = HashMap::new();
    let mut waiting: Vec<_> = batch
        .into_iter()
        .map(|delivery| {
            let envelope = Envelope::returned(&delivery);
            let partition = (delivery.record.topic.clone(), delivery.partition);
            let latest = latest.entry(partition).or_insert(Timestamp::MIN);
            *latest = envelope.due().map_or(*latest, |due| due.max(*latest));
            Waiting {
                due: *latest,
                delivery,
                envelope,
            }
        })
        .collect();
    waiting.sort_by_key(|waiting| waiting.due);
    waiting
}
