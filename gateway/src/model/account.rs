//! Accounts as admins see and change them.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use slipway_proto::identity::v1;
use utoipa::{IntoParams, ToSchema};

use super::{
    Id, Malformed, Paging,
    proto::required,
    user::{Account, Role},
};
use crate::extract::{given, parsed, trimmed};

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AccountState {
    /// It can sign in.
    Active,
    /// It was invited, and has no password yet.
    Invited,
    /// An admin has disabled it: it cannot sign in, and gets no new tasks.
    Disabled,
}

impl AccountState {
    fn from_proto(state: v1::AccountState) -> Option<Self> {
        match state {
            v1::AccountState::Unspecified => None,
            v1::AccountState::Active => Some(Self::Active),
            v1::AccountState::Invited => Some(Self::Invited),
            v1::AccountState::Disabled => Some(Self::Disabled),
        }
    }

    /// Its proto number; unspecified if there is none.
    fn number(state: Option<Self>) -> i32 {
        let state = match state {
            None => v1::AccountState::Unspecified,
            Some(Self::Active) => v1::AccountState::Active,
            Some(Self::Invited) => v1::AccountState::Invited,
            Some(Self::Disabled) => v1::AccountState::Disabled,
        };
        state.into()
    }
}

impl FromStr for AccountState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ACTIVE" => Ok(Self::Active),
            "INVITED" => Ok(Self::Invited),
            "DISABLED" => Ok(Self::Disabled),
            _ => Err("must be ACTIVE, INVITED or DISABLED"),
        }
    }
}

/// An account as admins see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManagedUser)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManagedAccount {
    #[serde(flatten)]
    pub(crate) user: Account,
    state: AccountState,
    /// How many of its tasks are not completed, counted up to about 1000; `null` in the list. They
    /// are at `GET /tasks?assignee=`.
    open_tasks: Option<u32>,
}

impl TryFrom<v1::Account> for ManagedAccount {
    type Error = Malformed;

    fn try_from(account: v1::Account) -> Result<Self, Malformed> {
        Ok(Self {
            state: required("state", AccountState::from_proto(account.state()))?,
            open_tasks: account.open_tasks,
            user: required("user", account.user)?.try_into()?,
        })
    }
}

/// An account for somebody else: with a password, or with `invite`.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewUser)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    /// By the rules of `POST /auth/register`, as the email address and the password.
    #[schema(min_length = 3, max_length = 40)]
    username: String,
    #[schema(format = "email")]
    email: String,
    /// Required without `invite`, refused with it.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: Option<String>,
    /// Whether the account gets no password, but a mail with a link to set one. `false` if left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    invite: Option<bool>,
    /// `DEVELOPER` if left out.
    role: Option<Role>,
}

impl From<NewAccount> for v1::CreateAccountRequest {
    fn from(account: NewAccount) -> Self {
        Self {
            username: account.username,
            email: account.email,
            password: account.password.unwrap_or_default(),
            invite: account.invite.unwrap_or_default(),
            role: Role::number(account.role),
        }
    }
}

/// A change of an account. What is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UserChange)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountChange {
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    role: Option<Role>,
    /// Whether it is disabled: then it cannot sign in, and gets no new tasks. Those that it has stay.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    disabled: Option<bool>,
}

impl AccountChange {
    /// The request that changes this account.
    pub(crate) fn of(self, account: Id) -> v1::UpdateAccountRequest {
        v1::UpdateAccountRequest {
            id: account.to_string(),
            role: Role::number(self.role),
            disabled: self.disabled,
        }
    }
}

/// The parameters of the list of accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountsQuery {
    /// The start of the username or of the email address, without regard to case.
    #[serde(default, deserialize_with = "trimmed")]
    #[param(value_type = Option<String>)]
    q: String,
    /// Only with this role.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    role: Option<Role>,
    /// Only in this state.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    state: Option<AccountState>,
}

impl AccountsQuery {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListAccountsRequest {
        v1::ListAccountsRequest {
            query: self.q,
            role: Role::number(self.role),
            state: AccountState::number(self.state),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
