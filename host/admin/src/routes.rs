//! The API: one file per area, each a list of routes.

mod brokers;
mod dead_letters;
mod groups;
mod handlers;
mod locks;
mod messages;
mod stores;
mod topics;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::route::Route;

/// Every route below `/api/v1`.
pub(crate) fn all() -> Vec<Route> {
    [
        brokers::routes(),
        handlers::routes(),
        messages::routes(),
        topics::routes(),
        groups::routes(),
        dead_letters::routes(),
        stores::routes(),
        locks::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Which broker a request means.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnBroker {
    /// The broker's name; `default` without.
    broker: Option<String>,
}
