//! The environment in which the bus suites run on each adapter.
//!
//! An adapter supplies a [`Stage`]: isolated storage and a function that opens the bus on it, also
//! again after all handles have been dropped. Tests get the names of topics and groups from it,
//! because a real broker is shared by all tests.

use std::any::Any;

use crate::{Bus, Delivery, Record, SharedBus, Subscription, TopicSpec};

/// Defines a suite for an adapter: `run_suite!(module { a_test another_test } on { stage })`.
/// Without a stage (`None`) a test does nothing; the adapter must report that.
#[macro_export]
macro_rules! run_suite {
    ($suite:path { $($name:ident)* } on $stage:block) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                use $suite as suite;
                let stage: Option<$crate::testing::stage::Stage> = $stage;
                if let Some(stage) = stage {
                    suite::$name(&stage).await;
                }
            }
        )*
    };
}
pub struct Stage {
    prefix: String,
    open: Box<dyn Fn() -> SharedBus + Send + Sync>,
    _guard: Box<dyn Any + Send + Sync>,
}

impl Stage {
    /// A stage that owns `guard`; `prefix` is put before all its names.
    pub fn new(
        prefix: impl Into<String>,
        guard: impl Any + Send + Sync,
        open: impl Fn() -> SharedBus + Send + Sync + 'static,
    ) -> Self {
        Self {
            prefix: prefix.into(),
            open: Box::new(open),
            _guard: Box::new(guard),
        }
    }

    pub fn open(&self) -> SharedBus {
        (self.open)()
    }

    /// The name of a topic or a group on this stage.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn record(&self, key: &str, value: &str) -> Record {
        record(&self.name("t"), key, value)
    }

    pub fn spec(&self, partitions: u32) -> TopicSpec {
        TopicSpec {
            name: self.name("t"),
            partitions,
            record_bytes: None,
        }
    }

    /// Creates the topic `t`.
    pub async fn create(&self, bus: &SharedBus, partitions: u32) {
        bus.create_topics(&[self.spec(partitions)]).await.unwrap();
    }

    /// A member of `group` that consumes the topic `t`.
    pub async fn subscribe(&self, bus: &SharedBus, group: &str) -> Box<dyn Subscription> {
        let topics = [self.name("t")];
        bus.subscribe(&self.name(group), &topics).await.unwrap()
    }
}

pub fn record(topic: &str, key: &str, value: &str) -> Record {
    Record {
        topic: topic.into(),
        key: key.into(),
        headers: vec![("ce_id".into(), format!("{key}-{value}"))],
        value: value.as_bytes().to_vec().into(),
    }
}

pub async fn create(bus: &dyn Bus, topic: &str, partitions: u32) {
    let spec = TopicSpec {
        name: topic.into(),
        partitions,
        record_bytes: None,
    };
    bus.create_topics(&[spec]).await.unwrap();
}

/// Receives exactly `count` deliveries.
pub async fn take(subscription: &mut Box<dyn Subscription>, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(subscription.next(count - all.len()).await.unwrap());
    }
    all
}
