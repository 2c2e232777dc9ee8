//! The outermost middleware of a gRPC call: checks the media type, sets trace and deadline, records
//! metrics, writes the access log, and turns a panic into an error.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};
use tokio::sync::Notify;
use tonic::{Status, body::Body, transport::server::TcpConnectInfo};
use tower::{Layer, Service};
use tracing::{Instrument as _, field::Empty};

use super::{deadline::Deadline, method};
use crate::error::Fault;
use crate::metrics as m;
use slipway_runtime::{
    life::panic_text,
    telemetry::{
        TraceContext,
        access::{self, Outcome, Requester},
        metrics::Counted,
        trace::TRACEPARENT,
    },
};

/// Path prefix of the standard health service.
const HEALTH: &str = "/grpc.health.v1.";

/// Counts the calls that were accepted and are not answered yet.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    count: AtomicUsize,
    changed: Notify,
}

impl InFlight {
    fn enter(&self) -> InFlightGuard {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        InFlightGuard {
            counter: Arc::clone(&self.0),
            _counted: Counted::new(metrics::gauge!(m::RPC_IN_FLIGHT)),
        }
    }

    /// Waits until no call is in flight.
    pub(super) async fn none(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

struct InFlightGuard {
    counter: Arc<Counter>,
    _counted: Counted,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if self.counter.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.counter.changed.notify_waiters();
        }
    }
}

/// Gives each call its trace and deadline, counts it, and turns a panic into INTERNAL. A request
/// without a gRPC media type is refused with HTTP status 415.
#[derive(Debug, Clone, Default)]
pub(super) struct CallLayer {
    in_flight: InFlight,
    /// Whether calls over the network are written to the access log.
    logs_access: bool,
}

impl CallLayer {
    /// Creates a layer that counts its calls in `in_flight`.
    #[must_use]
    pub(super) fn new(in_flight: InFlight) -> Self {
        Self {
            in_flight,
            logs_access: false,
        }
    }

    /// Sets whether calls over the network are written to the access log.
    pub(super) fn log_access(&mut self, logs_access: bool) {
        self.logs_access = logs_access;
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Call {
            in_flight: self.in_flight.clone(),
            logs_access: self.logs_access,
            inner,
        }
    }
}

/// A service wrapped by [`CallLayer`].
#[derive(Debug, Clone)]
pub(super) struct Call<S> {
    in_flight: InFlight,
    logs_access: bool,
    inner: S,
}

impl<S> Service<Request<Body>> for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if !is_grpc(request.headers()) {
            let mut refusal = Response::new(Body::empty());
            *refusal.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Box::pin(std::future::ready(Ok(refusal)));
        }
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let guard = self.in_flight.enter();
        let caller = request.headers().get(TRACEPARENT);
        let caller = TraceContext::read(caller.and_then(|value| value.to_str().ok()));
        let method = method::label(request.uri().path());
        let deadline = Deadline::of(request.headers());
        // Calls within the process have no peer, and health checks are too frequent for the log.
        let peer = request.extensions().get::<TcpConnectInfo>();
        let peer = peer
            .and_then(|peer| peer.remote_addr)
            .filter(|_| self.logs_access && !method.starts_with(HEALTH));
        let requester = Requester::default();
        if peer.is_some() {
            request.extensions_mut().insert(requester.clone());
        }
        let span = tracing::info_span!(
            "rpc",
            method,
            trace_id = Empty,
            user_id = Empty,
            otel.kind = "server"
        );
        let trace = TraceContext::of(&span, caller);
        span.record("trace_id", trace.trace_id());
        let work = async move {
            let _guard = guard;
            let started = Instant::now();
            let answer =
                AssertUnwindSafe(tokio::time::timeout_at(deadline.at(), inner.call(request)))
                    .catch_unwind()
                    .await;
            let response = match answer {
                Ok(Ok(answer)) => answer?,
                Ok(Err(_elapsed)) => Status::from(Fault::deadline()).into_http(),
                Err(panic) => {
                    let fault = Fault::internal(format_args!("panic: {}", panic_text(&*panic)));
                    Status::from(fault).into_http()
                }
            };
            let (code, elapsed) = (code(&response), started.elapsed());
            record(method, code, elapsed);
            if let Some(peer) = peer {
                let outcome = Outcome::Grpc { method, code };
                let peer = peer.ip().to_canonical();
                access::log(outcome, &requester, Some(peer), elapsed, trace);
            }
            Ok(response)
        };
        Box::pin(trace.scope(deadline.scope(work.instrument(span))))
    }
}

/// Whether a request has a gRPC media type with protobuf, the only supported encoding.
fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .map_or(&[][..], |value| value.as_bytes());
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    ["application/grpc", "application/grpc+proto"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
}

/// The code in the head of an answer; OK if the answer has not ended.
fn code(response: &Response<Body>) -> tonic::Code {
    Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |status| status.code())
}

fn record(method: &'static str, code: tonic::Code, elapsed: Duration) {
    metrics::counter!(m::RPC_CALLS, "method" => method, "code" => format!("{code:?}")).increment(1);
    metrics::histogram!(m::RPC_SECONDS, "method" => method).record(elapsed);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    async fn answer(
        timeout: &str,
        handler: fn() -> Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> tonic::Code {
        let service = CallLayer::default().layer(service_fn(move |_: Request<Body>| async move {
            handler().await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
        let request = Request::builder()
            .header("content-type", "application/grpc")
            .header("grpc-timeout", timeout)
            .body(Body::empty())
            .unwrap();
        let response = service.oneshot(request).await.unwrap();
        Status::from_header_map(response.headers()).map_or(tonic::Code::Ok, |s| s.code())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline() {
        let code = answer("100m", || Box::pin(std::future::pending())).await;
        assert_eq!(code, tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn a_panic_fails_only_its_own_call() {
        let code = answer("1S", || Box::pin(async { panic!("boom") })).await;
        assert_eq!(code, tonic::Code::Internal);
    }

    #[tokio::test]
    async fn requests_without_a_grpc_media_type_are_refused() {
        let service = CallLayer::default().layer(service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
        for (content_type, status) in [
            (Some("application/grpc"), 200),
            (Some("application/grpc+proto"), 200),
            (Some("Application/gRPC ; charset=utf-8"), 200),
            (Some("application/grpc+json"), 415),
            (Some("application/grpc-web"), 415),
            (Some("application/json"), 415),
            (Some("text/plain, application/grpc"), 415),
            (Some(""), 415),
            (None, 415),
        ] {
            let mut request = Request::builder();
            if let Some(content_type) = content_type {
                request = request.header(CONTENT_TYPE, content_type);
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = service.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{content_type:?}");
        }
    }

    #[tokio::test]
    async fn calls_in_flight_are_counted() {
        let in_flight = InFlight::default();
        let guard = in_flight.enter();
        let none = in_flight.none();
        let mut none = std::pin::pin!(none);
        assert!(none.as_mut().now_or_never().is_none());
        drop(guard);
        none.await;
    }
}
