//! Which tokens are accepted, and for how long.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::access::{EndedSession, Issuer, Keyring, Scope, ServiceTokens, SessionClaim};
use slipway_runtime::clock::{Clock as _, ManualClock};

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
async fn a_token_identifies_its_account_until_it_expires() {
    let s = setup();
    let id = Uuid::now_v7();
    let token = s.issuer.issue(id, "ada", Role::Developer, None).unwrap();
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

    // The public key misused as an HMAC secret.
    let mut hmac = Header::new(Algorithm::HS256);
    hmac.kid = Some(s.keys.kid.clone());
    let public = serde_json::to_vec(s.keys.jwks()).unwrap();
    let confused = sign(
        &hmac,
        &claims(Role::Admin),
        &EncodingKey::from_secret(&public),
    );

    // `alg: none`, built by hand: no library signs it.
    let good = s
        .issuer
        .issue(Uuid::now_v7(), "eve", Role::Admin, None)
        .unwrap()
        .text;
    let payload = good.split('.').nth(1).unwrap();
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let none = URL_SAFE_NO_PAD.encode(format!(
        r#"{{"alg":"none","typ":"JWT","kid":"{}"}}"#,
        s.keys.kid
    ));
    let unsigned = format!("{none}.{payload}.");

    // An account key cannot sign a service token, nor the service secret an admin token.
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
async fn services_authenticate_with_the_shared_secret() {
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
    // A token is renewed well before it expires.
    let old = tokens.current();
    s.clock.advance(SignedDuration::from_mins(50));
    assert_ne!(tokens.current(), old);
}

#[tokio::test]
async fn a_token_is_refused_before_its_nbf() {
    let s = setup();
    let now = s.clock.now();
    let mut claims = Claims::new(
        Uuid::now_v7(),
        "ada",
        Role::Developer,
        now,
        Duration::from_secs(60),
    );
    claims.nbf = Some(now.as_second() + 10);
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(s.keys.kid.clone());
    let by_account = sign(&header, &claims, &s.keys.signing);
    claims.role = Role::Service;
    let by_service = s.secret.sign(&claims);
    for token in [&by_account, &by_service] {
        assert_eq!(s.verifier.verify(token).await, Err(TokenError::NotYetValid));
    }
    s.clock.advance(SignedDuration::from_secs(10));
    for token in [&by_account, &by_service] {
        assert!(s.verifier.verify(token).await.is_ok());
    }
}

#[tokio::test]
async fn a_token_with_critical_headers_is_refused() {
    let s = setup();
    let claims = Claims::new(
        Uuid::now_v7(),
        "ada",
        Role::Developer,
        s.clock.now(),
        Duration::from_secs(60),
    );
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(s.keys.kid.clone());
    for critical in [vec!["b64".to_owned()], Vec::new()] {
        header.crit = Some(critical);
        let token = sign(&header, &claims, &s.keys.signing);
        assert_eq!(s.verifier.verify(&token).await, Err(TokenError::Invalid));
    }
}

struct Published(Arc<parking_lot::Mutex<Result<JwkSet, String>>>);

#[async_trait]
impl JwksSource for Published {
    async fn fetch(&self) -> Result<JwkSet, String> {
        // Yields, so that other tasks run during the fetch.
        tokio::task::yield_now().await;
        self.0.lock().clone()
    }
}

#[tokio::test]
async fn callers_during_a_fetch_wait_for_it() {
    let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::now()));
    let keys = Arc::new(Keyring::ephemeral());
    let published = Published(Arc::new(parking_lot::Mutex::new(Ok(keys.jwks().clone()))));
    let secret = ServiceSecret::random();
    let verifier = Verifier::with_source(Box::new(published), secret, clock.clone());
    let issuer = Issuer::new(keys, Duration::from_secs(60), clock);
    let tokens: Vec<_> = (0..10)
        .map(|_| {
            issuer
                .issue(Uuid::now_v7(), "ada", Role::Developer, None)
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
            .issue(Uuid::now_v7(), "ada", Role::Developer, None)
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

#[tokio::test]
async fn a_token_is_read_strictly() {
    let s = setup();
    let now = s.clock.now();
    let claims = Claims::new(
        Uuid::now_v7(),
        "ada",
        Role::Admin,
        now,
        Duration::from_secs(60),
    );
    let claims = serde_json::to_value(&claims).unwrap();
    let header = json!({"alg": "EdDSA", "kid": s.keys.kid});
    let verify = async |header: &Value, claims: &Value| {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let key = &s.keys.signing;
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::EdDSA);
        let token = format!("{message}.{}", signature.unwrap());
        s.verifier
            .verify(&token)
            .await
            .map(|principal| principal.role)
    };
    assert_eq!(verify(&header, &claims).await, Ok(Role::Admin));
    for (name, value) in [("role", json!({"ADMIN": null})), ("nbf", json!(null))] {
        let mut claims = claims.clone();
        claims[name] = value;
        let refused = verify(&header, &claims).await;
        assert_eq!(refused, Err(TokenError::Invalid), "{name}");
    }
    let mut header = header.clone();
    header["crit"] = json!(null);
    let refused = verify(&header, &claims).await;
    assert_eq!(refused, Err(TokenError::Invalid));
}

#[tokio::test]
async fn a_token_is_refused_once_its_session_has_ended() {
    let s = setup();
    let now = s.clock.now();
    let [one, two] = [1, 2].map(|id| SessionClaim {
        id: Uuid::from_u128(id),
        expires_at: now + SignedDuration::from_secs(30),
        scope: None,
    });
    let issue = |session| {
        let token = s
            .issuer
            .issue(Uuid::now_v7(), "ada", Role::Developer, session);
        token.unwrap()
    };
    let (first, second, none) = (issue(Some(one)), issue(Some(two)), issue(None));
    assert!(first.expires_at <= one.expires_at, "{}", first.expires_at);
    assert!(s.verifier.verify(&first.text).await.is_ok());
    let ended = EndedSession {
        id: one.id,
        until: now + SignedDuration::from_secs(60),
    };
    s.verifier.ended().add(ended, now);
    assert_eq!(
        s.verifier.verify(&first.text).await,
        Err(TokenError::SessionEnded)
    );
    for other in [second, none] {
        assert!(s.verifier.verify(&other.text).await.is_ok());
    }
}

/// The claims of a token for a program, or of a person.
fn claims_of(s: &Setup, role: Role, scope: Option<Scope>) -> Claims {
    let ttl = Duration::from_secs(60);
    let claims = Claims::new(Uuid::now_v7(), "ada", role, s.clock.now(), ttl);
    match scope {
        Some(scope) => claims.with_scope(scope),
        None => claims,
    }
}

#[tokio::test]
async fn a_token_of_a_program_has_its_scope_and_is_revoked_by_its_id() {
    let s = setup();
    let session = SessionClaim {
        id: Uuid::now_v7(),
        expires_at: Timestamp::MAX,
        scope: Some(Scope::Work),
    };
    let token = s
        .issuer
        .issue(Uuid::now_v7(), "ada", Role::Admin, Some(session))
        .unwrap();
    let principal = s.verifier.verify(&token.text).await.unwrap();
    assert_eq!(principal.scope, Some(Scope::Work));
    assert_eq!(principal.session_id, Some(session.id));
    let ended = EndedSession {
        id: session.id,
        until: Timestamp::MAX,
    };
    s.verifier.ended().add(ended, s.clock.now());
    let refused = s.verifier.verify(&token.text).await;
    assert_eq!(refused, Err(TokenError::Revoked));
}

#[tokio::test]
async fn a_scope_and_its_audience_need_each_other() {
    let s = setup();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(s.keys.kid.clone());
    let person = claims_of(&s, Role::Admin, None);
    let program = claims_of(&s, Role::Admin, Some(Scope::Read));
    let (persons, programs) = (person.aud.clone(), program.aud.clone());
    assert_ne!(persons, programs);
    let verify = async |claims: &Claims| {
        let token = sign(&header, claims, &s.keys.signing);
        s.verifier.verify(&token).await.map(|known| known.scope)
    };
    assert_eq!(verify(&person).await, Ok(None));
    assert_eq!(verify(&program).await, Ok(Some(Scope::Read)));
    // A process that does not know scopes would take the first one for a person's.
    for claims in [
        Claims {
            aud: persons,
            ..program
        },
        Claims {
            aud: programs,
            ..person
        },
    ] {
        assert_eq!(verify(&claims).await, Err(TokenError::Invalid));
    }
    // A service acts for no program.
    let service = claims_of(&s, Role::Service, Some(Scope::Admin));
    let service = Claims {
        scope: None,
        ..service
    };
    let refused = s.verifier.verify(&s.secret.sign(&service)).await;
    assert_eq!(refused, Err(TokenError::Invalid));
}
