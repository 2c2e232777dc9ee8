//! Extractors that authenticate the caller and prepare the metadata of calls to services.

use std::{net::SocketAddr, sync::Arc};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::{
    HeaderMap, Method,
    header::{AUTHORIZATION, COOKIE as COOKIE_HEADER},
    request::Parts,
};
use slipway_rpc::{
    access::{Principal, bearer},
    error::{Fault, Kind},
    grpc::{ForwardedClient, Outbound},
    metadata::IDEMPOTENCY_KEY,
};
use slipway_runtime::telemetry::access::Requester;
use tracing::{Span, field::display};

use crate::{
    app::{App, AppState},
    body::Sender,
    middleware::RequestId,
    operation,
    problem::Problem,
};

/// The cookie that carries the token for browsers.
pub(crate) const COOKIE: &str = "slipway_token";

pub(crate) const MAX_IDEMPOTENCY_KEY: usize = 255;

/// A client that has signed in.
pub(crate) struct Caller {
    /// The user of its token.
    pub(crate) principal: Arc<Principal>,
    /// Metadata for calls on its behalf.
    pub(crate) outbound: Outbound,
}

/// A client that need not have signed in.
pub(crate) struct AnonymousClient {
    /// Metadata for calls on its behalf; with a token only if the client sent one.
    pub(crate) outbound: Outbound,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let token = token(&parts.method, &parts.headers).ok_or_else(not_signed_in)?;
        let principal = app.verifier.verify(token).await.map_err(Fault::from)?;
        let token = Some(token.to_owned());
        parts.extensions.insert(Sender::Client);
        Span::current().record("user_id", display(principal.user_id));
        if let Some(requester) = parts.extensions.get::<Requester>() {
            requester.is_user(principal.user_id);
        }
        operation::check(parts, app.deadline).await?;
        Ok(Self {
            principal,
            outbound: outbound(parts, app, token)?,
        })
    }
}

impl FromRequestParts<AppState> for AnonymousClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let token = token(&parts.method, &parts.headers).map(str::to_owned);
        parts.extensions.insert(Sender::Client);
        operation::check(parts, app.deadline).await?;
        Ok(Self {
            outbound: outbound(parts, app, token)?,
        })
    }
}

/// The token of a request. The header takes precedence over the cookie, even if it is malformed.
/// The cookie is accepted only for GET and HEAD, which change nothing, so that a form on another
/// site cannot act for the user (CSRF).
fn token<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a str> {
    if headers.contains_key(AUTHORIZATION) {
        return bearer(headers);
    }
    if method == Method::GET || method == Method::HEAD {
        return cookie(headers);
    }
    None
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE_HEADER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn not_signed_in() -> Fault {
    Fault::new(
        Kind::Unauthenticated,
        "UNAUTHENTICATED",
        "Sign in first: send the token as 'Authorization: Bearer'.",
    )
}

fn outbound(parts: &Parts, app: &App, token: Option<String>) -> Result<Outbound, Fault> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let request_id = parts.extensions.get::<RequestId>();
    Ok(Outbound {
        token,
        deadline: Some(app.deadline),
        idempotency_key: idempotency_key(&parts.method, &parts.headers)?,
        request_id: request_id.map(|id| id.as_str().to_owned()),
        client: peer.map(|ConnectInfo(peer)| ForwardedClient {
            address: peer.ip().to_canonical(),
            service_token: app.services.current(),
        }),
    })
}

/// The key with which a client can repeat a POST safely.
fn idempotency_key(method: &Method, headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next().filter(|_| method == Method::POST) else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Fault::invalid_field(
            "Idempotency-Key",
            "must be given once",
        ));
    }
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if visible && (1..=MAX_IDEMPOTENCY_KEY).contains(&bytes.len()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(Fault::invalid_field(
            "Idempotency-Key",
            format!("must be 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters"),
        )),
    }
}
