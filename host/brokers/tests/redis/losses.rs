//! Losses of the field that look the same on streams and on lists; each kind has tests of these names.

use std::time::Duration;

use longshore_core::Adapter;
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::json;

use crate::support::connect;
use crate::work::{hand, publish, wish};

/// A success after a failure does not commit past it.
pub(crate) async fn a_success_after_a_failure<A: Adapter>() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (connect::<A>(redis.port()).await, unique("past"));
    publish(&roles, &topic, &["fails", "succeeds"]).await.expect("published");
    let mut first = hand(&roles, wish(&topic, json!({}))).await;
    first.fetch(2).await;
    first.done(1).settle().await;
    first.close().await;
    let mut next = hand(&roles, wish(&topic, json!({}))).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["fails"]);
}

/// Retry count and due time survive `kill -9` of the server.
pub(crate) async fn retry_count_and_due_time<A: Adapter>() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let (roles, topic) = (connect::<A>(redis.port()).await, unique("survives"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(1).await;
    let began = tokio::time::Instant::now();
    before.again(0, Duration::from_millis(1500), 4, 77).settle().await;
    drop((before, roles));
    tokio::task::block_in_place(|| redis.server.restart());
    let roles = connect::<A>(redis.port()).await;
    let mut after = hand(&roles, wish(&topic, json!({}))).await;
    after.fetch(1).await;
    assert!(began.elapsed() >= Duration::from_millis(1500), "it came after {:?}", began.elapsed());
    assert_eq!((after.got.get(0).attempt, after.got.facts(0).first_failed_at, after.got.facts(0).deliveries), (4, 77, 2));
}
