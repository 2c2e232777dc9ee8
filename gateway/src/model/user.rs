//! Accounts, registration and sign-in.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::{common::v1 as common, identity::v1};
use slipway_rpc::error::Fault;
use slipway_runtime::text::is_blank;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging,
    proto::{self, required},
};
use crate::extract::{clearable, given, trimmed};

/// The role of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Role {
    /// Works on the tasks assigned to them.
    Developer,
    /// Plans, completes and reopens releases; creates other admins.
    Admin,
}

impl Role {
    pub(super) fn from_proto(role: common::Role) -> Option<Self> {
        match role {
            common::Role::Developer => Some(Self::Developer),
            common::Role::Admin => Some(Self::Admin),
            common::Role::Unspecified | common::Role::Service => None,
        }
    }

    fn to_proto(self) -> common::Role {
        match self {
            Self::Developer => common::Role::Developer,
            Self::Admin => common::Role::Admin,
        }
    }

    /// Its proto number; unspecified if there is none.
    pub(super) fn number(role: Option<Self>) -> i32 {
        role.map_or(common::Role::Unspecified, Self::to_proto)
            .into()
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "DEVELOPER" => Ok(Self::Developer),
            "ADMIN" => Ok(Self::Admin),
            _ => Err("must be DEVELOPER or ADMIN"),
        }
    }
}

/// A reference to a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct UserRef {
    /// Id of the account.
    pub(crate) id: Id,
    /// The name as registered.
    pub(crate) username: String,
}

impl TryFrom<common::UserRef> for UserRef {
    type Error = Malformed;

    fn try_from(user: common::UserRef) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("user id", &user.id)?,
            username: user.username,
        })
    }
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) id: Id,
    /// 3 to 40 of `a-z A-Z 0-9 . _ -`, unique without regard to case.
    username: String,
    /// What people call the user.
    display_name: Option<String>,
    /// Unique without regard to case.
    email: String,
    role: Role,
    created_at: Timestamp,
}

impl TryFrom<v1::User> for Account {
    type Error = Malformed;

    fn try_from(user: v1::User) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("user id", &user.id)?,
            role: required("role", Role::from_proto(user.role()))?,
            created_at: proto::time("created_at", user.created_at)?,
            username: user.username,
            display_name: given_text(user.display_name),
            email: user.email,
        })
    }
}

fn given_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The caller's own account. The time zone is one of the preferences.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnUser)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnAccount {
    #[serde(flatten)]
    user: Account,
    /// An email address that waits to be confirmed by the link of a mail.
    pending_email: Option<String>,
    /// Whether the account has a password that it can sign in with.
    has_password: bool,
    /// Whether the email address comes from the identity provider, and is changed there.
    email_from_provider: bool,
}

impl TryFrom<v1::GetMeResponse> for OwnAccount {
    type Error = Malformed;

    fn try_from(answer: v1::GetMeResponse) -> Result<Self, Malformed> {
        Ok(Self {
            user: required("user", answer.user)?.try_into()?,
            pending_email: given_text(answer.pending_email),
            has_password: answer.has_password,
            email_from_provider: answer.email_from_provider,
        })
    }
}

impl TryFrom<v1::UpdateMeResponse> for OwnAccount {
    type Error = Malformed;

    fn try_from(answer: v1::UpdateMeResponse) -> Result<Self, Malformed> {
        let v1::UpdateMeResponse {
            user,
            revision,
            pending_email,
            has_password,
            email_from_provider,
        } = answer;
        let read = v1::GetMeResponse {
            user,
            revision,
            pending_email,
            has_password,
            email_from_provider,
        };
        read.try_into()
    }
}

/// A change of the caller's own account. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProfileChange {
    /// What people call the user, in one line; `null`: nothing in particular.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<String>, max_length = 80)]
    display_name: Option<Option<String>>,
    /// It counts once the link in a mail to it is used. The current one ends the wait for another.
    #[serde(default, deserialize_with = "given")]
    #[schema(format = "email", nullable = false)]
    email: Option<String>,
    /// Required with another email address.
    #[serde(default, deserialize_with = "given")]
    #[schema(format = Password, nullable = false)]
    current_password: Option<String>,
}

impl ProfileChange {
    /// The request that makes this change at `revision`.
    pub(crate) fn at(&self, revision: Option<u64>) -> v1::UpdateMeRequest {
        let name = self.display_name.as_ref();
        v1::UpdateMeRequest {
            display_name: name.map(|name| name.clone().unwrap_or_default()),
            email: self.email.clone(),
            current_password: self.current_password.clone().unwrap_or_default(),
            revision: revision.unwrap_or_default(),
        }
    }
}

/// An email address that is confirmed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailConfirmation {
    /// From the link.
    token: String,
}

impl From<EmailConfirmation> for v1::ConfirmEmailRequest {
    fn from(confirmation: EmailConfirmation) -> Self {
        Self {
            secret: confirmation.token,
        }
    }
}

/// Another user: enough to pick an assignee.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserSummary)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Colleague {
    id: Id,
    username: String,
    /// What people call the user.
    display_name: Option<String>,
    role: Role,
}

impl TryFrom<v1::User> for Colleague {
    type Error = Malformed;

    fn try_from(user: v1::User) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("user id", &user.id)?,
            role: required("role", Role::from_proto(user.role()))?,
            username: user.username,
            display_name: given_text(user.display_name),
        })
    }
}

/// A signed-in session.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// The access token: a JWT, to be sent as `Authorization: Bearer <token>`. It lasts minutes.
    token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// When the access token expires.
    expires_at: Timestamp,
    /// For `POST /auth/refresh`, once: each refresh gives the next one.
    refresh_token: String,
    /// When the session expires, unless it is refreshed before.
    refresh_expires_at: Timestamp,
    /// Id of the session, as in `GET /auth/sessions`.
    session_id: Id,
    user: Account,
}

impl TryFrom<v1::Session> for Session {
    type Error = Malformed;

    fn try_from(session: v1::Session) -> Result<Self, Malformed> {
        Ok(Self {
            token: session.token,
            token_type: "Bearer",
            expires_at: proto::time("expires_at", session.expires_at)?,
            refresh_token: session.refresh_token,
            refresh_expires_at: proto::time("refresh_expires_at", session.refresh_expires_at)?,
            session_id: proto::id("session id", &session.session_id)?,
            user: required("user", session.user)?.try_into()?,
        })
    }
}

/// A session of a browser, which has the cookie.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BrowserSession {
    /// When it expires.
    pub(crate) expires_at: Timestamp,
    user: Account,
}

impl BrowserSession {
    /// The value of the cookie, and the session.
    pub(crate) fn of(
        started: v1::StartBrowserSessionResponse,
    ) -> Result<(String, Self), Malformed> {
        let session = Self {
            expires_at: proto::time("expires_at", started.expires_at)?,
            user: required("user", started.user)?.try_into()?,
        };
        Ok((started.secret, session))
    }
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refresh {
    /// From the answer to the sign-in or to the last refresh.
    refresh_token: String,
}

impl From<Refresh> for v1::RefreshSessionRequest {
    fn from(refresh: Refresh) -> Self {
        Self {
            refresh_token: refresh.refresh_token,
        }
    }
}

/// Another password for the caller's account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The password until now.
    current_password: String,
    /// By the rules for a new account, and not the current one.
    #[schema(min_length = 8, max_length = 128)]
    new_password: String,
}

impl From<PasswordChange> for v1::ChangePasswordRequest {
    fn from(change: PasswordChange) -> Self {
        Self {
            current_password: change.current_password,
            new_password: change.new_password,
        }
    }
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// Of `a-z A-Z 0-9 . _ -`, the first and the last a letter or digit; unique without regard
    /// to case. Names that Slipway uses itself, such as `system`, are reserved.
    #[schema(min_length = 3, max_length = 40)]
    username: String,
    /// Unique without regard to case.
    #[schema(format = "email")]
    email: String,
    /// Without control and invisible characters. Not close to the username, the email address or
    /// one of the most common passwords: not one of them reversed, or with fewer than 8 digits and
    /// symbols around it.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
    /// `DEVELOPER` if left out. `ADMIN` needs an admin's token.
    role: Option<Role>,
}

impl From<Registration> for v1::RegisterRequest {
    fn from(registration: Registration) -> Self {
        Self {
            username: registration.username,
            email: registration.email,
            password: registration.password,
            role: Role::number(registration.role),
        }
    }
}

/// Maximum length of an email address, which is longer than that of a username.
const MAX_LOGIN: usize = 254;

/// A name and a password. Exactly one of `username` and `email` is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    username: Option<String>,
    email: Option<String>,
    #[schema(format = Password)]
    password: String,
}

/// The one of the two that is given.
fn login(username: Option<String>, email: Option<String>) -> Result<String, Fault> {
    let (field, login) = match (username, email) {
        (Some(username), None) => ("username", username),
        (None, Some(email)) => ("email", email),
        _ => {
            return Err(Fault::invalid_field(
                "username",
                "or email must be given: exactly one of the two",
            ));
        }
    };
    // Validated here, because the service has one field for both and could not name the right one
    // in an error.
    if is_blank(&login) || login.trim().len() > MAX_LOGIN {
        let message = format!("must have 1 to {MAX_LOGIN} characters");
        return Err(Fault::invalid_field(field, message));
    }
    Ok(login)
}

impl TryFrom<Credentials> for v1::LoginRequest {
    type Error = Fault;

    fn try_from(credentials: Credentials) -> Result<Self, Fault> {
        Ok(Self {
            login: login(credentials.username, credentials.email)?,
            password: credentials.password,
        })
    }
}

/// Whose password was forgotten. Exactly one of `username` and `email` is given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgottenPassword {
    username: Option<String>,
    email: Option<String>,
}

impl TryFrom<ForgottenPassword> for v1::RequestPasswordResetRequest {
    type Error = Fault;

    fn try_from(forgotten: ForgottenPassword) -> Result<Self, Fault> {
        let login = login(forgotten.username, forgotten.email)?;
        Ok(Self { login })
    }
}

/// A password that is set by the link of a mail.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PasswordReset {
    /// From the link.
    token: String,
    /// By the rules for a new account.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    new_password: String,
    /// Whether the tokens for programs are revoked too. `false` if left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    revoke_tokens: Option<bool>,
}

impl From<PasswordReset> for v1::ResetPasswordRequest {
    fn from(reset: PasswordReset) -> Self {
        Self {
            secret: reset.token,
            new_password: reset.new_password,
            revoke_tokens: reset.revoke_tokens.unwrap_or_default(),
        }
    }
}

impl Credentials {
    /// The request to sign a browser in.
    pub(crate) fn for_browser(self) -> Result<v1::StartBrowserSessionRequest, Fault> {
        let v1::LoginRequest { login, password } = self.try_into()?;
        Ok(v1::StartBrowserSessionRequest { login, password })
    }
}

/// The parameters of the list of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsersQuery {
    /// The start of the username, without regard to case.
    #[serde(default, deserialize_with = "trimmed")]
    q: String,
}

impl UsersQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListUsersRequest {
        v1::ListUsersRequest {
            query: self.q,
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
