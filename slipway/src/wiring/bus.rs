//! The bus between processes. A broker that is away does not keep a process from
//! starting: what it owes the broker is done when that is there, and until then the
//! process says what is missing.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use slipway_bus::{BusError, Security, SharedBus, TopicSpec};
use slipway_runtime::life::{Check, Need, Problem};

use slipway_proto::events::Topic;

use super::Life;
use crate::UsageError;

/// How often topics are tried to be created while the broker is away.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Kafka at `brokers`, with the topics that this process owns, created now or as soon as it can
/// be reached. Until then `services` serve and say that they are degraded.
///
/// # Errors
/// If Kafka is there and refuses: a topic has another number of partitions.
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

/// Topics of events, as they are created.
pub(super) fn specs(topics: &[Topic]) -> Vec<TopicSpec> {
    topics.iter().map(TopicSpec::from).collect()
}

/// A client of Kafka; it need not be there.
///
/// # Errors
/// If the addresses cannot be used.
#[cfg(feature = "kafka")]
pub(crate) fn connect(brokers: &str, security: &Security) -> Result<SharedBus, UsageError> {
    use slipway_bus::security::Mechanism;
    use slipway_bus_kafka::{KafkaBus, KafkaConfig};

    if is_secured(security) && !cfg!(feature = "kafka-tls") {
        return Err(built_without("kafka-tls", brokers));
    }
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

/// A program without the client of Kafka says so, and does not fall back.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kafka"))]
pub(crate) fn connect(brokers: &str, security: &Security) -> Result<SharedBus, UsageError> {
    let feature = if is_secured(security) {
        "kafka-tls"
    } else {
        "kafka"
    };
    Err(built_without(feature, brokers))
}

/// Whether TLS or signing in is asked for: Kafka's client has them only when it is built
/// with them.
fn is_secured(security: &Security) -> bool {
    security.tls.is_some() || security.sign_in.is_some()
}

fn built_without(feature: &str, brokers: &str) -> UsageError {
    UsageError(format!(
        "Kafka at {brokers}: this slipway was built without the cargo feature {feature}"
    ))
}

/// What Kafka refuses is for the operator to set right.
pub(crate) fn refused(brokers: &str, error: &BusError) -> UsageError {
    UsageError(format!("Kafka at {brokers}: {error}"))
}

/// Why the topics are not there; `None` when they are.
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
