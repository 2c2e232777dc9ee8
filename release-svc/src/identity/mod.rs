//! The account model: valid names, addresses and passwords, and the limits on sign-ins and
//! registrations.

pub mod credentials;
mod new_password;
pub mod password;
pub mod quota;
pub mod throttle;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_rpc::access::Role;
use slipway_runtime::typed_id;

use crate::sessions::SessionId;
pub use credentials::{Email, Username};
pub use new_password::NewPassword;

typed_id!(
    /// Identifies an account.
    UserId
);

/// A reference to a user: id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRef {
    /// The account's id.
    pub id: UserId,
    /// The name as registered.
    pub username: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its identity.
    pub id: UserId,
    /// Unique without regard to case.
    pub username: Username,
    /// Unique without regard to case.
    pub email: Email,
    /// What it may do: developer or admin.
    pub role: Role,
    /// When it was created.
    pub created_at: Timestamp,
}

impl User {
    /// The reference to this user.
    #[must_use]
    pub fn to_ref(&self) -> UserRef {
        UserRef {
            id: self.id,
            username: self.username.to_string(),
        }
    }
}

/// The user who gives a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The account.
    pub user: UserId,
    /// Its role.
    pub role: Role,
}

impl By {
    /// Whether it is an admin.
    #[must_use]
    pub fn is_admin(self) -> bool {
        self.role == Role::Admin
    }
}

/// An account with the hash of its password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The account.
    pub user: User,
    /// One more with every change.
    #[serde(default = "first_revision")]
    pub revision: u64,
    /// Argon2id, in PHC format.
    pub password_hash: String,
    /// The sessions that ended with the last change of the password.
    #[serde(default)]
    pub ended_sessions: Option<SessionsCut>,
}

/// All sessions of an account that began before a time, except perhaps one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsCut {
    /// The time.
    pub before: Timestamp,
    /// The session that is none of them.
    pub except: Option<SessionId>,
}

/// Of accounts that were stored before accounts could change.
fn first_revision() -> u64 {
    1
}

impl Account {
    /// A new account.
    #[must_use]
    pub fn new(user: User, password_hash: String) -> Self {
        Self {
            user,
            revision: first_revision(),
            password_hash,
            ended_sessions: None,
        }
    }

    /// The account with another password. Its sessions end, except `keep`.
    #[must_use]
    pub fn with_password(&self, hash: String, keep: Option<SessionId>, now: Timestamp) -> Self {
        Self {
            user: self.user.clone(),
            revision: self.revision + 1,
            password_hash: hash,
            ended_sessions: Some(SessionsCut {
                before: now,
                except: keep,
            }),
        }
    }

    /// Whether a session has ended with a change of the password.
    #[must_use]
    pub fn has_ended(&self, session: SessionId, created_at: Timestamp) -> bool {
        self.ended_sessions
            .is_some_and(|cut| created_at < cut.before && cut.except != Some(session))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)
    }
}
