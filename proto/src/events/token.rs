//! Events about tokens for programs. They are for the audit trail: the activity feed does not show
//! them. They never contain the secret.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::SessionEndReason;

/// What a token for programs may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenScope {
    /// Read.
    Read,
    /// What a developer may do.
    Work,
    /// What the role of the account allows.
    Admin,
}

/// `token.created`: somebody created a token for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCreatedEvent {
    /// Id of the token.
    pub token_id: Uuid,
    /// Id of the account.
    pub user_id: Uuid,
    /// The name that its owner gave it.
    pub name: String,
    /// What it may do.
    pub scope: TokenScope,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// `token.revoked`: a token for a program ended before it expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenRevokedEvent {
    /// Id of the token.
    pub token_id: Uuid,
    /// Id of the account.
    pub user_id: Uuid,
    /// The name that its owner gave it.
    pub name: String,
    /// Why it ended.
    pub reason: SessionEndReason,
}
