//! The ops port.

use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use super::{Finding, Health, Phase};

/// The ops port: `/metrics` for Prometheus, `/healthz` (alive), `/readyz` (can serve, and
/// which dependencies are missing).
pub fn ops_router(health: Health, metrics: PrometheusHandle) -> Router {
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
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    phase: Phase,
    /// What is missing and does not keep it from serving, as `service: dependency`.
    degraded: Vec<String>,
    checks: Vec<Finding>,
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let checks = health.findings().await;
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
