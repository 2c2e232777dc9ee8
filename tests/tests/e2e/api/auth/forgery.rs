//! Forged tokens: signed with the right key, with a different one, or unsigned.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use slipway_tests::{Client, Process, StreamEvent, team::PASSWORD};

use super::refuses;
use crate::api::{start, unauthorized};

/// The prefix of a 32-byte Ed25519 private key in PKCS#8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Signs any claims with the process's own key.
struct Forge {
    key: EncodingKey,
    jwk: Value,
    claims: Value,
}

impl Forge {
    /// Takes the key from the data directory, and the claims from a valid token.
    async fn at(server: &Process, model: &Client) -> anyhow::Result<Self> {
        let pem = std::fs::read(server.data.path().join("data/jwt-key.pem"))?;
        let jwks = server.client().get("/.well-known/jwks.json").await?;
        let payload = model.token().split('.').nth(1).context("a payload")?;
        Ok(Self {
            key: EncodingKey::from_ed_pem(&pem)?,
            jwk: jwks.expect(200)["keys"][0].clone(),
            claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?,
        })
    }

    fn header(&self, algorithm: Algorithm) -> Header {
        let mut header = Header::new(algorithm);
        header.kid = self.jwk["kid"].as_str().map(str::to_owned);
        header
    }

    /// The valid claims with one changed.
    fn but(&self, claim: &str, value: Value) -> anyhow::Result<String> {
        let mut claims = self.claims.clone();
        claims[claim] = value;
        self.sign(&claims)
    }

    fn sign(&self, claims: &Value) -> anyhow::Result<String> {
        let header = self.header(Algorithm::EdDSA);
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }

    fn now(&self) -> i64 {
        self.claims["iat"].as_i64().unwrap_or_default()
    }
}

#[tokio::test]
async fn the_forge_can_sign_valid_tokens() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let client = server.client().with_token(&forge.sign(&forge.claims)?);
    client
        .post("/releases", &json!({"name": "a"}))
        .await?
        .expect(201);
    Ok(())
}

#[tokio::test]
async fn an_expired_token_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    for exp in [forge.now() - 1, 1, 0] {
        refuses(&server, &forge.but("exp", json!(exp))?, "TOKEN_EXPIRED").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let soon = forge.but("exp", json!(forge.now() + 3))?;
    let client = server.client().with_token(&soon);
    let mut stream = client.stream("", None).await?;
    let goodbye = StreamEvent::Goodbye(json!({"reason": "token_expired"}));
    assert_eq!(stream.next().await?, goodbye);
    stream.ended().await?;
    refuses(&server, &soon, "TOKEN_EXPIRED").await
}

#[tokio::test]
async fn a_token_with_an_altered_claim_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let token = team.developers[0].token();
    let forge = Forge::at(&server, &team.developers[0]).await?;
    let parts: Vec<_> = token.split('.').collect();
    let mut claims = forge.claims.clone();
    claims["role"] = json!("ADMIN");
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let altered = format!("{}.{payload}.{}", parts[0], parts[2]);
    refuses(&server, &altered, "INVALID_TOKEN").await
}

#[tokio::test]
async fn a_token_of_another_key_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let der: Vec<u8> = PKCS8_PREFIX.into_iter().chain([7; 32]).collect();
    let other = EncodingKey::from_ed_der(&der);
    for kid in [forge.jwk["kid"].as_str(), Some("another"), Some(""), None] {
        let mut header = forge.header(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        let token = jsonwebtoken::encode(&header, &forge.claims, &other)?;
        refuses(&server, &token, "INVALID_TOKEN").await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unsigned_token_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let payload = URL_SAFE_NO_PAD.encode(forge.claims.to_string());
    let signature = team.admin.token().rsplit('.').next().unwrap_or_default();
    for algorithm in ["none", "None", "NONE", ""] {
        let header = json!({"alg": algorithm, "typ": "JWT", "kid": forge.jwk["kid"]});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        for end in ["", signature] {
            let token = format!("{header}.{payload}.{end}");
            refuses(&server, &token, "INVALID_TOKEN").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let x = forge.jwk["x"].as_str().context("the key")?;
    let spki_prefix = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let raw = URL_SAFE_NO_PAD.decode(x)?;
    let spki = [&spki_prefix[..], &raw].concat();
    for secret in [
        raw,
        spki,
        x.as_bytes().to_vec(),
        forge.jwk.to_string().into_bytes(),
    ] {
        let header = forge.header(Algorithm::HS256);
        let key = EncodingKey::from_secret(&secret);
        let token = jsonwebtoken::encode(&header, &forge.claims, &key)?;
        refuses(&server, &token, "INVALID_TOKEN").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_for_another_purpose_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    for (claim, value) in [
        ("iss", json!("another")),
        ("aud", json!("another")),
        ("role", json!("SERVICE")),
        ("role", json!("admin")),
        ("role", Value::Null),
        ("sub", json!("7")),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(i64::MAX)),
    ] {
        refuses(&server, &forge.but(claim, value)?, "INVALID_TOKEN").await?;
    }
    for claim in ["sub", "exp", "iss", "aud", "role", "username"] {
        let mut claims = forge.claims.clone();
        claims.as_object_mut().context("an object")?.remove(claim);
        refuses(&server, &forge.sign(&claims)?, "INVALID_TOKEN").await?;
    }
    Ok(())
}

/// As after restoring an older backup: the key is the same, but the account is missing or has a
/// different role.
#[tokio::test]
async fn a_token_without_an_account_of_its_role_can_do_nothing() -> anyhow::Result<()> {
    let (server, team) = start(1).await?;
    let admin = Forge::at(&server, &team.admin).await?;
    let developer = Forge::at(&server, &team.developers[0]).await?;
    let none = "01890a5d-ac96-774b-bcce-b302099a8057";
    for token in [
        admin.but("sub", json!(none))?,
        admin.but("role", json!("DEVELOPER"))?,
        developer.but("role", json!("ADMIN"))?,
    ] {
        let ghost = server.client().with_token(&token);
        for answer in [
            ghost.get("/auth/me").await?,
            ghost.get("/releases").await?,
            ghost.post("/releases", &json!({"name": "a"})).await?,
            ghost.patch(&format!("/tasks/{none}/start")).await?,
            ghost.post("/chat/session", &json!({})).await?,
            ghost.get("/activity").await?,
        ] {
            unauthorized(answer, "ACCOUNT_GONE");
        }
        let account = json!({"username": "eve", "email": "eve@example.com",
            "password": PASSWORD, "role": "ADMIN"});
        let answer = ghost.post("/auth/register", &account).await?;
        answer.refused(403, "ADMIN_REQUIRED");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_is_refused_before_it_becomes_valid() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    for nbf in [json!(forge.now() + 3600), json!("tomorrow")] {
        refuses(&server, &forge.but("nbf", nbf)?, "INVALID_TOKEN").await?;
    }
    let valid = server.client().with_token(&forge.but("nbf", json!(1))?);
    valid.get("/auth/me").await?.expect(200);
    Ok(())
}

#[tokio::test]
async fn a_token_with_critical_headers_is_refused() -> anyhow::Result<()> {
    let (server, team) = start(0).await?;
    let forge = Forge::at(&server, &team.admin).await?;
    let mut header = forge.header(Algorithm::EdDSA);
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &forge.claims, &forge.key)?;
    refuses(&server, &token, "INVALID_TOKEN").await
}
