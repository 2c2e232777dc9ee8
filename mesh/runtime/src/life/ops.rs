//! The HTTP routes of the ops port.

use axum::{
    Json, Router,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, Version, header::HOST};
use serde::Serialize;

use super::{Finding, Health, Phase};
use crate::telemetry::metrics::Metrics;

/// The routes of the ops port: `/metrics` for Prometheus, `/healthz` (the process is alive),
/// `/readyz` (whether it can serve, and which dependencies fail).
pub fn ops_router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .with_state(health)
        .route(
            "/metrics",
            get(move || {
                let metrics = metrics.clone();
                async move {
                    (
                        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
                        metrics.render(),
                    )
                }
            }),
        )
        .layer(from_fn(require_one_host))
}

/// RFC 9112, section 3.2: a request of HTTP/1.1 must have exactly one `Host`.
async fn require_one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts != 1 {
        let text = "The request must have one Host header.\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    next.run(request).await
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    phase: Phase,
    /// Failed dependencies without which it can still serve, as `service: dependency`.
    degraded: Vec<String>,
    checks: Vec<Finding>,
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let checks = health.all_findings().await;
    let phase = health.phase();
    let ready = phase == Phase::Serving && !checks.iter().any(Finding::prevents);
    let degraded = checks
        .iter()
        .filter(|check| check.degrades())
        .map(|check| format!("{}: {}", check.service, check.dependency))
        .collect();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready,
            phase,
            degraded,
            checks,
        }),
    )
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_must_have_one_host() {
        let router = Router::new()
            .route("/", get(|| async {}))
            .layer(from_fn(require_one_host));
        for (version, hosts, status) in [
            (Version::HTTP_11, 0, 400),
            (Version::HTTP_11, 1, 200),
            (Version::HTTP_11, 2, 400),
            (Version::HTTP_10, 0, 200),
            (Version::HTTP_2, 0, 200),
        ] {
            let mut request = Request::builder().version(version);
            for _ in 0..hosts {
                request = request.header(HOST, "localhost");
            }
            let request = request.body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{version:?} {hosts}");
        }
    }
}
