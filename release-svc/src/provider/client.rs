//! Talks to the provider: discovery and keys, the exchange of a code, and the verification of what
//! it answers.
//!
//! What the provider publishes about itself is asked for again every minute, so nothing here needs
//! the provider at start, and a sign-in page knows whether it is away. While it is away, what was
//! known before still counts.

use std::{pin::Pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::{
    AccessToken, AdditionalClaims, AdditionalProviderMetadata, AsyncHttpClient, AuthType,
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EmptyExtraTokenFields, EndSessionUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdToken, IdTokenFields, IdTokenVerifier, IssuerUrl, LogoutRequest,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadata, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, SubjectIdentifier, TokenResponse as _,
    UserInfoClaims, UserInfoError,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
        CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreGrantType,
        CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
        CoreJwsSigningAlgorithm as Algorithm, CoreResponseMode, CoreResponseType,
        CoreRevocableToken, CoreRevocationErrorResponse, CoreSubjectIdentifierType,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use parking_lot::Mutex;
use reqwest::{Certificate, redirect::Policy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use slipway_rpc::error::{Fault, Kind};
use slipway_runtime::{
    clock::SharedClock,
    life::{Background, Check, Problem},
};
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    CALLBACK, ProviderConfig, SIGNED_OUT,
    flow::FlowSecrets,
    is_protected,
    person::{Claims, Person, Subject},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The most bytes of an answer of the provider.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// How often the provider is asked for what it publishes about itself.
const EVERY: Duration = Duration::from_secs(60);

/// The same while it does not answer.
const EVERY_WHILE_AWAY: Duration = Duration::from_secs(10);

/// How often sign-ins may cause it to be asked, at most.
const ON_DEMAND: Duration = Duration::from_secs(5);

/// How much the clocks of the provider and of this machine may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// The longest name that a provider has for a user (OpenID Connect Core, section 2).
const LONGEST_SUBJECT: usize = 255;

/// The signatures that are accepted: those whose key is not a shared secret.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// What a provider publishes about itself beside what every provider does.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct MoreMetadata {
    end_session_endpoint: Option<EndSessionUrl>,
    /// RFC 9207.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// All claims that have no place of their own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct OtherClaims(Claims);

impl AdditionalClaims for OtherClaims {}

type IdentityToken =
    IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, Algorithm>;

type Tokens = StandardTokenResponse<
    IdTokenFields<
        OtherClaims,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        Algorithm,
    >,
    CoreTokenType,
>;

/// A client of a provider whose addresses are known.
type Client = openidconnect::Client<
    OtherClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why a request to the provider has no answer.
#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("{0} is neither https nor on this machine")]
    Unprotected(Url),
    #[error("it answers with {0}")]
    Status(u16),
    #[error("its answer is longer than {LONGEST_ANSWER} bytes")]
    TooLong,
    #[error(transparent)]
    Malformed(#[from] openidconnect::http::Error),
}

/// Sends requests to the provider.
#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    /// Whether the provider is on this machine.
    is_here: bool,
}

impl Http {
    /// Whether an address that the provider names may be used: not one of this machine, unless the
    /// provider is there too.
    fn may_use(&self, url: &Url) -> bool {
        is_protected(url) && (url.scheme() == "https" || self.is_here)
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        if !self.may_use(request.url()) {
            return Err(HttpError::Unprotected(request.url().clone()));
        }
        let mut answer = self.client.execute(request).await?;
        let status = answer.status();
        if status.is_server_error() || status.is_redirection() {
            return Err(HttpError::Status(status.as_u16()));
        }
        let mut response = openidconnect::http::Response::builder().status(status);
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(HttpError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Why a provider does not sign a user in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProviderError {
    /// It cannot be asked.
    #[error("{0}")]
    Away(String),
    /// It says that it has not signed the user in.
    #[error("it answers with the error {0}")]
    Refused(String),
    /// Its answer cannot be verified.
    #[error("{0}")]
    Invalid(String),
}

/// What a browser brings back from the provider; empty where it brings nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct BroughtBack {
    /// The code to exchange. A secret, but of no use without the verifier.
    pub(crate) code: String,
    /// Who sends the browser back.
    pub(crate) issuer: String,
    /// Why it sends no code.
    pub(crate) error: String,
}

/// The provider.
pub(crate) struct Provider {
    config: ProviderConfig,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: Http,
    clock: SharedClock,
    seen: Mutex<Seen>,
    asking: tokio::sync::Mutex<()>,
}

/// What is known of the provider.
#[derive(Default)]
struct Seen {
    metadata: Option<Arc<Metadata>>,
    /// Why it did not answer when it was asked last.
    failure: Option<String>,
    /// Whether it was asked at all.
    is_asked: bool,
    asked_on_demand: Option<Instant>,
}

/// The provider cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An address is malformed.
    #[error(transparent)]
    Url(#[from] openidconnect::url::ParseError),
    /// The CAs cannot be used.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl Provider {
    pub(crate) fn new(config: ProviderConfig, clock: SharedClock) -> Result<Self, SetupError> {
        // Fails if a provider of cryptography is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // An answer that leads elsewhere is not the provider's.
            .redirect(Policy::none());
        if let Some(pem) = &config.authorities {
            http = http.tls_certs_only(Certificate::from_pem_bundle(pem)?);
        }
        let issuer = IssuerUrl::new(config.issuer.to_string())?;
        let http = Http {
            is_here: issuer.url().scheme() == "http",
            client: http.build()?,
        };
        Ok(Self {
            issuer,
            redirect: RedirectUrl::new(config.page(CALLBACK))?,
            http,
            config,
            clock,
            seen: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn config(&self) -> &ProviderConfig {
        &self.config
    }

    /// Asks the provider again and again for what it publishes about itself.
    pub(crate) fn spawn(self: &Arc<Self>, background: &Background) {
        let provider = Arc::clone(self);
        background.spawn("identity-provider", move |stop| {
            let provider = Arc::clone(&provider);
            async move {
                stop.run_until_cancelled(provider.follow()).await;
            }
        });
    }

    async fn follow(&self) {
        loop {
            let asked = self.ask().await;
            sleep(match asked {
                Ok(_) => EVERY,
                Err(_) => EVERY_WHILE_AWAY,
            })
            .await;
        }
    }

    /// Whether it answered when it was asked last.
    pub(crate) fn is_available(&self) -> bool {
        let seen = self.seen.lock();
        seen.metadata.is_some() && seen.failure.is_none()
    }

    /// Where a browser signs out of the provider.
    pub(crate) fn sign_out_url(&self) -> Option<Url> {
        let metadata = self.seen.lock().metadata.clone()?;
        let more = metadata.additional_metadata();
        let address = more.end_session_endpoint.clone()?;
        let back = PostLogoutRedirectUrl::new(self.config.page(SIGNED_OUT)).ok()?;
        let request = LogoutRequest::from(address)
            .set_client_id(self.client_id())
            .set_post_logout_redirect_uri(back);
        Some(request.http_get_url())
    }

    /// Where a browser signs in.
    pub(crate) async fn authorization(&self, secrets: &FlowSecrets) -> Result<Url, ProviderError> {
        let client = self.client(&*self.metadata().await?);
        let verifier = PkceCodeVerifier::new(secrets.verifier());
        let state = CsrfToken::new(secrets.state().to_owned());
        let nonce = Nonce::new(secrets.nonce());
        let scopes = self.config.scopes.iter().cloned().map(Scope::new);
        let (url, ..) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || state,
                move || nonce,
            )
            .add_scopes(scopes)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url)
    }

    /// The user for whom a browser was sent back.
    pub(crate) async fn person(
        &self,
        answer: &BroughtBack,
        secrets: &FlowSecrets,
    ) -> Result<Person, ProviderError> {
        let metadata = self.metadata().await?;
        self.check_sender(&metadata, &answer.issuer)?;
        if !answer.error.is_empty() {
            return Err(ProviderError::Refused(answer.error.clone()));
        }
        let tokens = self.exchange(&metadata, answer, secrets).await?;
        let id_token = tokens
            .id_token()
            .ok_or_else(|| ProviderError::Invalid("it sends no ID token".to_owned()))?;
        let (subject, mut claims) = self.verified(&metadata, id_token, secrets).await?;
        if self.misses_something(&claims)
            && let Some(more) = self
                .user_info(&metadata, tokens.access_token(), &subject)
                .await?
        {
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(Person {
            subject: Subject {
                issuer: self.config.issuer.to_string(),
                subject: subject.to_string(),
            },
            claims,
        })
    }

    /// Checks who sends a browser back, if that is said: otherwise the code may be of another
    /// provider (RFC 9207).
    fn check_sender(&self, metadata: &Metadata, issuer: &str) -> Result<(), ProviderError> {
        let must = metadata
            .additional_metadata()
            .authorization_response_iss_parameter_supported;
        match issuer {
            "" if must => Err("another provider, which does not say its name, sent the answer"),
            "" => Ok(()),
            named if named == self.config.issuer.as_str() => Ok(()),
            _ => Err("another provider sent the answer"),
        }
        .map_err(|wrong| ProviderError::Invalid(wrong.to_owned()))
    }

    async fn exchange(
        &self,
        metadata: &Metadata,
        answer: &BroughtBack,
        secrets: &FlowSecrets,
    ) -> Result<Tokens, ProviderError> {
        let code = AuthorizationCode::new(answer.code.clone());
        let client = self.client(metadata);
        let request = client
            .exchange_code(code)
            .map_err(|error| ProviderError::Away(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(secrets.verifier()));
        request
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::Request(error) => ProviderError::Away(told(&error)),
                RequestTokenError::ServerResponse(refusal) => {
                    let error = refusal.error().as_ref();
                    ProviderError::Invalid(format!("it does not accept the code: {error}"))
                }
                // What it has sent may contain tokens.
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    ProviderError::Invalid("it answers with no tokens".to_owned())
                }
            })
    }

    /// The subject and the claims of an ID token. With a key that is not known, the provider is
    /// asked for its keys again.
    async fn verified(
        &self,
        metadata: &Metadata,
        token: &IdentityToken,
        secrets: &FlowSecrets,
    ) -> Result<(SubjectIdentifier, Claims), ProviderError> {
        match self.verify(metadata, token, secrets) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let metadata = self.newer().await?;
                self.verify(&metadata, token, secrets)
            }
            verified => verified,
        }
        .map_err(|error| ProviderError::Invalid(format!("its ID token is not valid: {error}")))
    }

    fn verify(
        &self,
        metadata: &Metadata,
        token: &IdentityToken,
        secrets: &FlowSecrets,
    ) -> Result<(SubjectIdentifier, Claims), ClaimsVerificationError> {
        let now = self.now();
        let verifier = IdTokenVerifier::new_public_client(
            self.client_id(),
            self.issuer.clone(),
            metadata.jwks().clone(),
        )
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || now - LEEWAY)
        .set_issue_time_verifier_fn(move |issued| match issued <= now + LEEWAY {
            true => Ok(()),
            false => Err("it is issued in the future".to_owned()),
        });
        let claims = token.claims(&verifier, &Nonce::new(secrets.nonce()))?;
        let other = |wrong: &str| ClaimsVerificationError::Other(wrong.to_owned());
        let authorized = claims.authorized_party();
        if authorized.is_some_and(|party| party.as_str() != self.config.client_id) {
            return Err(other("it was issued to another client"));
        }
        let subject = claims.subject().clone();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
            return Err(other("its subject is empty or too long"));
        }
        match serde_json::to_value(claims) {
            Ok(Value::Object(claims)) => Ok((subject, claims)),
            _ => Err(other("its claims cannot be read")),
        }
    }

    /// Whether claims that an account is made of, or its role, may be elsewhere.
    fn misses_something(&self, claims: &Claims) -> bool {
        let roles = self.config.roles.as_ref();
        !claims.contains_key("preferred_username")
            || !claims.contains_key("email")
            || roles.is_some_and(|rule| rule.claim.of(claims).is_none())
    }

    /// What the provider says about the user elsewhere, if it has such an address.
    async fn user_info(
        &self,
        metadata: &Metadata,
        token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<Option<Claims>, ProviderError> {
        if metadata.userinfo_endpoint().is_none() {
            return Ok(None);
        }
        let client = self.client(metadata);
        let request = client.user_info(token.clone(), Some(subject.clone()));
        let request = request.map_err(|error| ProviderError::Away(error.to_string()))?;
        let answer: Result<UserInfoClaims<OtherClaims, CoreGenderClaim>, _> =
            request.request_async(&self.http).await;
        let claims = answer.map_err(|error| match error {
            UserInfoError::Request(error) => ProviderError::Away(told(&error)),
            error => ProviderError::Invalid(format!("what it says about the user: {error}")),
        })?;
        match serde_json::to_value(claims) {
            Ok(Value::Object(claims)) => Ok(Some(claims)),
            _ => Ok(None),
        }
    }

    fn client(&self, metadata: &Metadata) -> Client {
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
        let auth = match takes(CoreClientAuthMethod::ClientSecretBasic)
            || !takes(CoreClientAuthMethod::ClientSecretPost)
        {
            true => AuthType::BasicAuth,
            false => AuthType::RequestBody,
        };
        Client::from_provider_metadata(metadata.clone(), self.client_id(), secret)
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(auth)
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        let nanoseconds = now.subsec_nanosecond().unsigned_abs();
        DateTime::from_timestamp(now.as_second(), nanoseconds).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// What the provider publishes about itself. If it is not known yet, the provider is asked.
    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let known = self.seen.lock().metadata.clone();
        match known {
            Some(metadata) => Ok(metadata),
            None => self.newer().await,
        }
    }

    /// The same, asked for again unless that was done a moment ago.
    async fn newer(&self) -> Result<Arc<Metadata>, ProviderError> {
        let is_early = {
            let mut seen = self.seen.lock();
            let is_recent = |at: Instant| at.elapsed() < ON_DEMAND;
            let is_early = seen.asked_on_demand.is_some_and(is_recent);
            if !is_early {
                seen.asked_on_demand = Some(Instant::now());
            }
            is_early
        };
        if is_early {
            let seen = self.seen.lock();
            let failure = seen.failure.clone().unwrap_or_default();
            return seen.metadata.clone().ok_or(ProviderError::Away(failure));
        }
        self.ask().await
    }

    /// Asks the provider for its addresses and keys.
    async fn ask(&self) -> Result<Arc<Metadata>, ProviderError> {
        let _one_at_a_time = self.asking.lock().await;
        let asked = self.discover().await;
        let mut seen = self.seen.lock();
        let issuer = &self.config.issuer;
        match asked {
            Ok(metadata) => {
                if seen.failure.take().is_some() || !seen.is_asked {
                    tracing::info!(%issuer, "the identity provider answers");
                }
                seen.is_asked = true;
                let metadata = Arc::new(metadata);
                seen.metadata = Some(Arc::clone(&metadata));
                Ok(metadata)
            }
            Err(failure) => {
                if seen.failure.as_ref() != Some(&failure) {
                    tracing::warn!(%issuer, error = failure, "the identity provider cannot be used");
                }
                seen.is_asked = true;
                seen.failure = Some(failure.clone());
                Err(ProviderError::Away(failure))
            }
        }
    }

    async fn discover(&self) -> Result<Metadata, String> {
        let metadata = Metadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = metadata.map_err(|error| match error {
            DiscoveryError::Request(error) => told(&error),
            error => told(&error),
        })?;
        let more = metadata.additional_metadata();
        let end = more.end_session_endpoint.as_ref().map(EndSessionUrl::url);
        for url in [Some(metadata.authorization_endpoint().url()), end] {
            if let Some(url) = url.filter(|url| !self.http.may_use(url)) {
                return Err(HttpError::Unprotected(url.clone()).to_string());
            }
        }
        if metadata.token_endpoint().is_none() {
            return Err("it has no token endpoint".to_owned());
        }
        Ok(metadata)
    }

    /// The answer to a user whom the provider does not sign in.
    pub(crate) fn fault(&self, error: &ProviderError) -> Fault {
        let name = &self.config.name;
        match error {
            ProviderError::Away(_) => Fault::new(
                Kind::Unavailable,
                "PROVIDER_UNAVAILABLE",
                format!("{name} cannot be reached at the moment. Try again later."),
            )
            .retry_after(EVERY_WHILE_AWAY),
            ProviderError::Refused(_) => Fault::new(
                Kind::Forbidden,
                "PROVIDER_REFUSED",
                format!("{name} did not sign you in, or you cancelled it. Nothing was changed."),
            ),
            ProviderError::Invalid(_) => Fault::new(
                Kind::Forbidden,
                "INVALID_PROVIDER_ANSWER",
                format!(
                    "The answer of {name} could not be verified, so nobody was signed in. Try \
                     again, or ask an admin to look into the log."
                ),
            ),
        }
    }
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[async_trait]
impl Check for Provider {
    async fn check(&self) -> Result<(), Problem> {
        let failure = self.seen.lock().failure.clone();
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}
