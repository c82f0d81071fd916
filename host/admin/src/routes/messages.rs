//! Messages in and out.

use axum::Json as Body;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use longshore_core::Span;

use crate::error::{ControlError, Kind};
use crate::extract::{Json, Path, Query, Reply};
use crate::model::{Begin, Browse, Line, Publish, Published, Received, Request, Take, ToPublish};
use crate::route::{Late, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/messages", "Publish many; one answer each, in their order", publish_all)
            .body::<Publish>()
            .answers::<Vec<Published>>(),
        Route::post("/api/v1/topics/{topic}/messages", "Publish one", publish_one).query::<How>().body::<Line>().answers::<Id>(),
        Route::get("/api/v1/topics/{topic}/messages", "Read a topic without moving any group", browse)
            .query::<Part>()
            .answers::<Vec<Received>>(),
        Route::post("/api/v1/topics/{topic}/groups/{group}/take", "Read as a member of a group; what is answered is acknowledged", take)
            .query::<Share>()
            .answers::<Vec<Received>>(),
        Route::post("/api/v1/request", "Publish one and wait for the answer to it", request).body::<Request>().answers::<Line>(),
    ]
}

/// How one message is published.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct How {
    /// The broker's name; `default` without.
    broker: Option<String>,
    /// Time before which it is not delivered: `30s`.
    delay: Option<Span>,
}

/// The id of one published message.
#[derive(Serialize, JsonSchema)]
struct Id {
    /// What its readers will see.
    id: String,
}

/// A part of a topic.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The broker's name; `default` without.
    broker: Option<String>,
    /// The position after which to read; 0 for the oldest message.
    #[serde(default)]
    after: u64,
    /// Read the newest messages in place of those after a position; they come in their order all the same.
    #[serde(default)]
    newest: bool,
    /// At most so many, 1 to 1000; 100 without.
    limit: Option<usize>,
    /// How long to wait for a message when there is none: `5s`, at most 20 s.
    wait: Option<Span>,
}

/// A share of a group.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Share {
    /// The broker's name; `default` without.
    broker: Option<String>,
    /// Where a new group begins.
    #[serde(default)]
    from: Begin,
    /// At most so many, 1 to 1000; 100 without.
    limit: Option<usize>,
    /// How long to wait for the first message: `5s`, at most 20 s.
    wait: Option<Span>,
}

async fn publish_all(State(host): State<Late>, Json(publish): Json<Publish>) -> Reply<Vec<Published>> {
    host.ask(|control| async move { control.publish(publish).await }).await.map(Body)
}

async fn publish_one(State(host): State<Late>, Path(topic): Path<String>, Query(how): Query<How>, Json(line): Json<Line>) -> Reply<Id> {
    let message = Line { topic: Some(topic), ..line };
    let publish = Publish { broker: how.broker, messages: vec![ToPublish { message, delay_ms: millis(how.delay) }] };
    let answer = host.ask(|control| async move { control.publish(publish).await }).await?;
    let one = answer.into_iter().next().ok_or_else(|| ControlError::new(Kind::Failed, "the host answered for no message"))?;
    Ok(Body(Id { id: one.result()? }))
}

async fn browse(State(host): State<Late>, Path(topic): Path<String>, Query(part): Query<Part>) -> Reply<Vec<Received>> {
    let wait_ms = millis(part.wait);
    let browse = Browse { broker: part.broker, topic, after: part.after, newest: part.newest, limit: part.limit, wait_ms };
    host.ask(|control| async move { control.browse(browse).await }).await.map(Body)
}

async fn take(State(host): State<Late>, Path((topic, group)): Path<(String, String)>, Query(share): Query<Share>) -> Reply<Vec<Received>> {
    let wait_ms = millis(share.wait);
    let take = Take { broker: share.broker, topic, group, from: share.from, limit: share.limit, wait_ms };
    host.ask(|control| async move { control.take(take).await }).await.map(Body)
}

async fn request(State(host): State<Late>, Json(request): Json<Request>) -> Reply<Line> {
    host.ask(|control| async move { control.request(request).await }).await.map(Body)
}

fn millis(span: Option<Span>) -> u64 {
    span.map_or(0, |span| u64::try_from(span.get().as_millis()).unwrap_or(u64::MAX))
}
