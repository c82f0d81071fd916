//! The API's description, made from the routes and checked in as `openapi.json`; a test writes it anew and fails when it was stale.

use axum::http::header::CONTENT_TYPE;

use crate::route::Route;

const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) fn routes() -> Vec<Route> {
    let serve = || async { ([(CONTENT_TYPE, "application/json")], DOCUMENT) };
    vec![Route::get("/api/v1/openapi.json", "This description", serve)]
}

#[cfg(test)]
mod document;
#[cfg(test)]
mod tests;
