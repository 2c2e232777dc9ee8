//! The consumer that keeps the read model of the accounts.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_bus::{
    Event,
    consumer::{Consumer, Failure, Group, Handler, Host, Order, Refusal, Verdict},
};
use slipway_proto::events::USERS;

use super::{Recipient, store::RecipientStore};

/// The consumer group.
pub(crate) fn group() -> Group {
    Group {
        name: "recipients",
        topics: vec![USERS.name.to_owned()],
        // The later event of an account has to win.
        order: Order::PerKey,
    }
}

/// Stores the accounts that the bus tells of.
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
        let (mut recipients, mut refusals) = (Vec::new(), Vec::new());
        for event in events {
            match Recipient::told_by(event) {
                Ok(recipient) => recipients.extend(recipient),
                Err(error) => refusals.push(Refusal {
                    event_id: event.id,
                    verdict: Verdict::Poison,
                    reason: error.to_string(),
                }),
            }
        }
        if !refusals.is_empty() {
            return Err(Failure::Events(refusals));
        }
        let put = self.store.put(recipients).await;
        put.map_err(|error| Failure::Transient(error.to_string()))
    }
}
