//! Service tokens: for processes that act for themselves, not for a user.
//!
//! All processes of a mesh share one secret. Each signs its own short-lived token with it (HS256),
//! so that two processes can talk to each other even when all others are down.

use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

use super::{
    Role,
    token::{Claims, validation},
    verifier::TokenError,
};
use slipway_runtime::clock::SharedClock;

/// The `kid` of tokens that are signed with the service secret.
pub(super) const KID: &str = "service";

const TTL: Duration = Duration::from_secs(3600);
const RENEW_BEFORE_END: SignedDuration = SignedDuration::from_mins(15);

/// The secret shared by the processes of one mesh.
#[derive(Clone)]
pub struct ServiceSecret(Arc<[u8]>);

impl ServiceSecret {
    /// The secret from the configuration.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }

    /// A random secret, for a mesh in one process.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random::<[u8; 32]>().as_slice().into())
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(KID.to_owned());
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&self.0))
            .expect("HMAC takes any key and the claims are plain")
    }

    pub(super) fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let key = DecodingKey::from_secret(&self.0);
        jsonwebtoken::decode(token, &key, &validation(Algorithm::HS256))
            .map(|data| data.claims)
            .map_err(|_| TokenError::Invalid)
    }
}

/// Issues the service token of this process and renews it before it expires.
pub struct ServiceTokens {
    secret: ServiceSecret,
    name: &'static str,
    clock: SharedClock,
    current: Mutex<Option<(String, jiff::Timestamp)>>,
}

impl ServiceTokens {
    /// Creates tokens for the service called `name`.
    #[must_use]
    pub fn new(secret: ServiceSecret, name: &'static str, clock: SharedClock) -> Self {
        Self {
            secret,
            name,
            clock,
            current: Mutex::new(None),
        }
    }

    /// A token that stays valid for at least some minutes.
    #[must_use]
    pub fn current(&self) -> String {
        let now = self.clock.now();
        let mut current = self.current.lock();
        if let Some((token, end)) = &*current
            && end.duration_since(now) > RENEW_BEFORE_END
        {
            return token.clone();
        }
        let claims = Claims::new(Uuid::nil(), self.name, Role::Service, now, TTL);
        let end = jiff::Timestamp::from_second(claims.exp).unwrap_or(now);
        let token = self.secret.sign(&claims);
        *current = Some((token.clone(), end));
        token
    }
}
