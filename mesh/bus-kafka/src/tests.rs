//! Runs the bus suites on Kafka: on the library's mock cluster, which needs no server, and on a
//! real cluster if `SLIPWAY_TEST_KAFKA` has its address.

mod faults;
mod poison;

use std::{
    env,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, DefaultProducerContext, Producer as _},
};
use uuid::Uuid;

use super::{KafkaBus, KafkaConfig, topics};
use slipway_bus::{
    Bus, BusError, Record, Subscription, TopicSpec, Unpublished,
    testing::contract,
    testing::stage::{Stage, take},
};
use slipway_runtime::life::{Check, Problem};

const REAL: &str = "SLIPWAY_TEST_KAFKA";
const REQUIRED: &str = "SLIPWAY_TEST_REQUIRED";

/// The library's mock cluster of one broker. It runs inside a client.
#[derive(Clone)]
pub(super) struct Mock(Arc<BaseProducer>);

impl Mock {
    pub(super) fn new() -> Self {
        let mut config = ClientConfig::new();
        config.set("test.mock.num.brokers", "1");
        Self(Arc::new(config.create().unwrap()))
    }

    pub(super) fn cluster(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.0.client().mock_cluster().unwrap()
    }

    fn bus(&self) -> MockBus {
        let config = KafkaConfig {
            publish_within: Duration::from_secs(2),
            // The mock takes nearly this long for a rebalance, and 3 s for the first one.
            session_timeout: Duration::from_secs(4),
            ..KafkaConfig::new(self.cluster().bootstrap_servers())
        };
        MockBus {
            bus: KafkaBus::new(config).unwrap(),
            mock: self.clone(),
        }
    }
}

/// The adapter on the mock cluster, where clients cannot create topics.
struct MockBus {
    bus: KafkaBus,
    mock: Mock,
}

#[async_trait]
impl Bus for MockBus {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let (wanted, mock) = (topics.to_vec(), self.mock.clone());
        self.bus
            .blocking(move |bus| {
                let metadata = bus.topics.ask(Duration::from_secs(5))?;
                for topic in topics::missing(&metadata, &wanted)? {
                    let created = mock
                        .cluster()
                        .create_topic(&topic.name, topics::count(topic), 1);
                    // Another consumer of the test may have created it.
                    drop(created);
                }
                Ok(())
            })
            .await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.bus.topics().await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        self.bus.publish(records).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
    ) -> Result<Box<dyn Subscription>, BusError> {
        self.bus.subscribe(group, topics).await
    }
}

#[async_trait]
impl Check for MockBus {
    async fn check(&self) -> Result<(), Problem> {
        self.bus.check().await
    }
}

fn mock() -> Option<Stage> {
    let mock = Mock::new();
    Some(Stage::new("", mock.clone(), move || Arc::new(mock.bus())))
}

/// The real cluster, with a prefix that no other run uses. If there is none, prints that the test
/// is skipped and returns `None`.
fn real() -> Option<Stage> {
    let Ok(brokers) = env::var(REAL) else {
        assert!(
            env::var(REQUIRED).is_err(),
            "{REAL} is not set, and {REQUIRED} says that nothing may be skipped"
        );
        // Not with a macro: the test runner would hide the output.
        let text = format!("SKIPPED: {REAL} is not set: there is no real Kafka to test with\n");
        io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    };
    let prefix = format!("test-{}-", Uuid::now_v7().simple());
    Some(Stage::new(prefix, (), move || {
        let config = KafkaConfig::new(brokers.clone());
        Arc::new(KafkaBus::new(config).unwrap())
    }))
}

mod contract_on_the_mock {
    slipway_bus::bus_contract!({ super::mock() });
}

mod consumer_on_the_mock {
    slipway_bus::consumer_contract!({ super::mock() });
}

mod contract_on_real_kafka {
    slipway_bus::bus_contract!({ super::real() });
}

mod consumer_on_real_kafka {
    slipway_bus::consumer_contract!({ super::real() });
}

#[tokio::test]
async fn an_unreachable_cluster_is_reported_as_unavailable() {
    let bus = KafkaBus::new(KafkaConfig::new("127.0.0.1:1")).unwrap();
    bus.check().await.unwrap_err();
    let created = bus.create_topics(&[]).await;
    assert!(matches!(created, Err(BusError::Unavailable(_))));
}

/// The broker refuses batches: the records in the batch of one that is too large must be published
/// again by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_refused_by_the_broker_does_not_affect_later_ones() {
    let Some(stage) = real() else { return };
    let bus = stage.open();
    stage.create(&bus, 1).await;
    let large = contract::record_of_size(&stage, "k", 1_500_000);
    for n in 0..3 {
        let (refused, published) = tokio::join!(
            bus.publish(vec![large.clone()]),
            bus.publish(vec![stage.record("other", &format!("other {n}"))]),
        );
        let refused = refused.map_err(BusError::from);
        assert!(matches!(refused, Err(BusError::TooLarge(_))), "{refused:?}");
        published.unwrap();
    }
    let together = vec![
        stage.record("k", "1"),
        large,
        stage.record("k", "behind it"),
    ];
    for _ in 0..20 {
        let outcomes = bus.publish(together.clone()).await.unwrap_err().outcomes();
        assert!(
            matches!(outcomes[1], Err(BusError::TooLarge(_))),
            "{outcomes:?}"
        );
        assert!(outcomes[2].is_err(), "{outcomes:?}");
    }
    bus.publish(vec![stage.record("k", "2")]).await.unwrap();
    let mut subscription = stage.subscribe(&bus, "g").await;
    let mut values = Vec::new();
    while values.last().is_none_or(|last| last != "2") {
        let found = take(&mut subscription, 1).await;
        values.push(String::from_utf8(found[0].record.value.to_vec()).unwrap());
    }
    assert!(!values.contains(&"behind it".into()), "{values:?}");
}
