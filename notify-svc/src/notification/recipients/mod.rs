//! The users and their addresses: a read model, built from their events, so that creating or
//! sending a notification needs no call to another service. The types in this file are pure.

pub(crate) mod jobs;
pub mod store;

use serde::{Deserialize, Serialize};
use slipway_bus::Event;
use slipway_proto::events::{EventData, EventType, Role};
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
    /// Whether an administrator has disabled the account: it gets no mails.
    #[serde(default)]
    pub disabled: bool,
}

/// What a user may do, as of a revision of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Id of the user.
    pub id: Uuid,
    /// The name of the user.
    pub username: String,
    /// The role.
    pub role: Role,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// The revision.
    pub revision: u64,
}

/// The address of a user, as of a revision of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAddress {
    /// What the user may do as of that revision.
    pub access: Access,
    /// The address.
    pub email: String,
}

/// What an event says about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientChange {
    /// The user as registered.
    Registered(Recipient),
    /// What the user may do from now on.
    Access(Access),
    /// The address of the user from now on.
    Address(NewAddress),
}

impl RecipientChange {
    /// What this event says; `None` if it is not about a user's data.
    ///
    /// # Errors
    /// If the payload violates the schema of the event's type.
    pub fn from_event(event: &Event) -> Result<Option<Self>, serde_json::Error> {
        // Others on these topics may be malformed without any consequence here.
        let is_read = |kind: EventType| {
            matches!(
                kind,
                EventType::UserRegistered
                    | EventType::UserDisabled
                    | EventType::UserEnabled
                    | EventType::UserRoleChanged
                    | EventType::EmailChanged
            )
        };
        if !EventType::named(&event.event_type).is_some_and(is_read) {
            return Ok(None);
        }
        let data = EventData::read(&event.event_type, event.major(), &event.data)?;
        Ok(match data {
            EventData::UserRegistered(user) => Some(Self::Registered(Recipient {
                id: user.user_id,
                username: user.username,
                email: user.email,
                role: user.role,
                disabled: false,
            })),
            EventData::UserDisabled(user) => Some(Self::Access(Access {
                id: user.user_id,
                username: user.username,
                role: user.role,
                disabled: true,
                revision: user.revision,
            })),
            EventData::UserEnabled(user) => Some(Self::Access(Access {
                id: user.user_id,
                username: user.username,
                role: user.role,
                disabled: false,
                revision: user.revision,
            })),
            EventData::UserRoleChanged(user) => Some(Self::Access(Access {
                id: user.user_id,
                username: user.username,
                role: user.role,
                disabled: user.disabled,
                revision: user.revision,
            })),
            EventData::EmailChanged(user) => Some(Self::Address(NewAddress {
                access: Access {
                    id: user.user_id,
                    username: user.username,
                    role: user.role,
                    disabled: user.disabled,
                    revision: user.revision,
                },
                email: user.email,
            })),
            _ => None,
        })
    }
}

impl Recipient {
    /// The form of a name that is compared: lower case.
    #[must_use]
    pub fn key(username: &str) -> String {
        username.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use slipway_bus::{Actor, event::Origin};
    use slipway_proto::events::{
        PasswordChange, PasswordChangedEvent, Payload, UserDisabledEvent, UserEnabledEvent,
        UserRoleChangedEvent,
    };

    use super::*;

    const ADA: Uuid = Uuid::from_u128(1);

    fn read(payload: &impl Payload) -> Option<RecipientChange> {
        let origin = Origin {
            service: "test",
            key: ADA,
            subject: ADA,
            actor: &Actor::System,
            time: Timestamp::UNIX_EPOCH,
        };
        RecipientChange::from_event(&Event::new(payload, &origin)).unwrap()
    }

    #[test]
    fn what_a_user_may_do_is_read_from_each_event_about_it() {
        let (user_id, username) = (ADA, "ada".to_owned());
        let expected = |role, disabled, revision| {
            Some(RecipientChange::Access(Access {
                id: ADA,
                username: "ada".to_owned(),
                role,
                disabled,
                revision,
            }))
        };
        let role_changed = UserRoleChangedEvent {
            user_id,
            username: username.clone(),
            role: Role::Admin,
            disabled: true,
            revision: 2,
            changes: Vec::new(),
        };
        assert_eq!(read(&role_changed), expected(Role::Admin, true, 2));
        let enabled = UserEnabledEvent {
            user_id,
            username: username.clone(),
            role: Role::Admin,
            revision: 3,
        };
        assert_eq!(read(&enabled), expected(Role::Admin, false, 3));
        let disabled = UserDisabledEvent {
            user_id,
            username: username.clone(),
            role: Role::Developer,
            revision: 4,
        };
        assert_eq!(read(&disabled), expected(Role::Developer, true, 4));
        let by = PasswordChange::Own;
        let other = PasswordChangedEvent {
            user_id,
            username,
            by,
        };
        assert_eq!(read(&other), None);
    }
}
