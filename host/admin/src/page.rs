//! The status page: one file, part of the binary, that asks the API like anyone else.

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::Html;

use crate::route::Route;

const PAGE: &str = include_str!("page.html");
/// Nothing from elsewhere, and only the API to talk to.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

pub(crate) fn routes() -> Vec<Route> {
    let serve = || async { ([(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")], Html(PAGE)) };
    vec![Route::get("/", "A page with the host's status, for people", serve)]
}
