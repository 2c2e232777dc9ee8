//! Publishing: in order, and durable before it is confirmed.
//!
//! A producer's stream keeps its order because it has no gaps until the producer is dropped: its
//! messages never expire individually, the library retries them in order (`enable.idempotence`),
//! and any failure ends the producer with all messages queued behind it. The caller then publishes
//! the failed records again, in order, with a new producer. Whatever part of the old stream has
//! still reached the broker, it is a prefix of what is repeated.
//!
//! A record that is refused before it is queued leaves no gap and does not end the producer; nor
//! does one that the broker refuses when nothing is queued behind it.

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

    /// Publishes in order and waits for every acknowledgement. Records for `unknown` topics are
    /// refused.
    pub(super) async fn publish(
        &self,
        records: &[Record],
        unknown: &BTreeSet<String>,
    ) -> Vec<Outcome> {
        let line = Arc::clone(&self.current.lock());
        let deadline = Instant::now() + self.within;
        let (mut order, mut outcomes) = (InOrder::default(), Vec::with_capacity(records.len()));
        // A broker may refuse a record larger than an event: nothing is queued behind it until the
        // result is known.
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
                    // Records that were queued behind it must not overtake it.
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

    /// Ends a producer, unless this was done before. All others that wait for it fail now.
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

/// A producer with its queue. `None` only while it is being dropped.
struct Line(Option<FutureProducer<Watch>>);

impl Line {
    fn new(settings: &ClientConfig) -> Result<Self, KafkaError> {
        let producer = FutureProducer::from_config_and_context(settings, Watch::default())?;
        Ok(Self(Some(producer)))
    }

    /// Queues all records first, so that they are sent together. If one could not be queued, the
    /// records that must not overtake it are not queued either.
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
    /// In its own thread: dropping a producer waits for its threads, up to half a second.
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
