//! Tokens for programs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::identity::v1;
use utoipa::ToSchema;

use super::{
    Id, Malformed, Paging,
    proto::{self, required},
};

/// What a token for programs may do. None exceeds the role of its account.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TokenScope {
    /// Read.
    Read,
    /// Also do what a developer may do, as a developer, even if the account is an admin's.
    Work,
    /// Everything that the role of the account allows, except what needs a sign-in.
    Admin,
}

impl TokenScope {
    fn from_proto(scope: v1::TokenScope) -> Option<Self> {
        match scope {
            v1::TokenScope::Read => Some(Self::Read),
            v1::TokenScope::Work => Some(Self::Work),
            v1::TokenScope::Admin => Some(Self::Admin),
            v1::TokenScope::Unspecified => None,
        }
    }

    fn to_proto(self) -> v1::TokenScope {
        match self {
            Self::Read => v1::TokenScope::Read,
            Self::Work => v1::TokenScope::Work,
            Self::Admin => v1::TokenScope::Admin,
        }
    }
}

/// A token for programs, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgramToken {
    id: Id,
    name: String,
    scope: TokenScope,
    /// The beginning of the token, which is no secret.
    prefix: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// To within a minute or two; `null` if it was never used.
    last_used_at: Option<Timestamp>,
}

impl TryFrom<v1::ProgramToken> for ProgramToken {
    type Error = Malformed;

    fn try_from(token: v1::ProgramToken) -> Result<Self, Malformed> {
        Ok(Self {
            id: proto::id("token id", &token.id)?,
            scope: required("scope", TokenScope::from_proto(token.scope()))?,
            created_at: proto::time("created_at", token.created_at)?,
            expires_at: proto::time("expires_at", token.expires_at)?,
            last_used_at: proto::optional_time("last_used_at", token.last_used_at)?,
            name: token.name,
            prefix: token.prefix,
        })
    }
}

/// A new token for programs, with its text.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    /// To send as `Authorization: Bearer`. Only its digest is stored, so it is never shown again.
    token: String,
    #[serde(flatten)]
    about: ProgramToken,
}

impl TryFrom<v1::CreateTokenResponse> for CreatedToken {
    type Error = Malformed;

    fn try_from(created: v1::CreateTokenResponse) -> Result<Self, Malformed> {
        Ok(Self {
            token: created.secret,
            about: required("token", created.token)?.try_into()?,
        })
    }
}

/// A token for programs that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Unique among your tokens, without regard to case.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    scope: TokenScope,
    /// In the future, at most 366 days away. Left out: in 90 days.
    expires_at: Option<Timestamp>,
}

impl From<NewToken> for v1::CreateTokenRequest {
    fn from(token: NewToken) -> Self {
        Self {
            name: token.name,
            scope: token.scope.to_proto().into(),
            expires_at: token.expires_at.map(proto::to_proto),
        }
    }
}

/// The list of tokens has no parameters of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokensOfMine {}

impl TokensOfMine {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListTokensRequest {
        v1::ListTokensRequest {
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
