//! Links with a secret in mails about accounts.
//!
//! What is stored of such a notification has [`HIDDEN`] in the place of the secret. Only when the
//! mail is sent, a secret is asked for, from the service that has the accounts; it is stored there as
//! a digest, and nowhere else. So neither an event nor the history, nor a dead letter has it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use slipway_proto::{
    events::{PasswordResetRequestedEvent, Payload as _, UserInvitedEvent},
    identity::v1::{IssueLinkSecretRequest, identity_service_client::IdentityServiceClient},
};
use slipway_rpc::{
    access::ServiceTokens,
    error::{Fault, Kind},
    grpc::{Link as Connection, Outbound},
};
use uuid::Uuid;

use super::Notification;

/// The variable of a template with the secret.
pub const SECRET: &str = "secret";

/// What is stored, and shown in the history, instead of a secret.
pub const HIDDEN: &str = "hidden";

/// How long the answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Whether mails of this type have a link with a secret.
#[must_use]
pub fn has_link(kind: &str) -> bool {
    [PasswordResetRequestedEvent::TYPE, UserInvitedEvent::TYPE].contains(&kind)
}

/// A link in a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The account that it is of.
    pub account: Uuid,
    /// Its id.
    pub id: Uuid,
    /// From then on it is not valid.
    pub expires_at: Timestamp,
}

impl Link {
    /// The link in the mail of a notification, if it has one.
    #[must_use]
    pub fn of(notification: &Notification) -> Option<Self> {
        if !has_link(&notification.kind) {
            return None;
        }
        let text = |name: &str| notification.data.get(name).and_then(Value::as_str);
        Some(Self {
            account: text("userId")?.parse().ok()?,
            id: text("linkId")?.parse().ok()?,
            expires_at: text("expiresAt")?.parse().ok()?,
        })
    }
}

/// Why there is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSecret {
    /// The link is not valid any more: it was used, or there is a newer one.
    Void,
    /// The service cannot be asked at the moment.
    Away,
}

/// The port by which secrets are asked for.
#[async_trait]
pub trait LinkSecrets: Send + Sync + 'static {
    /// A new secret of a link.
    ///
    /// # Errors
    /// Why there is none.
    async fn issue(&self, link: Link) -> Result<String, NoSecret>;
}

/// Asks release-svc.
pub struct ReleaseLinks {
    identity: IdentityServiceClient<Connection>,
    tokens: ServiceTokens,
}

impl ReleaseLinks {
    /// Asks `release` with the tokens of this process.
    #[must_use]
    pub fn new(release: Connection, tokens: ServiceTokens) -> Self {
        Self {
            identity: IdentityServiceClient::new(release),
            tokens,
        }
    }
}

#[async_trait]
impl LinkSecrets for ReleaseLinks {
    async fn issue(&self, link: Link) -> Result<String, NoSecret> {
        let outbound = Outbound {
            deadline: Some(DEADLINE),
            ..Outbound::with_token(self.tokens.current())
        };
        let request = outbound.request(IssueLinkSecretRequest {
            account_id: link.account.to_string(),
            link_id: link.id.to_string(),
        });
        let mut identity = self.identity.clone();
        let answer = tokio::time::timeout(DEADLINE, identity.issue_link_secret(request)).await;
        let answer = answer.map_err(|_| Fault::deadline());
        match answer.and_then(|answer| answer.map_err(Fault::from)) {
            Ok(answer) => Ok(answer.into_inner().secret),
            Err(fault) if fault.kind == Kind::Forbidden && fault.code == "INVALID_LINK" => {
                Err(NoSecret::Void)
            }
            Err(fault) => {
                tracing::warn!(link = %link.id, code = %fault.code, "no secret for a link in a mail");
                Err(NoSecret::Away)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notification::{Draft, Subject, To};

    #[test]
    fn only_a_mail_about_a_link_has_one() {
        let (account, id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let data = json!({"userId": account, "linkId": id, "expiresAt": "1970-01-01T00:30:00Z"});
        let notification = |kind: &str| {
            let draft = Draft {
                kind: kind.to_owned(),
                to: To::address("ada@example.com"),
                data: data.clone(),
                sender: None,
            };
            let now = Timestamp::UNIX_EPOCH;
            Notification::new(draft, Uuid::nil(), Subject::new("x"), now)
        };
        let expected = Link {
            account,
            id,
            expires_at: "1970-01-01T00:30:00Z".parse().unwrap(),
        };
        for kind in ["user.reset_requested", "user.invited"] {
            assert_eq!(Link::of(&notification(kind)), Some(expected));
        }
        // Another program can announce any data.
        assert_eq!(Link::of(&notification("order-placed")), None);
    }
}
