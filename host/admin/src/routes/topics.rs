//! Topics.

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;

use super::OnBroker;
use crate::error::ControlError;
use crate::extract::{Json, Path, Query, Reply};
use crate::model::{Count, Created, NewTopic, Topic};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/topics", "Every topic of a broker", list).query::<OnBroker>().answers::<Vec<Topic>>(),
        Route::post("/api/v1/topics", "Make a topic, or change how it is kept", create).body::<NewTopic>().answers::<Created>(),
        Route::get("/api/v1/topics/{topic}", "One topic", describe).query::<OnBroker>().answers::<Topic>(),
        Route::delete("/api/v1/topics/{topic}", "Remove a topic with its messages and positions", delete).query::<OnBroker>(),
        Route::delete("/api/v1/topics/{topic}/messages", "Remove a topic's messages", purge).query::<OnBroker>().answers::<Count>(),
    ]
}

async fn list(State(host): State<Late>, Query(on): Query<OnBroker>) -> Reply<Vec<Topic>> {
    host.ask(|control| async move { control.topics(on.broker.as_deref()).await }).await.map(Body)
}

async fn create(State(host): State<Late>, Json(topic): Json<NewTopic>) -> Reply<Created> {
    host.ask(|control| async move { control.create_topic(topic).await }).await.map(Body)
}

async fn describe(State(host): State<Late>, Path(topic): Path<String>, Query(on): Query<OnBroker>) -> Reply<Topic> {
    host.ask(|control| async move { control.topic(on.broker.as_deref(), &topic).await }).await.map(Body)
}

async fn delete(State(host): State<Late>, Path(topic): Path<String>, Query(on): Query<OnBroker>) -> Result<StatusCode, ControlError> {
    host.ask(|control| async move { control.delete_topic(on.broker.as_deref(), &topic).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn purge(State(host): State<Late>, Path(topic): Path<String>, Query(on): Query<OnBroker>) -> Reply<Count> {
    host.ask(|control| async move { control.purge_topic(on.broker.as_deref(), &topic).await }).await.map(Body)
}
