//! Who a host is. It is known before its brokers are open and asked of none of them, so that a command finds its host also while a broker hangs.

use axum::Json;

use crate::model::Host;
use crate::route::Route;

pub(crate) fn routes(host: &Host) -> Vec<Route> {
    let host = host.clone();
    let serve = move || {
        let host = host.clone();
        async move { Json(host) }
    };
    vec![Route::get("/api/v1/host", "Which host this is; asks no broker", serve).answers::<Host>()]
}
