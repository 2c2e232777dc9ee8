//! Events about accounts and their sessions.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::FieldChange;

/// The role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Works on assigned tasks.
    Developer,
    /// Plans and completes releases.
    Admin,
}

/// `user.registered`: an account was created. Services that address people keep their own copy of
/// names and email addresses from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRegisteredEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name as registered.
    pub username: String,
    /// The email address as registered.
    pub email: String,
    /// The role of the account.
    pub role: Role,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionEndReason {
    /// Its client signed out.
    Logout,
    /// The user ended it from another session.
    Revoked,
    /// An old refresh token came again: somebody may have stolen it.
    RefreshReused,
    /// The account had too many sessions.
    TooMany,
    /// The account got another password.
    PasswordChanged,
    /// The account got another role.
    RoleChanged,
    /// The account was disabled.
    AccountDisabled,
}

/// Who changed a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PasswordChange {
    /// The user, who knew the earlier one.
    Own,
    /// The operator, on the machine of the database.
    Operator,
    /// Whoever had the link of a mail to the account's address.
    Link,
}

/// `user.password_changed`: an account has another password. For the audit trail: the activity feed
/// does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordChangedEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// Who changed it.
    pub by: PasswordChange,
}

/// `user.reset_requested`: somebody asked for a mail with a link that sets another password. The
/// link's secret is not in it: the service that sends the mail asks for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordResetRequestedEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// The address that the link is mailed to.
    pub email: String,
    /// Id of the link.
    pub link_id: Uuid,
    /// From then on the link is not valid.
    pub expires_at: Timestamp,
}

/// `user.invited`: an administrator invited somebody, whose account gets its password by the link
/// of a mail. The link's secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserInvitedEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// The address that the link is mailed to.
    pub email: String,
    /// Id of the link.
    pub link_id: Uuid,
    /// From then on the link is not valid.
    pub expires_at: Timestamp,
}

/// `user.disabled`: an administrator disabled an account, which can sign in no more. For the audit
/// trail: the activity feed does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserDisabledEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// The role of the account.
    pub role: Role,
    /// The revision of the account: of two events that say what an account may do, the one with the
    /// higher revision is right.
    pub revision: u64,
}

/// `user.enabled`: an administrator enabled a disabled account. For the audit trail: the activity
/// feed does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserEnabledEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// The role of the account.
    pub role: Role,
    /// The revision of the account: of two events that say what an account may do, the one with the
    /// higher revision is right.
    pub revision: u64,
}

/// `user.role_changed`: an administrator gave an account another role. For the audit trail: the
/// activity feed does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserRoleChangedEvent {
    /// Id of the account.
    pub user_id: Uuid,
    /// The name of the account.
    pub username: String,
    /// The role from now on.
    pub role: Role,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// The revision of the account, as in `user.disabled`.
    pub revision: u64,
    /// `role`.
    pub changes: Vec<FieldChange>,
}

/// `session.ended`: a session ended before it expired. For the audit trail: the activity feed does
/// not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionEndedEvent {
    /// Id of the session.
    pub session_id: Uuid,
    /// Id of the account.
    pub user_id: Uuid,
    /// Why it ended.
    pub reason: SessionEndReason,
}
