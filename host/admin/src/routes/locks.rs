//! Locks in stores.

use axum::Json as Body;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

use super::stores::OnStore;
use crate::extract::{Path, Query, Reply};
use crate::model::{Lock, LockList};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    const LOCKS: &str = "/api/v1/locks";
    const LOCK: &str = "/api/v1/locks/{name}";
    vec![
        Route::get(LOCKS, "A page of the locks that are held", locks).query::<Which>().answers::<LockList>(),
        Route::get(LOCK, "Who holds a lock", lock).query::<OnStore>().answers::<Lock>(),
        Route::delete(LOCK, "End the lease of whoever holds a lock", release).query::<Grant>().answers::<Lock>(),
    ]
}

/// Which locks a request means.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The store's name; `default` without.
    store: Option<String>,
    /// Their names; `*` stands for any characters. All without.
    pattern: Option<String>,
    /// `next` of the page before; the first page without.
    cursor: Option<String>,
}

/// Which lease is ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    /// The store's name; `default` without.
    store: Option<String>,
    /// The fence of the grant; whichever there is without.
    fence: Option<u64>,
}

async fn locks(State(host): State<Late>, Query(which): Query<Which>) -> Reply<LockList> {
    let pattern = which.pattern.unwrap_or_else(|| "*".into());
    host.ask(|control| async move { control.locks(which.store.as_deref(), &pattern, which.cursor.as_deref()).await }).await.map(Body)
}

async fn lock(State(host): State<Late>, Path(name): Path<String>, Query(on): Query<OnStore>) -> Reply<Lock> {
    host.ask(|control| async move { control.lock(on.store.as_deref(), &name).await }).await.map(Body)
}

async fn release(State(host): State<Late>, Path(name): Path<String>, Query(grant): Query<Grant>) -> Reply<Lock> {
    host.ask(move |control| async move { control.release_lock(grant.store.as_deref(), &name, grant.fence).await }).await.map(Body)
}
