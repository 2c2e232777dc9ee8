//! The claims of account tokens, and their issuer: EdDSA JWTs.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation, jwk::JwkSet};
use serde::{Deserialize, Deserializer, Serialize, de::IntoDeserializer as _};
use uuid::Uuid;

use super::{Keyring, Role, Scope};
use slipway_runtime::clock::SharedClock;

const ISSUER: &str = "slipway";
const AUDIENCE: &str = "slipway";

/// The audience of tokens with a scope. It is another one, so that a process of a version that does
/// not know scopes refuses them.
const PROGRAM_AUDIENCE: &str = "slipway-programs";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: Uuid,
    pub(super) username: String,
    #[serde(deserialize_with = "role")]
    pub(super) role: Role,
    pub(super) iat: i64,
    pub(super) exp: i64,
    /// The token is not valid before this time. Slipway issues none with it; another issuer with
    /// the same key may.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "number"
    )]
    pub(super) nbf: Option<i64>,
    pub(super) jti: Uuid,
    /// The session of the token. Tokens of services have none, nor had those of older versions.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "session"
    )]
    pub(super) sid: Option<Uuid>,
    /// What a program may do.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "scope"
    )]
    pub(super) scope: Option<Scope>,
    pub(super) iss: String,
    pub(super) aud: String,
}

/// Reads a role strictly as a string; serde would also accept `{"ADMIN": null}`.
fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    Role::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Reads a number strictly: if the field is present, it must not be `null`.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

/// Reads a session strictly: if the field is present, it must not be `null`.
fn session<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    Uuid::deserialize(deserializer).map(Some)
}

/// Reads a scope strictly: if the field is present, it must be a string.
fn scope<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Scope>, D::Error> {
    Scope::deserialize(String::deserialize(deserializer)?.into_deserializer()).map(Some)
}

/// Whether the header of a token has `crit`, with any value. It names extensions that a verifier
/// must understand; this one understands none.
pub(super) fn has_critical_extensions(token: &str) -> bool {
    let header = token.split('.').next().unwrap_or_default();
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(&header);
    header.is_ok_and(|header| header.contains_key("crit"))
}

impl Claims {
    pub(super) fn new(
        user_id: Uuid,
        username: &str,
        role: Role,
        now: Timestamp,
        ttl: Duration,
    ) -> Self {
        let now = now.as_second();
        Self {
            sub: user_id,
            username: username.to_owned(),
            role,
            iat: now,
            exp: now.saturating_add(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)),
            nbf: None,
            jti: Uuid::now_v7(),
            sid: None,
            scope: None,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
        }
    }

    /// The same claims of a program.
    pub(super) fn with_scope(self, scope: Scope) -> Self {
        Self {
            scope: Some(scope),
            aud: PROGRAM_AUDIENCE.to_owned(),
            ..self
        }
    }

    /// Whether they are for the kind of caller that their audience is.
    pub(super) fn is_for_its_audience(&self) -> bool {
        (self.aud == PROGRAM_AUDIENCE) == self.scope.is_some()
    }
}

/// An issued token.
#[derive(Clone)]
pub struct Token {
    /// The JWT. A secret: it has no `Debug`.
    pub text: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The session that a token is of.
#[derive(Debug, Clone, Copy)]
pub struct SessionClaim {
    /// Its id.
    pub id: Uuid,
    /// When it expires. No token of it lasts longer.
    pub expires_at: Timestamp,
    /// What its client may do, if that is a program.
    pub scope: Option<Scope>,
}

/// Issues tokens for accounts.
pub struct Issuer {
    keys: Arc<Keyring>,
    ttl: Duration,
    clock: SharedClock,
}

impl Issuer {
    /// Creates an issuer of tokens that are valid for `ttl`.
    #[must_use]
    pub fn new(keys: Arc<Keyring>, ttl: Duration, clock: SharedClock) -> Self {
        Self { keys, ttl, clock }
    }

    /// A token for an account, of a session.
    ///
    /// # Errors
    /// Only if signing itself fails.
    pub fn issue(
        &self,
        user_id: Uuid,
        username: &str,
        role: Role,
        session: Option<SessionClaim>,
    ) -> Result<Token, jsonwebtoken::errors::Error> {
        let mut claims = Claims::new(user_id, username, role, self.clock.now(), self.ttl);
        if let Some(session) = session {
            claims.sid = Some(session.id);
            claims.exp = claims.exp.min(session.expires_at.as_second());
            if let Some(scope) = session.scope {
                claims = claims.with_scope(scope);
            }
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.keys.kid.clone());
        let text = jsonwebtoken::encode(&header, &claims, &self.keys.signing)?;
        let expires_at = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
        Ok(Token { text, expires_at })
    }

    /// How long its tokens are valid.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The public keys that verify its tokens.
    #[must_use]
    pub fn jwks(&self) -> &JwkSet {
        self.keys.jwks()
    }
}

pub(super) fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE, PROGRAM_AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // `exp` and `nbf` are checked against our own clock instead.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}
