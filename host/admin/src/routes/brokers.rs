//! The host and its brokers.

use axum::Json as Body;
use axum::extract::State;

use crate::extract::{Path, Reply};
use crate::model::{BrokerCapabilities, BrokerStatus, Ping, Status};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/status", "The host as a whole", status).answers::<Status>(),
        Route::get("/api/v1/brokers", "Every broker, pinged", list).answers::<Vec<BrokerStatus>>(),
        Route::get("/api/v1/brokers/{broker}/ping", "Whether a broker answers", ping).answers::<Ping>(),
        Route::get("/api/v1/brokers/{broker}/capabilities", "What a broker can do", capabilities).answers::<BrokerCapabilities>(),
    ]
}

async fn status(State(host): State<Late>) -> Reply<Status> {
    host.ask(|control| async move { control.status().await }).await.map(Body)
}

async fn list(State(host): State<Late>) -> Reply<Vec<BrokerStatus>> {
    host.ask(|control| async move { control.brokers().await }).await.map(Body)
}

async fn ping(State(host): State<Late>, Path(broker): Path<String>) -> Reply<Ping> {
    host.ask(|control| async move { control.ping(&broker).await }).await.map(Body)
}

async fn capabilities(State(host): State<Late>, Path(broker): Path<String>) -> Reply<BrokerCapabilities> {
    host.ask(|control| async move { control.capabilities(&broker).await }).await.map(Body)
}
