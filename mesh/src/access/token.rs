//! Issuing and verifying tokens: EdDSA JWTs.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, jwk::JwkSet};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{
    Keyring, Principal, Role,
    keys::decoding_keys,
    service::{self, ServiceSecret},
};
use crate::clock::SharedClock;

const ISSUER: &str = "slipway";
const AUDIENCE: &str = "slipway";

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

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: Uuid,
    pub(super) username: String,
    pub(super) role: Role,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: Uuid,
    pub(super) iss: String,
    pub(super) aud: String,
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
            jti: Uuid::now_v7(),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
        }
    }
}

/// An issued token.
#[derive(Clone)]
pub struct Token {
    /// The JWT. A secret: it has no `Debug`.
    pub text: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Issues tokens for accounts.
pub struct Issuer {
    keys: Arc<Keyring>,
    ttl: Duration,
    clock: SharedClock,
}

impl Issuer {
    /// An issuer of tokens that last for `ttl`.
    #[must_use]
    pub fn new(keys: Arc<Keyring>, ttl: Duration, clock: SharedClock) -> Self {
        Self { keys, ttl, clock }
    }

    /// A token for an account.
    ///
    /// # Errors
    /// Only if the signing itself fails.
    pub fn issue(
        &self,
        user_id: Uuid,
        username: &str,
        role: Role,
    ) -> Result<Token, jsonwebtoken::errors::Error> {
        let claims = Claims::new(user_id, username, role, self.clock.now(), self.ttl);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.keys.kid.clone());
        let text = jsonwebtoken::encode(&header, &claims, &self.keys.signing)?;
        let expires_at = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
        Ok(Token { text, expires_at })
    }

    /// The public keys its tokens verify against.
    #[must_use]
    pub fn jwks(&self) -> &JwkSet {
        self.keys.jwks()
    }
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token of ours: garbled, forged, of another issuer, algorithm or key.
    #[error("The token is not valid.")]
    Invalid,
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
        let principal = self.unless_expired(Arc::new(Principal {
            user_id: claims.sub,
            username: claims.username,
            role: claims.role,
            expires_at: Timestamp::from_second(claims.exp).map_err(|_| TokenError::Invalid)?,
        }))?;
        self.cache.insert(token.to_owned(), Arc::clone(&principal));
        Ok(principal)
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
                tracing::warn!(error, "the public keys cannot be fetched");
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

pub(super) fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Expiry is checked against our own clock, at every use.
    validation.validate_exp = false;
    validation
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::EncodingKey;

    use super::*;
    use crate::{
        access::ServiceTokens,
        clock::{Clock as _, ManualClock},
    };

    struct Setup {
        clock: Arc<ManualClock>,
        keys: Arc<Keyring>,
        issuer: Issuer,
        verifier: Verifier,
        secret: ServiceSecret,
    }

    fn setup() -> Setup {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let keys = Arc::new(Keyring::ephemeral());
        let secret = ServiceSecret::random();
        Setup {
            issuer: Issuer::new(Arc::clone(&keys), Duration::from_secs(60), clock.clone()),
            verifier: Verifier::with_keys(keys.jwks(), secret.clone(), clock.clone()),
            clock,
            keys,
            secret,
        }
    }

    fn sign(header: &Header, claims: &Claims, key: &EncodingKey) -> String {
        jsonwebtoken::encode(header, claims, key).unwrap()
    }

    #[tokio::test]
    async fn a_token_stands_for_its_account_until_it_expires() {
        let s = setup();
        let id = Uuid::now_v7();
        let token = s.issuer.issue(id, "ada", Role::Developer).unwrap();
        let principal = s.verifier.verify(&token.text).await.unwrap();
        assert_eq!(
            (
                principal.user_id,
                principal.username.as_str(),
                principal.role
            ),
            (id, "ada", Role::Developer)
        );
        s.clock.advance(SignedDuration::from_secs(59));
        assert!(s.verifier.verify(&token.text).await.is_ok());
        s.clock.advance(SignedDuration::from_secs(2));
        assert_eq!(
            s.verifier.verify(&token.text).await,
            Err(TokenError::Expired)
        );
    }

    #[tokio::test]
    async fn forged_tokens_are_refused() {
        let s = setup();
        let claims = |role| {
            Claims::new(
                Uuid::now_v7(),
                "eve",
                role,
                s.clock.now(),
                Duration::from_secs(60),
            )
        };
        let mut ours = Header::new(Algorithm::EdDSA);
        ours.kid = Some(s.keys.kid.clone());

        let other = Keyring::ephemeral();
        let by_another_key = sign(&ours, &claims(Role::Admin), &other.signing);
        let mut unknown_kid = ours.clone();
        unknown_kid.kid = Some(other.kid.clone());
        let by_unknown_key = sign(&unknown_kid, &claims(Role::Admin), &other.signing);

        // The public key taken for an HMAC secret.
        let mut hmac = Header::new(Algorithm::HS256);
        hmac.kid = Some(s.keys.kid.clone());
        let public = serde_json::to_vec(s.keys.jwks()).unwrap();
        let confused = sign(
            &hmac,
            &claims(Role::Admin),
            &EncodingKey::from_secret(&public),
        );

        // `alg: none`, made by hand: no library signs it.
        let good = s
            .issuer
            .issue(Uuid::now_v7(), "eve", Role::Admin)
            .unwrap()
            .text;
        let payload = good.split('.').nth(1).unwrap();
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let none = URL_SAFE_NO_PAD.encode(format!(
            r#"{{"alg":"none","typ":"JWT","kid":"{}"}}"#,
            s.keys.kid
        ));
        let unsigned = format!("{none}.{payload}.");

        // An account's key does not make a service, nor the service secret an admin.
        let service_by_account = sign(&ours, &claims(Role::Service), &s.keys.signing);
        let admin_by_service = s.secret.sign(&claims(Role::Admin));

        for token in [
            by_another_key,
            by_unknown_key,
            confused,
            unsigned,
            service_by_account,
            admin_by_service,
            String::new(),
            "a.b.c".into(),
        ] {
            assert_eq!(
                s.verifier.verify(&token).await,
                Err(TokenError::Invalid),
                "{token}"
            );
        }
    }

    #[tokio::test]
    async fn services_vouch_for_themselves_with_the_shared_secret() {
        let s = setup();
        let tokens = ServiceTokens::new(s.secret.clone(), "gateway", s.clock.clone());
        let principal = s.verifier.verify(&tokens.current()).await.unwrap();
        assert_eq!(
            (principal.role, principal.username.as_str()),
            (Role::Service, "gateway")
        );
        let stranger = ServiceTokens::new(ServiceSecret::random(), "x", s.clock.clone());
        assert_eq!(
            s.verifier.verify(&stranger.current()).await,
            Err(TokenError::Invalid)
        );
        // A token is renewed well before it ends.
        let old = tokens.current();
        s.clock.advance(SignedDuration::from_mins(50));
        assert_ne!(tokens.current(), old);
    }

    struct Published(Arc<parking_lot::Mutex<Result<JwkSet, String>>>);

    #[async_trait]
    impl JwksSource for Published {
        async fn fetch(&self) -> Result<JwkSet, String> {
            // Others get a turn in the middle of a fetch.
            tokio::task::yield_now().await;
            self.0.lock().clone()
        }
    }

    #[tokio::test]
    async fn those_who_come_during_a_fetch_wait_for_it() {
        let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::now()));
        let keys = Arc::new(Keyring::ephemeral());
        let published = Published(Arc::new(parking_lot::Mutex::new(Ok(keys.jwks().clone()))));
        let secret = ServiceSecret::random();
        let verifier = Verifier::with_source(Box::new(published), secret, clock.clone());
        let issuer = Issuer::new(keys, Duration::from_secs(60), clock);
        let tokens: Vec<_> = (0..10)
            .map(|_| {
                issuer
                    .issue(Uuid::now_v7(), "ada", Role::Developer)
                    .unwrap()
                    .text
            })
            .collect();
        let verified = tokens.iter().map(|token| verifier.verify(token));
        for principal in futures::future::join_all(verified).await {
            assert!(principal.is_ok());
        }
    }

    #[tokio::test]
    async fn keys_of_another_process_are_fetched_when_a_token_names_a_new_one() {
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let published = Arc::new(parking_lot::Mutex::new(Err("away".to_owned())));
        let verifier = Verifier::with_source(
            Box::new(Published(published.clone())),
            ServiceSecret::random(),
            clock.clone(),
        );
        let issue = |keys: &Arc<Keyring>| {
            Issuer::new(keys.clone(), Duration::from_secs(3600), clock.clone())
                .issue(Uuid::now_v7(), "ada", Role::Developer)
                .unwrap()
                .text
        };
        let first = Arc::new(Keyring::ephemeral());
        let token = issue(&first);
        assert_eq!(
            verifier.verify(&token).await,
            Err(TokenError::KeysUnavailable)
        );
        *published.lock() = Ok(first.jwks().clone());
        clock.advance(RETRY_AT_MOST_EVERY);
        assert!(verifier.verify(&token).await.is_ok());

        let second = Arc::new(Keyring::ephemeral());
        *published.lock() = Ok(second.jwks().clone());
        let token = issue(&second);
        assert_eq!(verifier.verify(&token).await, Err(TokenError::Invalid));
        clock.advance(REFRESH_AT_MOST_EVERY);
        assert!(verifier.verify(&token).await.is_ok());
    }
}
