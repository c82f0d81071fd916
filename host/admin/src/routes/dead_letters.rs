//! Dead letters.

use axum::Json as Body;
use axum::extract::State;

use super::OnBroker;
use crate::extract::{Json, Path, Query, Reply};
use crate::model::{Count, DeadLetter, DeadLetterFilter, Redrive, Redriven};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/dlq", "Dead letters, newest first", list).query::<DeadLetterFilter>().answers::<Vec<DeadLetter>>(),
        Route::get("/api/v1/dlq/count", "How many there are; the limit aside", count).query::<DeadLetterFilter>().answers::<Count>(),
        Route::get("/api/v1/dlq/messages/{id}", "One, by its id or by the id of the message that it was", show)
            .query::<OnBroker>()
            .answers::<DeadLetter>(),
        Route::post("/api/v1/dlq/redrive", "Give dead letters back, oldest first, to the group that failed or to a topic", redrive)
            .body::<Redrive>()
            .answers::<Redriven>(),
        Route::post("/api/v1/dlq/discard", "Remove dead letters", discard).body::<DeadLetterFilter>().answers::<Count>(),
    ]
}

async fn list(State(host): State<Late>, Query(filter): Query<DeadLetterFilter>) -> Reply<Vec<DeadLetter>> {
    host.ask(|control| async move { control.dead_letters(filter).await }).await.map(Body)
}

async fn count(State(host): State<Late>, Query(filter): Query<DeadLetterFilter>) -> Reply<Count> {
    host.ask(|control| async move { control.count_dead_letters(filter).await }).await.map(Body)
}

async fn show(State(host): State<Late>, Path(id): Path<String>, Query(on): Query<OnBroker>) -> Reply<DeadLetter> {
    host.ask(|control| async move { control.dead_letter(on.broker.as_deref(), &id).await }).await.map(Body)
}

async fn redrive(State(host): State<Late>, Json(redrive): Json<Redrive>) -> Reply<Redriven> {
    host.ask(|control| async move { control.redrive(redrive).await }).await.map(Body)
}

async fn discard(State(host): State<Late>, Json(filter): Json<DeadLetterFilter>) -> Reply<Count> {
    host.ask(|control| async move { control.discard(filter).await }).await.map(Body)
}
