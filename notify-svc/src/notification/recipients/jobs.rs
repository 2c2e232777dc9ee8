//! The consumer that maintains the read model of users.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::{ADMIN, USERS};

use super::{RecipientChange, store::RecipientStore};

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "recipients",
        topics: [USERS, ADMIN].map(|topic| topic.name.to_owned()).into(),
        // Events of one user must be applied in order.
        order: Order::PerKey,
    }
}

/// Stores the users in the events.
pub(crate) struct RecipientProjection {
    store: RecipientStore,
}

impl RecipientProjection {
    pub(crate) fn new(store: RecipientStore) -> Self {
        Self { store }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, host: &Host) {
        Consumer {
            group: group(),
            handler: Arc::new(self),
        }
        .spawn(host);
    }
}

#[async_trait]
impl Handler for RecipientProjection {
    async fn handle(&self, events: &[Event]) -> Result<(), Failure> {
        let read = events
            .iter()
            .map(|event| (event, RecipientChange::from_event(event)));
        for change in all_or_poison(read)?.into_iter().flatten() {
            self.store.apply(change).await?;
        }
        Ok(())
    }
}
