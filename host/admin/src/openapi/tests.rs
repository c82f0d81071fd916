//! The checked-in description is fresh, and says neither more nor less than the router.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{Method, Request, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::document::document;
use crate::guard::Guard;
use crate::model::Host;
use crate::readiness::Readiness;
use crate::route::{Late, Route};
use crate::server::{Metrics, Serve, router};
use crate::{health, host, openapi, page, routes};

fn metrics() -> Metrics {
    Arc::new(String::new)
}

fn host() -> Host {
    Host { version: "1".into(), pid: 1, config: None }
}

fn every_route() -> Vec<Route> {
    let groups = [
        health::probes(&Readiness::new()),
        health::metrics(Some(metrics())),
        page::routes(),
        openapi::routes(),
        routes::all(),
        host::routes(&host()),
    ];
    groups.into_iter().flatten().collect()
}

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |path: &Value| path.as_object().expect("methods").keys().map(|m| m.to_uppercase()).collect::<Vec<_>>();
    paths.iter().flat_map(|(path, item)| methods(item).into_iter().map(|m| (path.clone(), m))).collect()
}

#[test]
fn the_description_is_fresh() {
    let fresh = format!("{:#}\n", document(&every_route()));
    if fresh != openapi::DOCUMENT {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        std::fs::write(file, fresh).expect("writing openapi.json");
        panic!("{file} was stale; it is written anew: look at it and commit it");
    }
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = operations(&serde_json::from_str(openapi::DOCUMENT).expect("JSON"));
    let routed: BTreeSet<_> = every_route().iter().map(|r| (r.path.to_owned(), r.method.to_string())).collect();
    assert_eq!(described, routed);
}

#[tokio::test]
async fn every_described_operation_is_served_and_no_other_method() {
    let serve = Serve { readiness: Readiness::new(), host: host(), metrics: Some(metrics()) };
    let service = TowerToHyperService::new(router(&serve, Arc::new(Guard::new(None)), Late::default()));
    let described = operations(&serde_json::from_str(openapi::DOCUMENT).expect("JSON"));
    for (path, _) in &described {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT] {
            let uri = path.replace(['{', '}'], "");
            let request = Request::builder().method(&method).uri(uri).header("host", "localhost").body(axum::body::Body::empty());
            let status = service.call(request.expect("a request")).await.expect("an answer").status();
            let expected = described.contains(&(path.clone(), method.to_string()));
            assert_ne!(status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(status != StatusCode::METHOD_NOT_ALLOWED, expected, "{method} {path}");
        }
    }
}
