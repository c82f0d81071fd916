//! Values in stores.

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::ControlError;
use crate::extract::{Json, Path, Query, Reply};
use crate::model::{BucketKind, Count, InBucket, KeyList, SetValue, Value};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    const KEYS: &str = "/api/v1/stores/{kind}/{bucket}/keys";
    const VALUE: &str = "/api/v1/stores/{kind}/{bucket}/values/{key}";
    vec![
        Route::get(KEYS, "A page of the keys of a bucket of kind `cache` or `key-value`", keys).query::<Which>().answers::<KeyList>(),
        Route::delete(KEYS, "Remove the keys that match", delete_matching).query::<Matching>().answers::<Count>(),
        Route::get(VALUE, "One value", get).query::<OnStore>().answers::<Value>(),
        Route::post(VALUE, "Set one value", set).query::<OnStore>().body::<SetValue>(),
        Route::delete(VALUE, "Remove one value", delete).query::<OnStore>(),
    ]
}

/// Which store a request means.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OnStore {
    /// The store's name; `default` without.
    pub(super) store: Option<String>,
}

/// Which keys a request means.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The store's name; `default` without.
    store: Option<String>,
    /// The keys; `*` stands for any characters. All without.
    pattern: Option<String>,
    /// `next` of the page before; the first page without.
    cursor: Option<String>,
}

/// Which keys are removed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Matching {
    /// The store's name; `default` without.
    store: Option<String>,
    /// The keys; `*` stands for any characters.
    pattern: String,
}

type Bucket = Path<(BucketKind, String)>;
type Entry = Path<(BucketKind, String, String)>;

async fn keys(State(host): State<Late>, Path((kind, bucket)): Bucket, Query(which): Query<Which>) -> Reply<KeyList> {
    let bucket = InBucket { store: which.store, kind, bucket };
    let pattern = which.pattern.unwrap_or_else(|| "*".into());
    host.ask(|control| async move { control.keys(&bucket, &pattern, which.cursor.as_deref()).await }).await.map(Body)
}

async fn delete_matching(State(host): State<Late>, Path((kind, bucket)): Bucket, Query(which): Query<Matching>) -> Reply<Count> {
    let bucket = InBucket { store: which.store, kind, bucket };
    host.ask(|control| async move { control.delete_matching(&bucket, &which.pattern).await }).await.map(Body)
}

async fn get(State(host): State<Late>, Path((kind, bucket, key)): Entry, Query(on): Query<OnStore>) -> Reply<Value> {
    let bucket = InBucket { store: on.store, kind, bucket };
    host.ask(|control| async move { control.value(&bucket, &key).await }).await.map(Body)
}

async fn set(
    State(host): State<Late>,
    Path((kind, bucket, key)): Entry,
    Query(on): Query<OnStore>,
    Json(value): Json<SetValue>,
) -> Result<StatusCode, ControlError> {
    let bucket = InBucket { store: on.store, kind, bucket };
    host.ask(|control| async move { control.set_value(&bucket, &key, value).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(State(host): State<Late>, Path((kind, bucket, key)): Entry, Query(on): Query<OnStore>) -> Result<StatusCode, ControlError> {
    let bucket = InBucket { store: on.store, kind, bucket };
    host.ask(|control| async move { control.delete_value(&bucket, &key).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}
