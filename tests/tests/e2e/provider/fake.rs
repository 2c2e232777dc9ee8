//! An OpenID Connect provider in the test, which can lie.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use rcgen::KeyPair;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slipway_tests::Options;
use tokio::net::TcpListener;
use url::Url;

/// The client that the provider knows.
const CLIENT: &str = "slipway";
/// The secret of Slipway as a client.
pub(crate) const SECRET: &str = "a secret with / and = in it";

/// What is wrong with the answer of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    WrongNonce,
    NoNonce,
    WrongAudience,
    AnotherAudienceToo,
    WrongParty,
    WrongIssuer,
    NoSignature,
    SignedWithThePublicKey,
    SignedWithTheSecret,
    SignedBySomebodyElse,
    UnknownKey,
    Expired,
    OfTheFuture,
    NoSubject,
    NoToken,
    NotAToken,
    AboutSomebodyElse,
    Endless,
}

pub(super) const LIES: [Lie; 18] = [
    Lie::WrongNonce,
    Lie::NoNonce,
    Lie::WrongAudience,
    Lie::AnotherAudienceToo,
    Lie::WrongParty,
    Lie::WrongIssuer,
    Lie::NoSignature,
    Lie::SignedWithThePublicKey,
    Lie::SignedWithTheSecret,
    Lie::SignedBySomebodyElse,
    Lie::UnknownKey,
    Lie::Expired,
    Lie::OfTheFuture,
    Lie::NoSubject,
    Lie::NoToken,
    Lie::NotAToken,
    Lie::AboutSomebodyElse,
    Lie::Endless,
];

/// The provider.
pub(crate) struct Fake {
    pub(super) issuer: String,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    state: Mutex<Told>,
}

struct Told {
    /// The claims about the user who signs in next.
    user: Value,
    /// What only the address for user information says.
    more: Value,
    lie: Option<Lie>,
    is_away: bool,
    key: Key,
    codes: HashMap<String, Asked>,
}

struct Key {
    id: String,
    pair: KeyPair,
}

/// A sign-in whose code was not exchanged yet.
struct Asked {
    nonce: String,
    challenge: String,
    redirect: String,
}

impl Key {
    fn generate(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: KeyPair::generate().unwrap(),
        }
    }

    fn jwk(&self) -> Value {
        // An uncompressed point: a byte, x, y.
        let point = &self.pair.public_key_raw()[1..];
        let (x, y) = point.split_at(32);
        let text = |part| BASE64_URL_SAFE_NO_PAD.encode(part);
        json!({
            "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y),
            "kid": self.id, "use": "sig", "alg": "ES256",
        })
    }
}

impl Fake {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let issuer = format!("http://{}/realm", listener.local_addr()?);
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            state: Mutex::new(Told {
                user: json!({}),
                more: json!({}),
                lie: None,
                is_away: false,
                key: Key::generate("first"),
                codes: HashMap::new(),
            }),
        });
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(metadata))
            .route("/realm/keys", get(keys))
            .route("/realm/token", post(token))
            .route("/realm/user", get(user))
            .layer(from_fn_with_state(Arc::clone(&shared), unless_away))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { issuer, shared })
    }

    /// How a process signs in with it.
    pub(super) fn options(&self) -> Options {
        self.adds_to(Options::default())
    }

    /// The options of a process that signs in with it too.
    pub(crate) fn adds_to(&self, options: Options) -> Options {
        options
            .env("SLIPWAY_OIDC_ISSUER", &self.issuer)
            .env("SLIPWAY_OIDC_CLIENT_ID", CLIENT)
            .env("SLIPWAY_OIDC_CLIENT_SECRET", SECRET)
            .env("SLIPWAY_OIDC_NAME", "The Guild")
    }

    /// Whose browser comes next.
    pub(super) fn knows(&self, user: Value) {
        self.shared.state.lock().user = user;
    }

    /// What it says about the user elsewhere.
    pub(super) fn knows_elsewhere(&self, more: Value) {
        self.shared.state.lock().more = more;
    }

    pub(super) fn lies(&self, lie: Option<Lie>) {
        self.shared.state.lock().lie = lie;
    }

    pub(super) fn is_away(&self, is_away: bool) {
        self.shared.state.lock().is_away = is_away;
    }

    /// Signs with another key from now on, and forgets the first.
    pub(super) fn rotates(&self) {
        self.shared.state.lock().key = Key::generate("second");
    }

    /// The user signs in at the address; returns the parameters with which the browser is sent
    /// back.
    pub(super) fn sign_in(&self, address: &str) -> BTreeMap<String, String> {
        let url = Url::parse(address).unwrap();
        assert!(
            address.starts_with(&format!("{}/authorize?", self.issuer)),
            "{address}"
        );
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["scope"], "openid profile email");
        let code = format!("code-{}", uuid::Uuid::new_v4());
        self.shared.state.lock().codes.insert(
            code.clone(),
            Asked {
                nonce: asked["nonce"].clone(),
                challenge: asked["code_challenge"].clone(),
                redirect: asked["redirect_uri"].clone(),
            },
        );
        let back = [
            ("code", code),
            ("state", asked["state"].clone()),
            ("iss", self.issuer.clone()),
            // Providers add what they like.
            ("session_state", "5".to_owned()),
        ];
        back.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

async fn unless_away(
    State(shared): State<Arc<Shared>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let is_away = shared.state.lock().is_away;
    match is_away {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => next.run(request).await,
    }
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let at = |path: &str| format!("{}/{path}", shared.issuer);
    Json(json!({
        "issuer": shared.issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "userinfo_endpoint": at("user"),
        "end_session_endpoint": at("logout"),
        "jwks_uri": at("keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let state = shared.state.lock();
    let unsupported = json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "odd"});
    Json(json!({"keys": [unsupported, state.key.jwk()]}))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let refuse =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": error}))).into_response();
    // RFC 6749: both are form-encoded first.
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = BASE64_STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET)));
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if given != Some(&format!("Basic {basic}")) {
        return refuse("invalid_client");
    }
    let mut state = shared.state.lock();
    let Some(asked) = state.codes.remove(&form["code"]) else {
        return refuse("invalid_grant");
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if challenge != asked.challenge || form["redirect_uri"] != asked.redirect {
        return refuse("invalid_grant");
    }
    let id_token = id_token(&shared.issuer, &state, &asked);
    let mut answer = json!({"access_token": "opaque", "token_type": "Bearer", "expires_in": 60});
    match state.lie {
        Some(Lie::NoToken) => {}
        Some(Lie::NotAToken) => answer["id_token"] = json!("a.b.c"),
        Some(Lie::Endless) => answer["id_token"] = json!("a".repeat(2_000_000)),
        _ => answer["id_token"] = json!(id_token),
    }
    Json(answer).into_response()
}

fn id_token(issuer: &str, state: &Told, asked: &Asked) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT, "azp": CLIENT, "nonce": asked.nonce,
        "iat": now, "exp": now + 60,
    });
    for (name, value) in state.user.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(state.key.id.clone());
    let pem = state.key.pair.serialize_pem();
    let mut key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
    match state.lie {
        Some(Lie::WrongNonce) => claims["nonce"] = json!("another"),
        Some(Lie::NoNonce) => {
            claims.as_object_mut().unwrap().remove("nonce");
        }
        Some(Lie::WrongAudience) => claims["aud"] = json!("another"),
        Some(Lie::AnotherAudienceToo) => claims["aud"] = json!([CLIENT, "another"]),
        Some(Lie::WrongParty) => claims["azp"] = json!("another"),
        Some(Lie::WrongIssuer) => claims["iss"] = json!("https://id.example.com"),
        Some(Lie::Expired) => {
            claims["iat"] = json!(now - 600);
            claims["exp"] = json!(now - 120);
        }
        Some(Lie::OfTheFuture) => claims["iat"] = json!(now + 600),
        Some(Lie::NoSubject) => claims["sub"] = json!(""),
        Some(Lie::SignedBySomebodyElse) => {
            let pem = KeyPair::generate().unwrap().serialize_pem();
            key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        }
        Some(Lie::UnknownKey) => header.kid = Some("unknown".to_owned()),
        Some(Lie::SignedWithThePublicKey) => {
            header.alg = Algorithm::HS256;
            key = EncodingKey::from_secret(state.key.pair.public_key_pem().as_bytes());
        }
        Some(Lie::SignedWithTheSecret) => {
            header.alg = Algorithm::HS256;
            key = EncodingKey::from_secret(SECRET.as_bytes());
        }
        _ => {}
    }
    match state.lie {
        Some(Lie::NoSignature) => {
            let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims))
        }
        _ => encode(&header, &claims, &key).unwrap(),
    }
}

async fn user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if headers
        .get(AUTHORIZATION)
        .is_none_or(|value| value != "Bearer opaque")
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let state = shared.state.lock();
    let mut claims = state.more.clone();
    claims["sub"] = match state.lie {
        Some(Lie::AboutSomebodyElse) => json!("somebody else"),
        _ => state.user["sub"].clone(),
    };
    Json(claims).into_response()
}
