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
    /// Argon2id, in PHC format.
    pub password_hash: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)
    }
}
