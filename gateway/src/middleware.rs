//! What surrounds every request: its trace and id, a deadline, a bound on its size, a
//! panic that stays in it, and its metrics.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS},
};
use slipway_mesh::{
    error::Fault,
    telemetry::{TraceContext, trace::TRACEPARENT},
};
use tokio::{sync::Notify, time};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    error_rate::ErrorRate,
    metrics as m,
    problem::{BODY_LIMIT, Problem},
};

const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID: usize = 128;

/// Beyond the deadline that services were given: whoever answers late, the client hears
/// of it.
const GRACE: Duration = Duration::from_secs(1);

/// Where a model writes the answer: it may take this long, which is longer than the
/// assistant is given.
const PATIENT: Duration = Duration::from_secs(300);

/// The routes where one does.
const PATIENT_ROUTES: [&str; 2] = ["/chat/{sessionId}/message", "/v1/chat/{sessionId}/message"];

/// What surrounding takes.
#[derive(Clone)]
pub(crate) struct Around {
    /// Bounds the time to the head of the answer, from when the request's body is there; a
    /// stream may go on after it.
    pub(crate) deadline: Duration,
    /// Where answers are counted.
    pub(crate) errors: Arc<ErrorRate>,
}

/// Tells that the body of a request is there. The time that its client took to send it is
/// no delay of ours: only now begins the time that the answer may take.
#[derive(Clone, Default)]
pub(crate) struct Arrival(Arc<Notify>);

impl Arrival {
    /// The body is there.
    pub(crate) fn note(&self) {
        self.0.notify_one();
    }
}

/// Surrounds a request.
pub(crate) async fn surround(
    State(Around { deadline, errors }): State<Around>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = route_label(&request);
    let deadline = if PATIENT_ROUTES.contains(&route.as_str()) {
        PATIENT
    } else {
        deadline + GRACE
    };
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
        .scope(answer(deadline, request, next).instrument(span.clone()))
        .await;

    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    errors.note(response.status().is_server_error());
    span.in_scope(|| tracing::debug!(status, ?elapsed, "answered"));
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
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The rest of the body may still come: nobody waits for it.
    if http1 && status == StatusCode::REQUEST_TIMEOUT.as_u16() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer(deadline: Duration, mut request: Request, next: Next) -> Response {
    if announces_too_much(request.headers()) {
        return Problem::body_too_large().into_response();
    }
    let arrival = Arrival::default();
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
    arrival: &Arrival,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut expiry = pin!(time::sleep(deadline));
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            () = arrival.0.notified() => expiry.as_mut().reset(time::Instant::now() + deadline),
            () = &mut expiry => return None,
        }
    }
}

/// Whether the body is too large by its own account: refused before it is sent. Bodies
/// that do not say are bounded while they are read.
fn announces_too_much(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > BODY_LIMIT as u64)
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

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}
