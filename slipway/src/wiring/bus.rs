//! Connects to Kafka. An unavailable broker does not prevent a process from starting: the topics
//! are created when the broker is reachable, and until then the process reports that it is
//! degraded.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use slipway_bus::{BusError, Security, SharedBus, TopicSpec};
use slipway_runtime::life::{Check, Need, Problem};

use slipway_proto::events::Topic;

use super::Life;
use crate::{UsageError, version::FEATURES};

/// Interval between attempts to create the topics while the broker is unavailable.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Connects to Kafka at `brokers`, and creates the topics that this process owns, now or as soon
/// as Kafka is reachable. Until then `services` run and report that they are degraded.
///
/// # Errors
/// If Kafka refuses: a topic has another number of partitions.
pub(super) async fn kafka(
    brokers: &str,
    security: &Security,
    topics: Vec<TopicSpec>,
    services: &[&'static str],
    life: &Life,
) -> anyhow::Result<SharedBus> {
    let bus = connect(brokers, security)?;
    let Err(error) = bus.create_topics(&topics).await else {
        return Ok(bus);
    };
    if let BusError::Refused(_) = error {
        return Err(refused(brokers, &error).into());
    }
    tracing::warn!(brokers, %error, "Kafka unreachable; topics will be created when it is back");
    let missing = Arc::new(Missing(Mutex::new(Some(error.to_string()))));
    for service in services {
        life.health
            .depends(service, "topics", Need::Degraded, missing.clone());
    }
    let creating = Arc::clone(&bus);
    life.background.spawn("topics", move |stop| {
        let (bus, topics, missing) = (creating.clone(), topics.clone(), missing.clone());
        async move {
            stop.run_until_cancelled(missing.create(&bus, &topics))
                .await;
        }
    });
    Ok(bus)
}

/// The specifications of event topics.
pub(super) fn specs(topics: &[Topic]) -> Vec<TopicSpec> {
    topics.iter().map(TopicSpec::from).collect()
}

/// A Kafka client. Kafka need not be reachable.
///
/// # Errors
/// If the addresses cannot be used.
#[cfg(feature = "kafka")]
pub(crate) fn connect(brokers: &str, security: &Security) -> Result<SharedBus, UsageError> {
    use slipway_bus::security::Mechanism;
    use slipway_bus_kafka::{KafkaBus, KafkaConfig};

    check_features(brokers, security)?;
    let in_the_clear = security
        .sign_in
        .as_ref()
        .is_some_and(|sign_in| sign_in.mechanism == Mechanism::Plain && security.tls.is_none());
    if in_the_clear {
        tracing::warn!(
            brokers,
            "Kafka password is sent unencrypted: SASL PLAIN without kafka_tls"
        );
    }
    let config = KafkaConfig {
        security: security.clone(),
        ..KafkaConfig::new(brokers)
    };
    match KafkaBus::new(config) {
        Ok(bus) => Ok(Arc::new(bus)),
        Err(error) => Err(refused(brokers, &error)),
    }
}

/// Fails, because this program was built without the Kafka client. There is no fallback.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kafka"))]
pub(crate) fn connect(brokers: &str, security: &Security) -> Result<SharedBus, UsageError> {
    Err(built_without(feature_for(security), brokers))
}

/// Checks that this program was built with what `security` needs.
///
/// # Errors
/// If it was not.
pub(crate) fn check_features(brokers: &str, security: &Security) -> Result<(), UsageError> {
    let needed = feature_for(security);
    if FEATURES.split(',').any(|feature| feature == needed) {
        return Ok(());
    }
    Err(built_without(needed, brokers))
}

/// The cargo feature with the Kafka client. TLS and authentication are a feature of their own.
fn feature_for(security: &Security) -> &'static str {
    match security.tls.is_some() || security.sign_in.is_some() {
        true => "kafka-tls",
        false => "kafka",
    }
}

fn built_without(feature: &str, brokers: &str) -> UsageError {
    UsageError(format!(
        "Kafka at {brokers}: this slipway was built without the cargo feature {feature}"
    ))
}

/// The error if Kafka refuses: the operator has to fix it.
pub(crate) fn refused(brokers: &str, error: &BusError) -> UsageError {
    UsageError(format!("Kafka at {brokers}: {error}"))
}

/// Why the topics do not exist yet; `None` when they exist.
struct Missing(Mutex<Option<String>>);

impl Missing {
    async fn create(&self, bus: &SharedBus, topics: &[TopicSpec]) {
        loop {
            match bus.create_topics(topics).await {
                Ok(()) => {
                    tracing::info!("Kafka reachable; topics exist");
                    *self.0.lock() = None;
                    return;
                }
                Err(error) => {
                    if let BusError::Refused(_) = error {
                        tracing::error!(%error, "Kafka topics are not defined as required");
                    }
                    *self.0.lock() = Some(error.to_string());
                }
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
    }
}

#[async_trait]
impl Check for Missing {
    async fn check(&self) -> Result<(), Problem> {
        let missing = self.0.lock().clone();
        missing.map_or(Ok(()), |reason| Err(Problem::Away(reason)))
    }
}
