//! Rounds of what a lane has for certain, which are settled without a look at each message: they stay whole, and are never published twice.

use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Outbox, Receipts, Roles, SettleError};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::json;

use crate::support::try_connect;
use crate::work::{hand, publish, push, until, wish};

/// Connects with the default lease, which outlasts the timeouts by far.
async fn streams(redis: &Redis) -> Roles {
    try_connect::<Streams>(json!({ "url": redis.url() }), Vec::new()).await.expect("connected")
}

/// What is made from the message at `index`.
fn outbox(hand: &Hand, index: usize, topic: &str, payloads: &[&str]) -> Outbox {
    let mut outbox = Outbox::default();
    payloads.iter().for_each(|payload| push(&mut outbox, topic, payload, hand.got.receipt(index).position));
    outbox
}

fn length(redis: &Redis, topic: &str) -> String {
    redis.ask(&["XLEN", topic]).expect("asked")[0].clone()
}

fn pending(redis: &Redis, topic: &str) -> String {
    redis.ask(&["XPENDING", topic, "g"]).expect("asked")[0].clone()
}

#[tokio::test]
async fn a_round_settles_with_its_outputs_its_retries_and_what_comes_again() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, to) = (streams(redis).await, unique("mixed"), unique("mixed-out"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(3).await;
    let outputs = outbox(&hand, 0, &to, &["1", "2", "3"]);
    hand.done(0).again(1, Duration::ZERO, 2, 1).outputs(outputs).settle().await;
    hand.fetch(1).await;
    assert_eq!((hand.payloads_from(3), hand.got.row(3).attempt()), (vec!["b".into()], 2));
    let outputs = outbox(&hand, 3, &to, &["4"]);
    hand.done(2).done(3).outputs(outputs).settle().await;
    assert_eq!((length(redis, &to), pending(redis, &topic)), ("4".into(), "0".into()));
    let read: Vec<String> = redis.ask(&["XRANGE", &to, "-", "+"]).expect("asked").into_iter().skip(2).step_by(3).collect();
    assert_eq!(read, ["1", "2", "3", "4"], "in their order");
    let mut kept = redis.ask(&["HKEYS", &format!("longshore:{{{topic}}}:kept:{topic}:g")]).expect("asked");
    kept.sort();
    assert_eq!(kept, ["at", "read"], "a retry that is done leaves nothing");
}

#[tokio::test]
async fn a_topic_of_another_type_takes_nothing_and_nothing_is_finished() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, list) = (streams(redis).await, unique("certain"), unique("certain-list"));
    redis.ask(&["RPUSH", &list, "x"]).expect("a list");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    let outputs = outbox(&hand, 0, &list, &["x", "y"]);
    let error = hand.all_done(0).outputs(outputs).try_settle().await.expect_err("an output cannot be");
    assert!(matches!(error, SettleError::Output { index: 0, .. }), "{error:?}");
    assert_eq!(pending(redis, &topic), "2");
    hand.outputs(Outbox::default()).settle().await;
    assert_eq!(pending(redis, &topic), "0");
}

#[tokio::test]
async fn a_user_without_transactions_settles_by_the_script() {
    let rules = "~* +@connection +@stream +@sortedset +@hash +@string +@keyspace +@scripting +time -@dangerous +info";
    let Some(redis) = Redis::start(&RedisOptions::default().user("host", "secret", rules)) else { return };
    let config = json!({ "url": redis.url(), "username": "host", "password": "secret" });
    let (roles, topic) = (try_connect::<Streams>(config, Vec::new()).await.expect("connected"), "in");
    publish(&roles, topic, &["a"]).await.expect("published");
    let mut hand = hand(&roles, wish(topic, json!({}))).await;
    hand.fetch(1).await;
    let outputs = outbox(&hand, 0, "out", &["x", "y"]);
    hand.done(0).outputs(outputs).settle().await;
    assert_eq!((length(&redis, "out"), pending(&redis, topic)), ("2".into(), "0".into()));
}

#[tokio::test]
async fn a_retry_that_is_anothers_by_now_publishes_nothing() {
    let Some(redis) = servers::redis() else { return };
    let config = json!({ "url": redis.url(), "connect-timeout": "200ms", "response-timeout": "200ms", "lease": "2s" });
    let connect = async || try_connect::<Streams>(config.clone(), Vec::new()).await.expect("connected");
    let (here, there, topic, to) = (connect().await, connect().await, unique("anothers"), unique("anothers-out"));
    publish(&here, &topic, &["a"]).await.expect("published");
    let mut slow = hand(&here, wish(&topic, json!({}))).await;
    slow.fetch(1).await;
    slow.again(0, Duration::ZERO, 2, 1).settle().await;
    slow.fetch(1).await;
    let mut other = hand(&there, wish(&topic, json!({}))).await;
    other.fetch(1).await;
    let mut held = Receipts::default();
    held.push(slow.got.receipt(1));
    slow.lane.acks.extend(&held).await.expect("extended");
    let late = outbox(&slow, 1, &to, &["late", "later"]);
    slow.done(1).outputs(late).settle().await;
    assert_eq!(length(redis, &to), "0");
    let in_time = outbox(&other, 0, &to, &["x", "y"]);
    other.done(0).outputs(in_time).settle().await;
    assert_eq!(length(redis, &to), "2");
}

#[tokio::test]
async fn a_round_whose_answer_came_too_late_is_not_published_again() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    // One connection, which is open by then: the round is on its way.
    let config = json!({ "url": redis.url(), "response-timeout": "300ms", "pool-size": 1 });
    let (roles, topic) = (try_connect::<Streams>(config, Vec::new()).await.expect("connected"), "in");
    publish(&roles, topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(topic, json!({}))).await;
    hand.fetch(2).await;
    let outputs = outbox(&hand, 0, "out", &["x", "y"]);
    hand.done(0).outputs(outputs);
    // It takes the round once it goes on, after we have given up on it.
    redis.server.freeze();
    let error = hand.try_settle().await.expect_err("no answer in time");
    assert!(matches!(error, SettleError::Broker(_)), "{error:?}");
    redis.server.thaw();
    until(async || hand.try_settle().await.is_ok()).await;
    assert_eq!((length(&redis, "out"), pending(&redis, topic)), ("2".into(), "1".into()));
    let transactions = redis.ask(&["INFO", "commandstats"]).expect("asked").concat();
    assert!(transactions.contains("cmdstat_multi:calls=2,"), "one to see whether there are, and the round's first: {transactions}");
}
