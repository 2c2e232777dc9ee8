//! Tokens of processes that act for themselves, not for a user.
//!
//! All processes of a mesh share one secret; each signs its own short-lived token with
//! it (HS256), so that one can speak to another while everything else is down.

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

/// The `kid` that says a token is signed with the services' secret.
pub(super) const KID: &str = "service";

const TTL: Duration = Duration::from_secs(3600);
const RENEW_BEFORE_END: SignedDuration = SignedDuration::from_mins(15);

/// The secret that the processes of one mesh share.
#[derive(Clone)]
pub struct ServiceSecret(Arc<[u8]>);

impl ServiceSecret {
    /// The secret given in the configuration.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }

    /// A secret that nobody else has: for a mesh in one process.
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

/// One process's own token, renewed before it ends.
pub struct ServiceTokens {
    secret: ServiceSecret,
    name: &'static str,
    clock: SharedClock,
    current: Mutex<Option<(String, jiff::Timestamp)>>,
}

impl ServiceTokens {
    /// Tokens for the service called `name`.
    #[must_use]
    pub fn new(secret: ServiceSecret, name: &'static str, clock: SharedClock) -> Self {
        Self {
            secret,
            name,
            clock,
            current: Mutex::new(None),
        }
    }

    /// A token that is valid for some minutes yet.
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
