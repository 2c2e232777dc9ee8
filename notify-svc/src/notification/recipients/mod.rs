//! The users and their addresses: a read model, built from their events, so that creating or
//! sending a notification needs no call to another service. The types in this file are pure.

pub(crate) mod jobs;
pub mod store;

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_proto::events::{Payload, Role, UserRegisteredEvent};
use uuid::Uuid;

/// A user, with what is needed to send mails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Id of the user.
    pub id: Uuid,
    /// The name as registered.
    pub username: String,
    /// The address.
    pub email: String,
    /// The role.
    pub role: Role,
}

impl Recipient {
    /// The user as of this event; `None` if the event is not about a user's data.
    ///
    /// # Errors
    /// If the payload violates the schema of the event's type.
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

    /// The form of a name that is compared: lower case.
    #[must_use]
    pub fn key(username: &str) -> String {
        username.to_lowercase()
    }
}
