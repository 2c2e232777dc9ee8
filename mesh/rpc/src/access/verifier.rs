//! Verifies tokens, with the keys of this process or of another one.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::{
    EndedSessions, Principal, Role,
    keys::decoding_keys,
    service::{self, ServiceSecret},
    token::{Claims, has_critical_extensions, validation},
};
use slipway_runtime::clock::SharedClock;

#[cfg(test)]
mod tests;

/// Maximum number of verified tokens in the cache.
const CACHED_TOKENS: usize = 20_000;

/// Minimum time between two fetches of the keys because of an unknown `kid`.
const REFRESH_AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Minimum time to the next fetch after one has failed.
const RETRY_AT_MOST_EVERY: SignedDuration = SignedDuration::from_millis(250);

/// When keys were last fetched, and when a fetch last failed.
#[derive(Default)]
struct Fetched {
    succeeded: Option<Timestamp>,
    failed: Option<Timestamp>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not a token of ours: malformed, forged, or of another issuer, algorithm or key.
    #[error("The token is not valid.")]
    Invalid,
    /// Its `nbf` is in the future.
    #[error("The token is not valid yet.")]
    NotYetValid,
    /// It was valid but has expired.
    #[error("The token has expired. Refresh it (POST /auth/refresh), or sign in again.")]
    Expired,
    /// Its session has ended.
    #[error("The session of the token has ended. Sign in again.")]
    SessionEnded,
    /// The token for programs that it is of was revoked.
    #[error("The token was revoked.")]
    Revoked,
    /// The keys to verify it are unavailable at the moment.
    #[error("The keys to verify tokens with cannot be reached at the moment.")]
    KeysUnavailable,
}

/// The source of public keys that belong to another process.
#[async_trait]
pub trait JwksSource: Send + Sync + 'static {
    /// The current public keys.
    ///
    /// # Errors
    /// A text for the log if they are unavailable.
    async fn fetch(&self) -> Result<JwkSet, String>;
}

/// Verifies tokens, and caches the verified ones until they expire. Refuses those of ended sessions.
pub struct Verifier {
    keys: ArcSwap<HashMap<String, DecodingKey>>,
    source: Option<Box<dyn JwksSource>>,
    fetched: Mutex<Fetched>,
    services: ServiceSecret,
    validation: Validation,
    cache: Cache<String, Arc<Principal>>,
    ended: EndedSessions,
    clock: SharedClock,
}

impl Verifier {
    /// Verifies with a fixed set of keys.
    #[must_use]
    pub fn with_keys(jwks: &JwkSet, services: ServiceSecret, clock: SharedClock) -> Self {
        Self::build(jwks, None, services, clock)
    }

    /// Verifies with the keys of another process, fetched when a token has an unknown `kid`.
    #[must_use]
    pub fn with_source(
        source: Box<dyn JwksSource>,
        services: ServiceSecret,
        clock: SharedClock,
    ) -> Self {
        Self::build(&JwkSet::default(), Some(source), services, clock)
    }

    fn build(
        jwks: &JwkSet,
        source: Option<Box<dyn JwksSource>>,
        services: ServiceSecret,
        clock: SharedClock,
    ) -> Self {
        Self {
            keys: ArcSwap::from_pointee(decoding_keys(jwks).into_iter().collect()),
            source,
            fetched: Mutex::default(),
            services,
            validation: validation(Algorithm::EdDSA),
            cache: Cache::new(CACHED_TOKENS),
            ended: EndedSessions::default(),
            clock,
        }
    }

    /// Verifies `token` and returns its principal.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not accepted.
    pub async fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenError> {
        if let Some(principal) = self.cache.get(token) {
            return self.unless_over(principal);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if has_critical_extensions(token) {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let claims = if kid == service::KID {
            self.services.verify(token)?
        } else {
            let key = self.key(&kid).await?;
            jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
                .map_err(|_| TokenError::Invalid)?
                .claims
        };
        // Account keys must not sign service tokens, and the service secret must not sign account
        // tokens.
        if (kid == service::KID) != (claims.role == Role::Service) {
            return Err(TokenError::Invalid);
        }
        if !claims.is_for_its_audience() {
            return Err(TokenError::Invalid);
        }
        // Checked only once: a cached token stays valid until it expires.
        if claims
            .nbf
            .is_some_and(|nbf| nbf > self.clock.now().as_second())
        {
            return Err(TokenError::NotYetValid);
        }
        let principal = self.unless_over(Arc::new(Principal {
            user_id: claims.sub,
            username: claims.username,
            role: claims.role,
            session_id: claims.sid,
            scope: claims.scope,
            expires_at: Timestamp::from_second(claims.exp).map_err(|_| TokenError::Invalid)?,
        }))?;
        self.cache.insert(token.to_owned(), Arc::clone(&principal));
        Ok(principal)
    }

    /// The current time of the verifier's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The ended sessions that it knows. Whoever learns of others adds them.
    #[must_use]
    pub fn ended(&self) -> &EndedSessions {
        &self.ended
    }

    fn unless_over(&self, principal: Arc<Principal>) -> Result<Arc<Principal>, TokenError> {
        if principal.expires_at <= self.clock.now() {
            return Err(TokenError::Expired);
        }
        if principal
            .session_id
            .is_some_and(|session| self.ended.contains(session))
        {
            return Err(match principal.scope {
                None => TokenError::SessionEnded,
                Some(_) => TokenError::Revoked,
            });
        }
        Ok(principal)
    }

    async fn key(&self, kid: &str) -> Result<DecodingKey, TokenError> {
        if let Some(key) = self.keys.load().get(kid) {
            return Ok(key.clone());
        }
        let Some(source) = &self.source else {
            return Err(TokenError::Invalid);
        };
        // Only one fetch at a time: other callers that need a key wait for it.
        let mut fetched = self.fetched.lock().await;
        if let Some(key) = self.keys.load().get(kid) {
            return Ok(key.clone());
        }
        // A flood of invented `kid`s must not cause a flood of requests.
        let now = self.clock.now();
        let within = |last: Option<Timestamp>, period| {
            last.is_some_and(|last| now.duration_since(last) < period)
        };
        if within(fetched.failed, RETRY_AT_MOST_EVERY) {
            return Err(TokenError::KeysUnavailable);
        }
        if within(fetched.succeeded, REFRESH_AT_MOST_EVERY) {
            return Err(TokenError::Invalid);
        }
        match source.fetch().await {
            Ok(jwks) => {
                let keys = decoding_keys(&jwks).into_iter().collect();
                self.keys.store(Arc::new(keys));
                fetched.succeeded = Some(self.clock.now());
            }
            Err(error) => {
                tracing::warn!(error, "failed to fetch the public keys for tokens");
                fetched.failed = Some(self.clock.now());
                return Err(TokenError::KeysUnavailable);
            }
        }
        self.keys
            .load()
            .get(kid)
            .cloned()
            .ok_or(TokenError::Invalid)
    }
}
