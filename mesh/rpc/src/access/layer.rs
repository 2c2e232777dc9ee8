//! The middleware that authorizes each call, and decides whether to trust its metadata about the
//! client.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Request, Response,
    header::{AUTHORIZATION, USER_AGENT},
};
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};
use tower::{Layer, Service};
use tracing::{Span, field::display};

use super::{
    Accounts, CallRates, Policies, Principal, ProgramTokens, Role, Scope, StreamLimits, TokenError,
    Verifier,
    policy::{Rule, is_health, scope_required},
    programs::is_of_program,
    streams::{StreamLife, bounded},
};
use crate::{
    error::{Fault, Kind},
    metadata::{CLIENT_ADDRESS, CLIENT_AGENT, IDEMPOTENCY_KEY, REQUEST_ID, SERVICE_TOKEN},
};
use slipway_runtime::{
    request::{RequestInfo, is_id},
    telemetry::access::Requester,
};

/// The code of the refusal of what only admins may do.
const ADMIN_REQUIRED: &str = "ADMIN_REQUIRED";

/// Adds the access check to a service. An authorized call has its [`Principal`] in the request's
/// extensions, and is handled within its [`RequestInfo`]. A proxy's metadata about its client reaches the service only if the call also has a
/// service token ([`SERVICE_TOKEN`]).
#[derive(Clone)]
pub struct AccessLayer {
    policies: Arc<Policies>,
    verifier: Arc<Verifier>,
    accounts: Option<Arc<dyn Accounts>>,
    programs: Option<Arc<ProgramTokens>>,
    rates: Option<CallRates>,
    streams: StreamLimits,
}

impl AccessLayer {
    /// Authorizes calls by `policies`, verifies tokens with `verifier`, and limits streamed answers
    /// by `streams`.
    #[must_use]
    pub fn new(policies: Arc<Policies>, verifier: Arc<Verifier>, streams: StreamLimits) -> Self {
        Self {
            policies,
            verifier,
            accounts: None,
            programs: None,
            rates: None,
            streams,
        }
    }

    /// Accepts only tokens whose account is in `accounts`.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Arc<dyn Accounts>) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Accepts tokens for programs, which it exchanges by `programs`.
    #[must_use]
    pub fn with_programs(mut self, programs: Arc<ProgramTokens>) -> Self {
        self.programs = Some(programs);
        self
    }

    /// Limits the calls of one account and of one address.
    #[must_use]
    pub fn with_rates(mut self, rates: CallRates) -> Self {
        self.rates = Some(rates);
        self
    }

    /// Counts a call for the address of its client. A call without the gateway may be one of
    /// another process of the mesh, for many clients, so for its address only sign-ins count.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    fn count_address(&self, request: &Request<Body>) -> Result<(), Fault> {
        let Some(rates) = &self.rates else {
            return Ok(());
        };
        let forwarded = forwarded_for(request.headers());
        if self.policies.signs_in(request.uri().path())
            && let Some(address) = forwarded.or_else(|| peer(request))
        {
            rates.count_sign_in(address)?;
        }
        forwarded.map_or(Ok(()), |address| rates.count_address(address))
    }

    /// Counts a call for its account. Calls that services make within the process do not count.
    ///
    /// # Errors
    /// `TOO_MANY_REQUESTS`.
    fn count_account(&self, request: &Request<Body>, caller: &Principal) -> Result<(), Fault> {
        let is_within = forwarded_for(request.headers()).is_none() && peer(request).is_none();
        match &self.rates {
            Some(rates) if caller.role != Role::Service && !is_within => {
                rates.count_account(caller.user_id)
            }
            _ => Ok(()),
        }
    }

    /// Replaces a token for programs by the access token that it is exchanged for, so that the
    /// service forwards that one.
    ///
    /// # Errors
    /// If it is not accepted, or that cannot be determined at the moment.
    async fn exchange(&self, request: &mut Request<Body>) -> Result<(), Fault> {
        let Some(programs) = &self.programs else {
            return Ok(());
        };
        let headers = request.headers();
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let secret = bearer(headers).filter(|token| is_of_program(token));
        // Two of them are refused later.
        let (Some(secret), Some(_), None) = (secret, given.next(), given.next()) else {
            return Ok(());
        };
        let forwarded = forwarded_for(headers);
        let address = forwarded.or_else(|| peer(request));
        let agent = match forwarded {
            Some(_) => headers.get(CLIENT_AGENT),
            None => headers.get(USER_AGENT),
        };
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let verified = programs.verified(&self.verifier, secret, address, agent);
        let (token, _) = verified.await?;
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(Fault::internal)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    /// Decides whether a call reaches the service, with which metadata, and as whose.
    async fn enter(&self, request: &mut Request<Body>) -> Result<Entrant, Fault> {
        let is_health_check = is_health(request.uri().path());
        let headers = request.headers_mut();
        self.strip_unproven(headers, is_health_check).await?;
        let requester = request.extensions().get::<Requester>().cloned();
        if let (Some(requester), Some(client)) = (&requester, forwarded_for(request.headers())) {
            requester.is_forwarded_for(client);
        }
        self.count_address(request)?;
        if let Err(fault) = self.exchange(request).await {
            // A public method ignores a token that is not accepted.
            let is_public = *self.policies.rule(request.uri().path()) == Rule::Public;
            if !is_public || fault.kind == Kind::Unavailable {
                return Err(fault);
            }
        }
        let path = request.uri().path();
        let admitted = self.admit(path, request.headers(), requester.as_ref());
        let entrant = admitted.await?;
        if let Some(principal) = &entrant.principal {
            self.count_account(request, principal)?;
            request.extensions_mut().insert(Arc::clone(principal));
        }
        Ok(entrant)
    }

    async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        requester: Option<&Requester>,
    ) -> Result<Entrant, Fault> {
        // If one of these were given twice, the caller or the earlier result would be ambiguous.
        for name in [AUTHORIZATION.as_str(), IDEMPOTENCY_KEY] {
            if headers.get_all(name).iter().nth(1).is_some() {
                return Err(Fault::invalid_field(name, "must be given once"));
            }
        }
        let rule = self.policies.rule(path);
        match rule {
            Rule::Public => match self.authenticate(headers, requester).await {
                // The caller cannot be determined at the moment; do not treat it as anonymous.
                Err(fault) if fault.kind == Kind::Unavailable => Err(fault),
                // A program acts within its scope here too, or else without an account.
                known => Ok(known
                    .and_then(|principal| self.within_scope(path, principal))
                    .unwrap_or_default()),
            },
            Rule::Authenticated(roles) => {
                let principal = self.authenticate(headers, requester).await?;
                let entrant = self.within_scope(path, principal)?;
                match &entrant.principal {
                    Some(principal) if roles.contains(&principal.role) => Ok(entrant),
                    _ => Err(wrong_role(roles)),
                }
            }
            Rule::Nobody => Err(Fault::new(
                Kind::Forbidden,
                "FORBIDDEN",
                "Nobody may call this method.",
            )),
            Rule::Unknown => Err(Fault::new(
                Kind::Unimplemented,
                "UNKNOWN_METHOD",
                "There is no such method.",
            )),
        }
    }

    /// The caller as whom a call is carried out.
    ///
    /// # Errors
    /// As [`Policies::within_scope`].
    fn within_scope(&self, path: &str, caller: Arc<Principal>) -> Result<Entrant, Fault> {
        let role = caller.role;
        let principal = self.policies.within_scope(path, caller)?;
        Ok(Entrant {
            is_reduced: principal.role != role,
            principal: Some(principal),
        })
    }

    /// Removes the metadata that only a process of the mesh may set, unless the caller is one.
    ///
    /// # Errors
    /// If the call is a health check, and its service token is not valid: so a process learns that
    /// it has another secret. In other calls the token is ignored.
    async fn strip_unproven(
        &self,
        headers: &mut HeaderMap,
        is_health_check: bool,
    ) -> Result<(), Fault> {
        let token = headers.remove(SERVICE_TOKEN);
        let is_asked = is_health_check && token.is_some();
        let forwards = [CLIENT_ADDRESS, CLIENT_AGENT]
            .iter()
            .any(|name| headers.contains_key(*name));
        if !is_asked && !forwards {
            return Ok(());
        }
        let token = token.as_ref().and_then(|token| token.to_str().ok());
        let proven = match token {
            Some(token) => self.verifier.verify(token).await.ok(),
            None => None,
        };
        if proven.is_some_and(|principal| principal.role == Role::Service) {
            return Ok(());
        }
        headers.remove(CLIENT_ADDRESS);
        headers.remove(CLIENT_AGENT);
        match is_asked {
            true => Err(TokenError::Invalid.into()),
            false => Ok(()),
        }
    }

    /// Verifies the token and returns its principal. Also records it for the access log, whatever
    /// the decision is later.
    async fn authenticate(
        &self,
        headers: &HeaderMap,
        requester: Option<&Requester>,
    ) -> Result<Arc<Principal>, Fault> {
        let token = bearer(headers).ok_or_else(unauthenticated)?;
        let principal = self.verifier.verify(token).await?;
        if principal.role == Role::Service {
            return Ok(principal);
        }
        Span::current().record("user_id", display(principal.user_id));
        if let Some(requester) = requester {
            requester.is_user(principal.user_id);
        }
        if let Some(accounts) = &self.accounts {
            accounts.check(&principal).await?;
        }
        Ok(principal)
    }
}

/// Who reaches a service.
#[derive(Default)]
struct Entrant {
    principal: Option<Arc<Principal>>,
    /// Whether the caller acts with less than the role of the account, because of a token's scope.
    is_reduced: bool,
}

impl Entrant {
    /// The answer to the caller. A service that refuses what only admins may do does not know that
    /// the account is an admin's: then the token's scope is what is missing.
    fn answer(&self, response: Response<Body>) -> Response<Body> {
        if !self.is_reduced {
            return response;
        }
        let refused = Status::from_header_map(response.headers()).map(Fault::from);
        match refused {
            Some(fault) if fault.code == ADMIN_REQUIRED => {
                Status::from(scope_required(Scope::Admin)).into_http()
            }
            _ => response,
        }
    }
}

/// The address of the client for which another process forwards the call. Call it only after that
/// process is authenticated.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(CLIENT_ADDRESS)?.to_str().ok()?.parse().ok()
}

/// The call as the events that it causes describe it. Call it only after the process that forwards
/// the call is authenticated.
fn request_info(request: &Request<Body>) -> RequestInfo {
    let id = request.headers().get(REQUEST_ID);
    let id = id.filter(|id| is_id(id.as_bytes()));
    RequestInfo {
        id: id.and_then(|id| id.to_str().ok()).map(str::to_owned),
        address: forwarded_for(request.headers()).or_else(|| peer(request)),
    }
}

/// The address at the other end of the connection.
fn peer(request: &Request<Body>) -> Option<IpAddr> {
    let peer = request.extensions().get::<TcpConnectInfo>()?.remote_addr?;
    Some(peer.ip().to_canonical())
}

/// The token in an `authorization: Bearer …` header.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The principal that the access layer has determined for a request. It is a service only if the
/// method allows that role; otherwise it is an account, which may be an author or an owner.
///
/// # Errors
/// `UNAUTHENTICATED` if there was no token: possible on public methods only.
pub fn principal<T>(request: &tonic::Request<T>) -> Result<Arc<Principal>, Fault> {
    request
        .extensions()
        .get::<Arc<Principal>>()
        .cloned()
        .ok_or_else(unauthenticated)
}

fn unauthenticated() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "UNAUTHENTICATED",
        "Sign in first: send the token as 'Authorization: Bearer'.",
    )
}

fn wrong_role(allowed: &[Role]) -> Fault {
    if allowed == [Role::Admin] {
        Fault::new(
            Kind::Forbidden,
            ADMIN_REQUIRED,
            "Only an admin may do this.",
        )
    } else {
        Fault::new(Kind::Forbidden, "FORBIDDEN", "Your role may not do this.")
    }
}

impl From<TokenError> for Fault {
    fn from(error: TokenError) -> Self {
        let detail = error.to_string();
        match error {
            TokenError::Invalid | TokenError::NotYetValid => {
                Fault::new(Kind::Unauthenticated, "INVALID_TOKEN", detail)
            }
            TokenError::Expired => Fault::new(Kind::Unauthenticated, "TOKEN_EXPIRED", detail),
            TokenError::SessionEnded => Fault::new(Kind::Unauthenticated, "SESSION_ENDED", detail),
            TokenError::Revoked => Fault::new(Kind::Unauthenticated, "TOKEN_REVOKED", detail),
            TokenError::KeysUnavailable => Fault::new(Kind::Unavailable, "UNAVAILABLE", detail)
                .retry_after(Duration::from_secs(1)),
        }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Access {
            layer: self.clone(),
            inner,
        }
    }
}

/// A service with the access check in front.
#[derive(Clone)]
pub struct Access<S> {
    layer: AccessLayer,
    inner: S,
}

impl<S> Service<Request<Body>> for Access<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let layer = self.layer.clone();
        Box::pin(async move {
            let entrant = match layer.enter(&mut request).await {
                Ok(entrant) => entrant,
                Err(fault) => return Ok(Status::from(fault).into_http()),
            };
            if !layer.policies.streams(request.uri().path()) {
                let info = request_info(&request);
                let response = info.scope(inner.call(request)).await?;
                return Ok(entrant.answer(response));
            }
            let principal = entrant.principal.as_deref();
            match layer.streams.open(principal) {
                Ok(open) => {
                    let session = principal.and_then(|principal| principal.session_id);
                    let watch = layer.verifier.ended().watch(session);
                    let response = inner.call(request).await?;
                    let life = StreamLife::new(principal, layer.verifier.now(), watch);
                    Ok(bounded(response, open, life))
                }
                Err(fault) => Ok(Status::from(fault).into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use jiff::Timestamp;
    use tower::{ServiceExt as _, service_fn};
    use uuid::Uuid;

    use super::*;
    use crate::access::{Issuer, Keyring, ServiceSecret, ServiceTokens};
    use slipway_runtime::clock::{ManualClock, SharedClock};

    const TTL: Duration = Duration::from_secs(60);
    const ADDRESS: &str = "192.0.2.1";

    /// A layer with the keys of accounts and the secret of services.
    fn layer(keys: &Keyring, secret: &ServiceSecret, clock: &SharedClock) -> AccessLayer {
        let policies = Policies::from_descriptor_set(slipway_proto::DESCRIPTOR_SET).unwrap();
        let verifier = Verifier::with_keys(keys.jwks(), secret.clone(), clock.clone());
        let streams = super::super::StreamLimits::new(1, 16);
        AccessLayer::new(Arc::new(policies), Arc::new(verifier), streams)
    }

    #[tokio::test]
    async fn only_a_health_check_tells_whether_its_service_token_is_valid() {
        let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::now()));
        let secret = ServiceSecret::random();
        let layer = layer(&Keyring::ephemeral(), &secret, &clock);
        let known = ServiceTokens::new(secret, "gateway", clock.clone()).current();
        let stranger = ServiceTokens::new(ServiceSecret::random(), "gateway", clock).current();
        let health = "/grpc.health.v1.Health/Check";
        let login = "/slipway.identity.v1.IdentityService/Login";
        for (path, token, code) in [
            (health, None, None),
            (health, Some(&known), None),
            (health, Some(&stranger), Some("16")),
            (login, Some(&stranger), None),
        ] {
            let service = layer.layer(service_fn(async |_: Request<Body>| {
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }));
            let mut request = Request::builder().uri(path);
            if let Some(token) = token {
                request = request.header(SERVICE_TOKEN, token);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = service.oneshot(request).await.unwrap();
            let status = response.headers().get("grpc-status");
            let status = status.map(|status| status.to_str().unwrap());
            assert_eq!(status, code, "{path} {token:?}");
        }
    }

    /// The metadata about the client that reaches the service.
    async fn passed(layer: &AccessLayer, metadata: &[(&str, &str)]) -> Vec<(String, String)> {
        let service = layer.layer(service_fn(|request: Request<Body>| async move {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = request.headers().clone();
            Ok::<_, Infallible>(response)
        }));
        let mut request = Request::builder().uri("/slipway.identity.v1.IdentityService/Login");
        for (name, value) in metadata {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        let headers = response.headers().iter();
        headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .filter(|(name, _)| name.starts_with("slipway-"))
            .collect()
    }

    #[tokio::test]
    async fn a_call_is_handled_as_a_part_of_its_request() {
        let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::now()));
        let secret = ServiceSecret::random();
        let layer = layer(&Keyring::ephemeral(), &secret, &clock);
        let gateway = ServiceTokens::new(secret, "gateway", clock).current();
        let peer: IpAddr = [127, 0, 0, 1].into();
        let too_long = "x".repeat(129);
        for (metadata, id, address) in [
            (vec![], None, peer),
            (
                vec![(REQUEST_ID, "r-1"), (CLIENT_ADDRESS, ADDRESS)],
                Some("r-1"),
                peer,
            ),
            (vec![(REQUEST_ID, &*too_long)], None, peer),
            (
                vec![(CLIENT_ADDRESS, ADDRESS), (SERVICE_TOKEN, &*gateway)],
                None,
                ADDRESS.parse().unwrap(),
            ),
        ] {
            let service = layer.layer(service_fn(async |_: Request<Body>| {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(RequestInfo::current());
                Ok::<_, Infallible>(response)
            }));
            let mut request = Request::builder()
                .uri("/slipway.identity.v1.IdentityService/Login")
                .extension(TcpConnectInfo {
                    local_addr: None,
                    remote_addr: Some((peer, 7).into()),
                });
            for (name, value) in metadata {
                request = request.header(name, value);
            }
            let request = request.body(Body::empty()).unwrap();
            let response = service.oneshot(request).await.unwrap();
            let info = response.extensions().get::<RequestInfo>().unwrap();
            assert_eq!((info.id.as_deref(), info.address), (id, Some(address)));
        }
    }

    #[tokio::test]
    async fn a_client_address_is_trusted_only_with_a_service_token() {
        let clock: SharedClock = Arc::new(ManualClock::at(Timestamp::now()));
        let keys = Arc::new(Keyring::ephemeral());
        let secret = ServiceSecret::random();
        let layer = layer(&keys, &secret, &clock);
        let gateway = ServiceTokens::new(secret, "gateway", clock.clone()).current();
        let stranger = ServiceTokens::new(ServiceSecret::random(), "gateway", clock.clone());
        let issuer = Issuer::new(keys, TTL, clock);
        let admin = issuer.issue(Uuid::now_v7(), "admin", Role::Admin, None);
        let admin = admin.unwrap().text;

        let address = (CLIENT_ADDRESS, ADDRESS);
        let believed = [(CLIENT_ADDRESS.to_owned(), ADDRESS.to_owned())];
        assert_eq!(
            passed(&layer, &[address, (SERVICE_TOKEN, &gateway)]).await,
            believed
        );
        let bearer = format!("Bearer {admin}");
        let users_call = [
            address,
            (SERVICE_TOKEN, &*gateway),
            ("authorization", &*bearer),
        ];
        assert_eq!(passed(&layer, &users_call).await, believed);
        for unproven in [
            vec![address],
            vec![address, ("authorization", &*bearer)],
            vec![address, (SERVICE_TOKEN, &*admin)],
            vec![address, (SERVICE_TOKEN, &*stranger.current())],
            vec![address, (SERVICE_TOKEN, "")],
            vec![
                address,
                (SERVICE_TOKEN, "x.y.z"),
                (SERVICE_TOKEN, &*gateway),
            ],
        ] {
            assert_eq!(passed(&layer, &unproven).await, [], "{unproven:?}");
        }
    }
}
