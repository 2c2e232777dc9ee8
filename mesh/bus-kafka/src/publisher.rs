//! Publishing: in order, and durable before it is answered.
//!
//! Order holds because a producer's stream has no gaps until the producer is dropped:
//! its messages never expire one by one, the library repeats them in order
//! (`enable.idempotence`), and whatever fails ends the producer with all that is queued
//! behind it. The caller then repeats what failed, in order, with a new one. However much of
//! the old stream has still reached the broker, it is a beginning of what is repeated.
//!
//! What is refused before it is queued leaves no gap and ends nothing; what the broker
//! refuses, if nothing is queued behind it, neither.

use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext as _,
    error::KafkaError,
    producer::{DeliveryFuture, FutureProducer, Producer as _, PurgeConfig},
};
use tokio::time::Instant;

use super::{KafkaConfig, bus_error, context::Watch, no_topic, record::to_message, settings};
use slipway_bus::{BusError, InOrder, MAX_EVENT, Outcome, Record};

pub(super) struct Publisher {
    settings: ClientConfig,
    within: Duration,
    current: Mutex<Arc<Line>>,
}

impl Publisher {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, BusError> {
        let settings = settings::producer(config);
        Ok(Self {
            current: Mutex::new(Arc::new(Line::new(&settings).map_err(bus_error)?)),
            settings,
            within: config.publish_within,
        })
    }

    /// Publishes in order and waits for every acknowledgement. Records for `unknown` topics
    /// are refused.
    pub(super) async fn publish(
        &self,
        records: &[Record],
        unknown: &BTreeSet<String>,
    ) -> Vec<Outcome> {
        let line = Arc::clone(&self.current.lock());
        let deadline = Instant::now() + self.within;
        let (mut order, mut outcomes) = (InOrder::default(), Vec::with_capacity(records.len()));
        // A broker may refuse what is larger than an event: nothing follows until it is known.
        for part in records.split_inclusive(|record| record.size() > MAX_EVENT) {
            let queued = line.queue(part, unknown, &mut order);
            let last = queued.iter().rposition(Result::is_ok);
            for (n, (record, queued)) in part.iter().zip(queued).enumerate() {
                let was_queued = queued.is_ok();
                let outcome = match queued {
                    Ok(report) => self.acknowledged(report, deadline).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = &outcome {
                    order.failed(record, error);
                    // What was queued behind it must not overtake it.
                    let leaves_gap = was_queued && last.is_some_and(|last| n < last);
                    if leaves_gap || error.is_passing() {
                        self.end(&line);
                    }
                }
                outcomes.push(outcome);
            }
        }
        outcomes
    }

    async fn acknowledged(&self, report: DeliveryFuture, deadline: Instant) -> Outcome {
        match tokio::time::timeout_at(deadline, report).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err((error, _)))) => Err(bus_error(error)),
            Ok(Err(_)) => Err(bus_error(KafkaError::Canceled)),
            Err(_) => Err(BusError::Unavailable(format!(
                "no acknowledgement within {:?}",
                self.within
            ))),
        }
    }

    /// Ends a producer, unless that has been done. Whoever else waits for it fails now.
    fn end(&self, line: &Arc<Line>) {
        let mut current = self.current.lock();
        if !Arc::ptr_eq(&current, line) {
            return;
        }
        match Line::new(&self.settings) {
            Ok(new) => *current = Arc::new(new),
            Err(error) => {
                tracing::error!(%error, "failed to create a new Kafka producer; keeping the old one");
            }
        }
        line.purge();
    }
}

/// A producer and what it has queued. `None` only while it is dropped.
struct Line(Option<FutureProducer<Watch>>);

impl Line {
    fn new(settings: &ClientConfig) -> Result<Self, KafkaError> {
        let producer = FutureProducer::from_config_and_context(settings, Watch::default())?;
        Ok(Self(Some(producer)))
    }

    /// Queues everything first, so that it travels together. What could not be queued
    /// must not be overtaken: nothing behind it is.
    fn queue<'a>(
        &self,
        records: &'a [Record],
        unknown: &BTreeSet<String>,
        order: &mut InOrder<'a>,
    ) -> Vec<Result<DeliveryFuture, BusError>> {
        let queue = |record: &'a Record| {
            order.put(record, || {
                if unknown.contains(&record.topic) {
                    return Err(no_topic(&record.topic));
                }
                let producer = self.0.as_ref();
                let producer = producer.ok_or_else(|| bus_error(KafkaError::Canceled))?;
                let queued = producer.send_result(to_message(record));
                queued.map_err(|(error, _)| bus_error(error))
            })
        };
        records.iter().map(queue).collect()
    }

    fn purge(&self) {
        if let Some(producer) = &self.0 {
            producer.purge(PurgeConfig::default().queue().inflight());
        }
    }
}

impl Drop for Line {
    /// On a thread of its own: a producer waits for its threads, up to half a second.
    fn drop(&mut self) {
        let producer = self.0.take();
        let dropping = thread::Builder::new()
            .name("kafka-producer-end".into())
            .spawn(move || drop(producer));
        if let Err(error) = dropping {
            tracing::warn!(%error, "Kafka producer dropped on an async thread");
        }
    }
}
