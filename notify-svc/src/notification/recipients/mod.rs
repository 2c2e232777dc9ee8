//! Who can be written to: a read model of the accounts, made of their events. So nobody
//! else is asked while a notification is made or sent. What is in this file is pure.

pub(crate) mod jobs;
pub mod store;

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_proto::events::{Payload, Role, UserRegisteredEvent};
use uuid::Uuid;

/// An account, as far as it is written to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Id of the account.
    pub id: Uuid,
    /// Its name as registered.
    pub username: String,
    /// Its address.
    pub email: String,
    /// What it may do.
    pub role: Role,
}

impl Recipient {
    /// The account as an event says it is now; `None` if the event says nothing of that.
    ///
    /// # Errors
    /// If the payload does not fit the schema of the event's type.
    pub fn from_event(event: &Event) -> Result<Option<Self>, serde_json::Error> {
        match event.event_type.as_str() {
            UserRegisteredEvent::TYPE => {
                let user: UserRegisteredEvent = event.payload()?;
                Ok(Some(Self {
                    id: user.user_id,
                    username: user.username,
                    email: user.email,
                    role: user.role,
                }))
            }
            _ => Ok(None),
        }
    }

    /// A name as it is looked up: without regard to case.
    #[must_use]
    pub fn key(username: &str) -> String {
        username.to_lowercase()
    }
}
