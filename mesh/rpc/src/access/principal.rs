//! The authenticated caller of a request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::common::v1;
use uuid::Uuid;

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Works on assigned tasks.
    Developer,
    /// Plans and administers.
    Admin,
    /// Another process of the mesh.
    Service,
}

impl Role {
    /// The roles of accounts. An account is a person, who can be an author or own something.
    pub const ACCOUNTS: [Self; 2] = [Self::Developer, Self::Admin];

    /// Converts a role of the contracts; `None` if it is unspecified.
    #[must_use]
    pub fn from_proto(role: v1::Role) -> Option<Self> {
        match role {
            v1::Role::Unspecified => None,
            v1::Role::Developer => Some(Self::Developer),
            v1::Role::Admin => Some(Self::Admin),
            v1::Role::Service => Some(Self::Service),
        }
    }

    /// Converts to the role of the contracts.
    #[must_use]
    pub fn to_proto(self) -> v1::Role {
        match self {
            Self::Developer => v1::Role::Developer,
            Self::Admin => v1::Role::Admin,
            Self::Service => v1::Role::Service,
        }
    }
}

/// What a token for programs may do. None exceeds the role of its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Scope {
    /// Call methods without side effects.
    Read,
    /// Also do what a developer may do, as a developer.
    Work,
    /// Everything that the role of the account allows, except what needs a sign-in.
    Admin,
}

impl Scope {
    /// Its name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Work => "WORK",
            Self::Admin => "ADMIN",
        }
    }
}

/// The authenticated caller of a request, according to its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Id of the account; nil for a service.
    pub user_id: Uuid,
    /// Name of the account, or of the service.
    pub username: String,
    /// Its role.
    pub role: Role,
    /// The session of the token; `None` for a service, and for tokens of versions without sessions.
    /// Of a program: its token for programs.
    pub session_id: Option<Uuid>,
    /// What a program may do; `None` if the caller has signed in.
    pub scope: Option<Scope>,
    /// When the token expires.
    pub expires_at: Timestamp,
}
