//! Verifying tokens, with keys of this process or of another one.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::{
    Principal, Role,
    keys::decoding_keys,
    service::{self, ServiceSecret},
    token::{Claims, has_critical_extensions, validation},
};
use slipway_runtime::clock::SharedClock;

#[cfg(test)]
mod tests;

/// Verified tokens remembered at once.
const CACHED_TOKENS: usize = 20_000;

/// Keys are fetched again for an unknown `kid` at most this often.
const REFRESH_AT_MOST_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// After keys could not be fetched, it is tried again at most this often.
const RETRY_AT_MOST_EVERY: SignedDuration = SignedDuration::from_millis(250);

/// When keys were fetched last, and when that failed last.
#[derive(Default)]
struct Fetched {
    succeeded: Option<Timestamp>,
    failed: Option<Timestamp>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of ours: garbled, forged, of another issuer, algorithm or key.
    #[error("The token is not valid.")]
    Invalid,
    /// Its `nbf` is in the future.
    #[error("The token is not valid yet.")]
    NotYetValid,
    /// It was valid once.
    #[error("The token has expired. Sign in again.")]
    Expired,
    /// The keys to verify it with cannot be had at the moment.
    #[error("The keys to verify tokens with cannot be reached at the moment.")]
    KeysUnavailable,
}

/// Where public keys come from, when they are another process's.
#[async_trait]
pub trait JwksSource: Send + Sync + 'static {
    /// The present public keys.
    ///
    /// # Errors
    /// A text for the log if they cannot be had.
    async fn fetch(&self) -> Result<JwkSet, String>;
}

/// Verifies tokens, and remembers those it verified until they expire.
pub struct Verifier {
    keys: ArcSwap<HashMap<String, DecodingKey>>,
    source: Option<Box<dyn JwksSource>>,
    fetched: Mutex<Fetched>,
    services: ServiceSecret,
    validation: Validation,
    cache: Cache<String, Arc<Principal>>,
    clock: SharedClock,
}

impl Verifier {
    /// Verifies with keys known from the start.
    #[must_use]
    pub fn with_keys(jwks: &JwkSet, services: ServiceSecret, clock: SharedClock) -> Self {
        Self::build(jwks, None, services, clock)
    }

    /// Verifies with keys of another process, fetched when a token names an unknown one.
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
            clock,
        }
    }

    /// Whom `token` stands for.
    ///
    /// # Errors
    /// [`TokenError`] says why it is not accepted.
    pub async fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenError> {
        if let Some(principal) = self.cache.get(token) {
            return self.unless_expired(principal);
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
        // The two kinds of key vouch for two kinds of principal, never for each other's.
        if (kid == service::KID) != (claims.role == Role::Service) {
            return Err(TokenError::Invalid);
        }
        // Checked once: a remembered token stays valid until it expires.
        if claims
            .nbf
            .is_some_and(|nbf| nbf > self.clock.now().as_second())
        {
            return Err(TokenError::NotYetValid);
        }
        let principal = self.unless_expired(Arc::new(Principal {
            user_id: claims.sub,
            username: claims.username,
            role: claims.role,
            expires_at: Timestamp::from_second(claims.exp).map_err(|_| TokenError::Invalid)?,
        }))?;
        self.cache.insert(token.to_owned(), Arc::clone(&principal));
        Ok(principal)
    }

    /// The time by which it judges.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn unless_expired(&self, principal: Arc<Principal>) -> Result<Arc<Principal>, TokenError> {
        if principal.expires_at <= self.clock.now() {
            return Err(TokenError::Expired);
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
        // One fetch at a time: those who need a key meanwhile wait for it.
        let mut fetched = self.fetched.lock().await;
        if let Some(key) = self.keys.load().get(kid) {
            return Ok(key.clone());
        }
        // A flood of made-up `kid`s must not become a flood of requests.
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
