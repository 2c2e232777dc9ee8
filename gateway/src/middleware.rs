//! The middleware around every request: trace and request id, deadline, size limit, panic
//! handling, metrics and access log; and the security and cache headers of every response.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY,
        STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use slipway_rpc::{error::Fault, metadata::REQUEST_ID};
use slipway_runtime::{
    life::panic_text,
    request::is_id,
    telemetry::{
        TraceContext,
        access::{self, Outcome, Requester},
        metrics::Counted,
        trace::TRACEPARENT,
    },
};
use tokio::{sync::Notify, time};
use tracing::{Instrument as _, field::Empty};
use uuid::Uuid;

use crate::{body::limit_of, error_rate::ErrorRate, metrics as m, problem::Problem, strict};

/// The id of a request, in its extensions.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Added to the deadline of services, so that the client gets the service's own timeout error.
const GRACE: Duration = Duration::from_secs(1);

/// Deadline of routes on which a model writes the answer. Longer than the assistant's own limit.
const LONG_DEADLINE: Duration = Duration::from_secs(300);

/// The routes with the long deadline.
const SLOW_ROUTES: [&str; 3] = [
    "/chat/{sessionId}/message",
    "/v1/chat/{sessionId}/message",
    "/ui/assistant",
];

/// Configuration and state of the middleware.
#[derive(Clone)]
pub(crate) struct MiddlewareConfig {
    /// Time from the end of the request's body to the head of the response. A stream may last
    /// longer.
    pub(crate) deadline: Duration,
    /// Counts the responses.
    pub(crate) errors: Arc<ErrorRate>,
    /// Whether requests are logged in the access log.
    pub(crate) access_log: bool,
    /// Whether clients use https: browsers are told to use nothing else.
    pub(crate) https: bool,
}

/// `Cache-Control` of responses that depend on the caller: no cache may store them.
const PRIVATE: &str = "private, no-store";

/// `Strict-Transport-Security`: for a year, for this host and not for others below it.
const ONLY_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Content security policy of responses that are not pages: if a browser shows one as a page, it
/// loads nothing.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// Content security policy of `/docs`: the parts of Swagger UI, and requests to this server.
/// Swagger UI needs inline styles and `data:` images.
const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// The state of a request's body, shared by the middleware and the extractor that reads it.
#[derive(Clone)]
pub(crate) struct BodyState(Arc<Expected>);

struct Expected {
    /// Maximum bytes.
    limit: usize,
    arrived: Notify,
}

impl BodyState {
    fn of(limit: usize) -> Self {
        Self(Arc::new(Expected {
            limit,
            arrived: Notify::new(),
        }))
    }

    /// Maximum bytes of the body.
    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// Records that the body has arrived, which restarts the deadline: the time that the client
    /// took to send the body does not count.
    pub(crate) fn note(&self) {
        self.0.arrived.notify_one();
    }
}

/// Handles a request with the router's response inside the middleware.
pub(crate) async fn middleware(
    State(config): State<MiddlewareConfig>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let _in_flight = Counted::new(metrics::gauge!(m::HTTP_IN_FLIGHT));
    let method = method_label(request.method());
    let route = route_label(&request);
    let limit = limit_of(&route);
    let malformed = strict::fault(&request);
    let audience = Audience::of(&route);
    let deadline = if SLOW_ROUTES.contains(&route.as_str()) {
        LONG_DEADLINE
    } else {
        config.deadline + GRACE
    };
    let requester = Requester::default();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
    if config.access_log {
        request.extensions_mut().insert(requester.clone());
    }
    let http1 = request.version() <= Version::HTTP_11;
    let request_id = request_id(request.headers());
    request
        .extensions_mut()
        .insert(RequestId(request_id.clone()));
    let caller = request.headers().get(TRACEPARENT);
    let caller = TraceContext::read(caller.and_then(|value| value.to_str().ok()));
    let span = tracing::info_span!(
        "request",
        method,
        route,
        trace_id = Empty,
        request_id = request_id.to_str().unwrap_or_default(),
        user_id = Empty,
        http.response.status_code = Empty,
        otel.kind = "server",
    );
    let trace = TraceContext::of(&span, caller);
    span.record("trace_id", trace.trace_id());
    let mut response = trace
        .scope(
            async {
                match malformed {
                    Some(detail) => Problem::malformed_request(detail).into_response(),
                    None => answer(deadline, limit, request, next).await,
                }
            }
            .instrument(span.clone()),
        )
        .await;

    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    config.errors.note(response.status().is_server_error());
    span.record("http.response.status_code", status);
    span.in_scope(|| tracing::debug!(status, ?elapsed, "answered"));
    if config.access_log {
        let outcome = Outcome::Http {
            method,
            route: &route,
            status,
        };
        access::log(outcome, &requester, peer, elapsed, trace);
    }
    let labels = [("route", route.clone()), ("method", method.to_owned())];
    metrics::histogram!(m::HTTP_SECONDS, &labels).record(elapsed);
    metrics::counter!(
        m::HTTP_REQUESTS,
        "route" => route, "method" => method, "status" => status.to_string()
    )
    .increment(1);

    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id);
    if let Ok(value) = trace.to_string().parse() {
        headers.insert(TRACEPARENT, value);
    }
    audience.set_headers(headers);
    if config.https {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_HTTPS);
    }
    // The rest of the body may still arrive, and its end is unknown: close the connection.
    if http1 && (malformed.is_some() || status == StatusCode::REQUEST_TIMEOUT.as_u16()) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The audience of a response, by its route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The documentation page and its parts: the same for everybody.
    Docs,
    /// The OpenAPI document: the same for everybody.
    Document,
    /// All other responses depend on the caller, unless they set `Cache-Control` themselves.
    Caller,
}

impl Audience {
    fn of(route: &str) -> Self {
        match route {
            "/openapi.json" => Self::Document,
            "/docs" => Self::Docs,
            _ if route.starts_with("/docs/") => Self::Docs,
            _ => Self::Caller,
        }
    }

    /// Sets the headers for browsers and caches.
    fn set_headers(self, headers: &mut HeaderMap) {
        let policy = if self == Self::Docs { DOCS } else { NO_PAGE };
        for (name, value) in [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, policy),
        ] {
            // Pages have their own.
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        if self == Self::Caller {
            headers
                .entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static(PRIVATE));
        }
    }
}

async fn answer(deadline: Duration, limit: usize, mut request: Request, next: Next) -> Response {
    if announces_too_much(request.headers(), limit) {
        return Problem::body_too_large(limit).into_response();
    }
    let arrival = BodyState::of(limit);
    request.extensions_mut().insert(arrival.clone());
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match within(deadline, &arrival, work).await {
        Some(Ok(response)) => response,
        Some(Err(panic)) => {
            let fault = Fault::internal(format_args!("panic: {}", panic_text(&*panic)));
            Problem::from(fault).into_response()
        }
        None => Problem::from(Fault::deadline()).into_response(),
    }
}

/// The result of `work`; `None` if it takes longer than `deadline`, which restarts when the body
/// has arrived.
async fn within<T>(
    deadline: Duration,
    arrival: &BodyState,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut expiry = pin!(time::sleep(deadline));
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            () = arrival.0.arrived.notified() => expiry.as_mut().reset(time::Instant::now() + deadline),
            () = &mut expiry => return None,
        }
    }
}

/// Whether the announced length of the body is too large. Bodies without a length are limited while
/// they are read.
fn announces_too_much(headers: &HeaderMap, limit: usize) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > limit as u64)
}

/// The client's request id if it is valid, or else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    headers
        .get(REQUEST_ID)
        .filter(|value| is_id(value.as_bytes()))
        .cloned()
        .unwrap_or_else(|| {
            HeaderValue::try_from(Uuid::now_v7().to_string())
                .expect("a UUID is hexadecimal digits and hyphens")
        })
}

/// The route's template. Not the path, because the number of paths is not limited.
fn route_label(request: &Request) -> String {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}

/// The method if it is a standard one, or else `OTHER`, because clients can invent methods.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
