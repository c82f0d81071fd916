//! Groups.

use axum::Json as Body;
use axum::extract::State;

use super::OnBroker;
use crate::extract::{Json, Path, Query, Reply};
use crate::model::{Group, SeekGroup, Sought};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/groups", "Every group of a broker", list).query::<OnBroker>().answers::<Vec<Group>>(),
        Route::get("/api/v1/groups/{group}", "A group on every topic that it reads", describe).query::<OnBroker>().answers::<Vec<Group>>(),
        Route::post("/api/v1/seek", "Move a group that nobody uses now", seek).body::<SeekGroup>().answers::<Sought>(),
    ]
}

async fn list(State(host): State<Late>, Query(on): Query<OnBroker>) -> Reply<Vec<Group>> {
    host.ask(|control| async move { control.groups(on.broker.as_deref()).await }).await.map(Body)
}

async fn describe(State(host): State<Late>, Path(group): Path<String>, Query(on): Query<OnBroker>) -> Reply<Vec<Group>> {
    host.ask(|control| async move { control.group(on.broker.as_deref(), &group).await }).await.map(Body)
}

async fn seek(State(host): State<Late>, Json(seek): Json<SeekGroup>) -> Reply<Sought> {
    host.ask(|control| async move { control.seek(seek).await }).await.map(Body)
}
