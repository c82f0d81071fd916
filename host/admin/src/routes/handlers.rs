//! Handlers and their subscriptions.

use axum::Json as Body;
use axum::extract::State;

use crate::extract::{Path, Reply};
use crate::model::{HandlerStatus, Paused};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/handlers", "Every handler with its subscriptions", list).answers::<Vec<HandlerStatus>>(),
        Route::post("/api/v1/handlers/{handler}/pause", "Stop fetching for a handler, or for one subscription by its name", pause)
            .answers::<Paused>(),
        Route::post("/api/v1/handlers/{handler}/resume", "Go on fetching", resume).answers::<Paused>(),
    ]
}

async fn list(State(host): State<Late>) -> Reply<Vec<HandlerStatus>> {
    host.ask(|control| async move { control.handlers().await }).await.map(Body)
}

async fn pause(State(host): State<Late>, Path(name): Path<String>) -> Reply<Paused> {
    host.ask(|control| async move { control.pause(&name).await }).await.map(Body)
}

async fn resume(State(host): State<Late>, Path(name): Path<String>) -> Reply<Paused> {
    host.ask(|control| async move { control.resume(&name).await }).await.map(Body)
}
