//! Liveness, readiness and metrics. They look at what is in memory and wait for nobody.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::Serialize;

use crate::readiness::Readiness;
use crate::route::Route;
use crate::server::Metrics;

/// What Prometheus is told that the text is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For everyone: probes have no token.
pub(crate) fn probes(readiness: &Readiness) -> Vec<Route> {
    let readiness = readiness.clone();
    vec![
        Route::get("/livez", "The process runs", || async { "ok\n" }),
        Route::get("/healthz", "The same as /livez", || async { "ok\n" }),
        Route::get("/readyz", "Ready, or 503 with what is missing", move || async move { ready(&readiness) }).answers::<Ready>(),
    ]
}

/// Nothing where metrics are off.
pub(crate) fn metrics(metrics: Option<Metrics>) -> Vec<Route> {
    let Some(metrics) = metrics else { return Vec::new() };
    let serve = move || {
        let metrics = Arc::clone(&metrics);
        async move { ([(CONTENT_TYPE, OPEN_METRICS)], metrics()) }
    };
    vec![Route::get("/metrics", "Metrics in the text form of OpenMetrics, which Prometheus reads", serve)]
}

/// Whether the host is ready.
#[derive(Serialize, JsonSchema)]
struct Ready {
    /// Whether it is.
    ready: bool,
    /// What is missing.
    missing: Vec<String>,
}

fn ready(readiness: &Readiness) -> (StatusCode, Json<Ready>) {
    let missing = readiness.missing();
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: missing.is_empty(), missing }))
}
