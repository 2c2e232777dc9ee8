//! Sessions in a list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::identity::v1;
use utoipa::ToSchema;

use super::{
    Id, Malformed, Paging,
    proto::{self, required},
};

/// The kind of client that a session is of.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SessionKind {
    /// A program with tokens.
    Api,
    /// A browser with a cookie.
    Browser,
}

impl SessionKind {
    fn from_proto(kind: v1::SessionKind) -> Option<Self> {
        match kind {
            v1::SessionKind::Api => Some(Self::Api),
            v1::SessionKind::Browser => Some(Self::Browser),
            v1::SessionKind::Unspecified => None,
        }
    }
}

/// A session that has not ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionSummary)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartedSession {
    id: Id,
    kind: SessionKind,
    /// What the client calls itself.
    user_agent: Option<String>,
    /// The network address of the last sign-in, refresh or exchange of the cookie.
    address: Option<String>,
    /// When it started.
    created_at: Timestamp,
    /// The last sign-in, refresh or exchange of the cookie.
    last_seen_at: Timestamp,
    /// When it expires.
    expires_at: Timestamp,
    /// Whether this request is of this session.
    current: bool,
}

impl TryFrom<v1::SessionSummary> for StartedSession {
    type Error = Malformed;

    fn try_from(session: v1::SessionSummary) -> Result<Self, Malformed> {
        let given = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self {
            id: proto::id("session id", &session.id)?,
            kind: required("kind", SessionKind::from_proto(session.kind()))?,
            created_at: proto::time("created_at", session.created_at)?,
            last_seen_at: proto::time("last_seen_at", session.last_seen_at)?,
            expires_at: proto::time("expires_at", session.expires_at)?,
            current: session.current,
            user_agent: given(session.user_agent),
            address: given(session.address),
        })
    }
}

/// The list of sessions has no parameters of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsOfMine {}

impl SessionsOfMine {
    /// The request for this page of the list.
    pub(crate) fn page(self, paging: Paging) -> v1::ListSessionsRequest {
        v1::ListSessionsRequest {
            page_size: paging.page_size(),
            page_token: paging.page_token(),
        }
    }
}
