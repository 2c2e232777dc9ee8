//! What wraps every request: its trace and id, a deadline, a bound on its size, a
//! panic that stays in it, its metrics and its line in the access log; and what browsers and caches are told of every
//! answer.

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
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use slipway_rpc::error::Fault;
use slipway_runtime::{
    life::panic_text,
    telemetry::{
        TraceContext,
        access::{self, Outcome, Requester},
        trace::TRACEPARENT,
    },
};
use tokio::{sync::Notify, time};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{body::limit_of, error_rate::ErrorRate, metrics as m, problem::Problem, strict};

const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 128;

/// Beyond the deadline that services were given: whoever answers late, the client hears
/// of it.
const GRACE: Duration = Duration::from_secs(1);

/// Where a model writes the answer: it may take this long, which is longer than the
/// assistant is given.
const LONG_DEADLINE: Duration = Duration::from_secs(300);

/// The routes where one does.
const SLOW_ROUTES: [&str; 2] = ["/chat/{sessionId}/message", "/v1/chat/{sessionId}/message"];

/// What surrounding takes.
#[derive(Clone)]
pub(crate) struct MiddlewareConfig {
    /// Bounds the time to the head of the answer, from when the request's body is there; a
    /// stream may go on after it.
    pub(crate) deadline: Duration,
    /// Where answers are counted.
    pub(crate) errors: Arc<ErrorRate>,
    /// Whether requests are in the access log.
    pub(crate) access_log: bool,
}

/// Caches keep nothing of what depends on who asks, and hand it to nobody.
const PRIVATE: &str = "private, no-store";

/// For answers that are no pages: should a browser take one for a page, it does nothing.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// For the pages of `/docs`: what Swagger UI is made of, and requests to this server. Its
/// script writes a style, and its icons are data.
const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// What is agreed about the body of a request between those who wrap it and those who
/// read it.
#[derive(Clone)]
pub(crate) struct BodyState(Arc<Expected>);

struct Expected {
    /// Bytes that it may have.
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

    /// Bytes that the body may have.
    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// The body is there. The time that its client took to send it is no delay of ours: only
    /// now begins the time that the answer may take.
    pub(crate) fn note(&self) {
        self.0.arrived.notify_one();
    }
}

/// Surrounds a request.
pub(crate) async fn middleware(
    State(config): State<MiddlewareConfig>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = route_label(&request);
    let limit = limit_of(&route);
    let strange = strict::fault(&request);
    let shown = Shown::at(&route);
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
    let trace = TraceContext::continue_from(
        request
            .headers()
            .get(TRACEPARENT)
            .and_then(|value| value.to_str().ok()),
    );
    let span = tracing::info_span!(
        "request",
        method,
        route,
        trace_id = trace.trace_id(),
        request_id = request_id.to_str().unwrap_or_default(),
    );
    let mut response = trace
        .scope(
            async {
                match strange {
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
    shown.tell(headers);
    // The rest of the body may still come: nobody waits for it, or knows where it ends.
    if http1 && (strange.is_some() || status == StatusCode::REQUEST_TIMEOUT.as_u16()) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// To whom an answer is shown, by its route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The page with the documentation, and its parts: alike for everybody.
    Docs,
    /// The document: alike for everybody.
    Document,
    /// All others depend on who asks, unless they say otherwise.
    Caller,
}

impl Shown {
    fn at(route: &str) -> Self {
        match route {
            "/openapi.json" => Self::Document,
            "/docs" => Self::Docs,
            _ if route.starts_with("/docs/") => Self::Docs,
            _ => Self::Caller,
        }
    }

    /// Tells browsers and caches.
    fn tell(self, headers: &mut HeaderMap) {
        let policy = if self == Self::Docs { DOCS } else { NO_PAGE };
        for (name, value) in [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (CONTENT_SECURITY_POLICY, policy),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
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

/// What `work` returns, unless it takes longer than `deadline`, which begins again when the
/// body has arrived.
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

/// Whether the body is too large by its own account: refused before it is sent. Bodies
/// that do not say are bounded while they are read.
fn announces_too_much(headers: &HeaderMap, limit: usize) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > limit as u64)
}

/// The client's own id if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    headers
        .get(REQUEST_ID)
        .filter(|value| {
            let bytes = value.as_bytes();
            (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
        })
        .cloned()
        .unwrap_or_else(|| {
            HeaderValue::try_from(Uuid::now_v7().to_string())
                .expect("a UUID is hexadecimal digits and hyphens")
        })
}

/// The route's template: never the path itself, of which there are endlessly many.
fn route_label(request: &Request) -> String {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}

/// The method, if it is one of HTTP's own: clients can make up others.
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
