//! The consumer that maintains the read model of users.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, all_or_poison},
};
use slipway_proto::events::USERS;

use super::{Recipient, store::RecipientStore};

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "recipients",
        topics: vec![USERS.name.to_owned()],
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
            .map(|event| (event, Recipient::from_event(event)));
        let recipients = all_or_poison(read)?.into_iter().flatten().collect();
        Ok(self.store.put(recipients).await?)
    }
}
