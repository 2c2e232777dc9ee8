//! Publishing: in order, and durable before it is answered.
//!
//! Order holds because a producer's stream has no gaps until the producer is dropped:
//! its messages never expire one by one, the library repeats them in order
//! (`enable.idempotence`), and whatever fails ends the producer with all that it has
//! queued. The caller then repeats the batch from its head with a new one. However much
//! of the old stream has still reached the broker, it is a beginning of what is repeated.

use std::{sync::Arc, thread, time::Duration};

use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    config::FromClientConfigAndContext as _,
    error::KafkaError,
    producer::{FutureProducer, Producer as _, PurgeConfig},
};

use super::{KafkaConfig, context::Watch, record::to_message, settings};
use crate::bus::{BusError, Record};

pub(super) struct Publisher {
    settings: ClientConfig,
    within: Duration,
    current: Mutex<Arc<Line>>,
}

impl Publisher {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, BusError> {
        let settings = settings::producer(config);
        Ok(Self {
            current: Mutex::new(Arc::new(Line::new(&settings)?)),
            settings,
            within: config.publish_within,
        })
    }

    /// Publishes in order and waits for every acknowledgement.
    pub(super) async fn publish(&self, records: &[Record]) -> Result<(), BusError> {
        let line = Arc::clone(&self.current.lock());
        let published = match tokio::time::timeout(self.within, line.send(records)).await {
            Ok(published) => published.map_err(BusError::from),
            Err(_) => Err(BusError::Unavailable(format!(
                "no acknowledgement within {:?}",
                self.within
            ))),
        };
        if published.is_err() {
            self.end(&line);
        }
        published
    }

    /// Ends a producer, unless that has been done. Whoever else waits for it fails now.
    fn end(&self, line: &Arc<Line>) {
        let mut current = self.current.lock();
        if !Arc::ptr_eq(&current, line) {
            return;
        }
        match Line::new(&self.settings) {
            Ok(new) => *current = Arc::new(new),
            Err(error) => tracing::error!(%error, "there is no new producer: the old one stays"),
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
    async fn send(&self, records: &[Record]) -> Result<(), KafkaError> {
        let Some(producer) = &self.0 else {
            return Err(KafkaError::Canceled);
        };
        let mut reports = Vec::with_capacity(records.len());
        let mut queued = Ok(());
        for record in records {
            match producer.send_result(to_message(record)) {
                Ok(report) => reports.push(report),
                Err((error, _)) => {
                    queued = Err(error);
                    break;
                }
            }
        }
        for report in reports {
            match report.await {
                Ok(Ok(_)) => {}
                Ok(Err((error, _))) => return Err(error),
                Err(_) => return Err(KafkaError::Canceled),
            }
        }
        queued
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
            tracing::warn!(%error, "a producer was dropped in place");
        }
    }
}
