//! The loop of one member: take a batch, have it settled, put aside what was refused,
//! commit.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Consumer, Delay,
    letter::{Cause, Letter, due, retry_topic},
    settle::{Fate, INCIDENT_AFTER, Item, Refused},
};
use crate::{
    alarm::{self, Kind},
    bus::{BusError, Delivery, Event, Record, SharedBus, Subscription},
    clock::SharedClock,
    telemetry::metrics as m,
};

/// Events handled in one write at most.
const BATCH: usize = 500;

/// Where a member's records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The topics themselves.
    Topics,
    /// The retry topics of this tier, from 1.
    Tier(usize),
}

/// One member of a group at work.
pub(super) struct Run {
    pub(super) consumer: Arc<Consumer>,
    pub(super) source: Source,
    pub(super) bus: SharedBus,
    pub(super) clock: SharedClock,
    pub(super) stop: CancellationToken,
}

/// Whether to go on, or the process is stopping.
type Flow = ControlFlow<()>;

impl Run {
    /// Consumes until told to stop, joining again whenever the bus was lost.
    pub(super) async fn until_stopped(&self) {
        let (mut delay, mut lost) = (Delay::default(), None);
        let group = self.consumer.group;
        while let Err(error) = self.consume(&mut delay, &mut lost).await {
            tracing::warn!(group, source = ?self.source, %error, "the consumer lost the bus");
            if lost.get_or_insert_with(Instant::now).elapsed() >= INCIDENT_AFTER {
                let text =
                    format!("the consumers of {group} have been without the bus for a minute");
                alarm::raise(Kind::ConsumerLost, group, &text);
            }
            if delay.wait(&self.stop).await.is_break() {
                return;
            }
        }
    }

    async fn consume(&self, delay: &mut Delay, lost: &mut Option<Instant>) -> Result<(), BusError> {
        let mut subscription = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            joined = self.join() => joined?,
        };
        loop {
            let batch = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                batch = subscription.next(BATCH) => batch?,
            };
            delay.reset();
            if lost.take().is_some() {
                alarm::resolve(Kind::ConsumerLost, self.consumer.group);
            }
            if self.batch(&mut *subscription, batch).await?.is_break() {
                break;
            }
        }
        subscription.leave().await;
        Ok(())
    }

    async fn join(&self) -> Result<Box<dyn Subscription>, BusError> {
        let Consumer { group, topics, .. } = &*self.consumer;
        self.bus.create_topics(&self.consumer.own_topics()).await?;
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
            let letters = batch.iter().map(Letter::new).collect();
            return self.settle(subscription, &batch, letters).await;
        }
        let mut waiting = in_order_of_due(batch);
        while let Some(first) = waiting.first() {
            if self.wait_until(first.due).await.is_break() {
                return Ok(Flow::Break(()));
            }
            let now = self.clock.now();
            let count = waiting.iter().take_while(|w| w.due <= now).count().max(1);
            let (ripe, letters): (Vec<_>, Vec<_>) = waiting
                .drain(..count)
                .map(|waiting| (waiting.delivery, waiting.letter))
                .unzip();
            if self.settle(subscription, &ripe, letters).await?.is_break() {
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

    /// Has everything in `letters` handled or put aside, and commits `deliveries`, which
    /// they came in.
    async fn settle(
        &self,
        subscription: &mut dyn Subscription,
        deliveries: &[Delivery],
        letters: Vec<Letter>,
    ) -> Result<Flow, BusError> {
        let (mut items, mut refused) = (Vec::with_capacity(letters.len()), Vec::new());
        for letter in letters {
            match decode(&letter.record) {
                Ok(event) => items.push(Item { letter, event }),
                Err(reason) => refused.push(Refused {
                    letter,
                    fate: Fate::Dead(Cause::Undecodable),
                    reason,
                }),
            }
        }
        let Some(settled) = self.consumer.settle(items, &self.stop).await else {
            return Ok(Flow::Break(()));
        };
        refused.extend(settled.refused);
        let aside: Vec<_> = refused.into_iter().map(|r| self.put_aside(r)).collect();
        if !aside.is_empty() {
            self.bus.publish(aside).await?;
        }
        subscription.commit(deliveries).await?;
        self.count(&settled.handled);
        Ok(Flow::Continue(()))
    }

    /// The record that a refused one becomes: for the next retry topic, or, behind the
    /// last, a dead letter.
    fn put_aside(&self, refused: Refused) -> Record {
        let Refused {
            mut letter,
            fate,
            reason,
        } = refused;
        let (group, topic) = (self.consumer.group, letter.record.topic.clone());
        let now = self.clock.now();
        letter.failed(now, &reason);
        let tier = match self.source {
            Source::Topics => 1,
            Source::Tier(tier) => tier + 1,
        };
        let cause = match (fate, self.consumer.order.tiers().get(tier - 1)) {
            (Fate::Retry, Some(wait)) => {
                tracing::warn!(group, topic, tier, reason, "an event is tried again later");
                metrics::counter!(m::EVENTS_DEFERRED, "group" => group, "tier" => tier.to_string())
                    .increment(1);
                return letter.retry(group, tier, due(now, *wait));
            }
            (Fate::Retry, None) => Cause::Exhausted,
            (Fate::Dead(cause), _) => cause,
        };
        tracing::error!(
            group,
            topic,
            reason,
            cause = cause.as_str(),
            "an event is a dead letter"
        );
        metrics::counter!(
            m::EVENTS_DEAD, "group" => group, "topic" => topic, "cause" => cause.as_str()
        )
        .increment(1);
        letter.dead(group, cause, &reason)
    }

    fn count(&self, events: &[Event]) {
        let (group, now) = (self.consumer.group, self.clock.now());
        for event in events {
            let topic = event.topic.clone();
            metrics::counter!(m::EVENTS_CONSUMED, "group" => group, "topic" => topic).increment(1);
            let lag = now.duration_since(event.time).as_secs_f64();
            metrics::histogram!(m::EVENT_LAG_SECONDS, "group" => group).record(lag.max(0.0));
        }
    }
}

/// The event in a record.
fn decode(record: &Record) -> Result<Event, String> {
    let event = Event::from_record(record).map_err(|reason| format!("it is no event: {reason}"))?;
    serde_json::from_slice::<IgnoredAny>(&event.data)
        .map_err(|error| format!("its payload is not JSON: {error}"))?;
    Ok(event)
}

/// A record of a retry topic that waits for its time.
struct Waiting {
    delivery: Delivery,
    letter: Letter,
    due: Timestamp,
}

/// By the time they are due, so that no partition waits for another, and yet in order
/// within each partition: what stands behind a record is not due before it.
fn in_order_of_due(batch: Vec<Delivery>) -> Vec<Waiting> {
    let mut latest: HashMap<(String, u32), Timestamp> = HashMap::new();
    let mut waiting: Vec<_> = batch
        .into_iter()
        .map(|delivery| {
            let letter = Letter::returned(&delivery);
            let partition = (delivery.record.topic.clone(), delivery.partition);
            let latest = latest.entry(partition).or_insert(Timestamp::MIN);
            *latest = letter.due().map_or(*latest, |due| due.max(*latest));
            Waiting {
                due: *latest,
                delivery,
                letter,
            }
        })
        .collect();
    waiting.sort_by_key(|waiting| waiting.due);
    waiting
}
