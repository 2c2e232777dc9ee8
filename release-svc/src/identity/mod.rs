//! Accounts: what names, addresses and passwords may be, and who may create whom.

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

/// A user, as others need to know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRef {
    /// Their account.
    pub id: UserId,
    /// Their name as registered.
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
    /// As others need to know them.
    #[must_use]
    pub fn to_ref(&self) -> UserRef {
        UserRef {
            id: self.id,
            username: self.username.to_string(),
        }
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
