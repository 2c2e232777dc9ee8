//! A bus whose `publish` a test can replace.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_runtime::life::{Check, Problem};

use crate::{Bus, BusError, Record, SharedBus, Subscription, TopicSpec, Unpublished};

struct Double<F> {
    bus: SharedBus,
    publish: F,
}

/// Wraps `bus`, replacing its `publish` by the given function.
pub fn double<F, P>(bus: SharedBus, publish: F) -> SharedBus
where
    F: Fn(SharedBus, Vec<Record>) -> P + Send + Sync + 'static,
    P: Future<Output = Result<(), Unpublished>> + Send + 'static,
{
    Arc::new(Double { bus, publish })
}

#[async_trait]
impl<F, P> Bus for Double<F>
where
    F: Fn(SharedBus, Vec<Record>) -> P + Send + Sync + 'static,
    P: Future<Output = Result<(), Unpublished>> + Send + 'static,
{
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        self.bus.create_topics(topics).await
    }

    async fn topics(&self) -> Result<Vec<String>, BusError> {
        self.bus.topics().await
    }

    async fn publish(&self, records: Vec<Record>) -> Result<(), Unpublished> {
        (self.publish)(self.bus.clone(), records).await
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
impl<F: Send + Sync + 'static> Check for Double<F> {
    async fn check(&self) -> Result<(), Problem> {
        self.bus.check().await
    }
}
