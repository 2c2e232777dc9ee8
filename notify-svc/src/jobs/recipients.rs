//! The consumer that keeps the read model of the accounts.

use std::sync::Arc;

use async_trait::async_trait;
use slipway_mesh::{
    bus::{
        Event, SharedBus,
        consumer::{Consumer, Failure, Handler, Order, Refusal, Verdict},
    },
    clock::SharedClock,
    life::Background,
};
use slipway_proto::events::USERS;

use crate::{recipients::Recipient, store::recipients::RecipientStore};

/// The consumer group.
const GROUP: &str = "recipients";

/// Stores the accounts that the bus tells of.
pub(crate) struct Recipients {
    store: Arc<dyn RecipientStore>,
}

impl Recipients {
    pub(crate) fn new(store: Arc<dyn RecipientStore>) -> Self {
        Self { store }
    }

    /// Consumes until told to stop.
    pub(crate) fn spawn(self, bus: &SharedBus, clock: &SharedClock, background: &Background) {
        Consumer {
            group: GROUP,
            topics: vec![USERS.name.to_owned()],
            // The later event of an account has to win.
            order: Order::PerKey,
            handler: Arc::new(self),
        }
        .spawn(bus, clock, background);
    }
}

#[async_trait]
impl Handler for Recipients {
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
