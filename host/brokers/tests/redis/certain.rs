//! Rounds of what a lane has for certain, which are settled without a look at each message: they stay whole, and are never published twice.

use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Outbox, SettleError};
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::json;

use crate::support::{streams, try_connect};
use crate::work::{hand, publish, push, until, wish};

fn outbox(topic: &str, payloads: &[&str]) -> Outbox {
    let mut outbox = Outbox::default();
    payloads.iter().for_each(|payload| push(&mut outbox, topic, payload, 0));
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
    let (roles, topic, to) = (streams(redis.port()).await, unique("mixed"), unique("mixed-out"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(3).await;
    hand.done(0).again(1, Duration::ZERO, 2, 1).outputs(outbox(&to, &["1", "2", "3"])).settle().await;
    hand.fetch(1).await;
    assert_eq!((hand.payloads_from(3), hand.got.row(3).attempt()), (vec!["b".into()], 2));
    hand.done(2).done(3).outputs(outbox(&to, &["4"])).settle().await;
    assert_eq!((length(redis, &to), pending(redis, &topic)), ("4".into(), "0".into()));
    let read: Vec<String> = redis.ask(&["XRANGE", &to, "-", "+"]).expect("asked").into_iter().skip(2).step_by(3).collect();
    assert_eq!(read, ["1", "2", "3", "4"], "in their order");
    let kept = redis.ask(&["KEYS", &format!("*{topic}*kept*")]).expect("asked").concat();
    assert_eq!(kept, "", "a retry that is done leaves nothing");
}

#[tokio::test]
async fn a_topic_of_another_type_takes_nothing_and_nothing_is_finished() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, list) = (streams(redis.port()).await, unique("certain"), unique("certain-list"));
    redis.ask(&["RPUSH", &list, "x"]).expect("a list");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    let error = hand.all_done(0).outputs(outbox(&list, &["x", "y"])).try_settle().await.expect_err("an output cannot be");
    assert!(matches!(error, SettleError::Output { index: 0, .. }), "{error:?}");
    assert_eq!(pending(redis, &topic), "2");
    hand.outputs(Outbox::default()).settle().await;
    assert_eq!(pending(redis, &topic), "0");
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_finishes_a_round_once() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let (roles, topic) = (streams(redis.port()).await, "in");
    publish(&roles, topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(topic, json!({}))).await;
    hand.fetch(2).await;
    redis.ask(&["SCRIPT", "FLUSH"]).expect("forgotten");
    for (done, published) in [(0, "2"), (1, "4")] {
        hand.done(done).outputs(outbox("out", &["x", "y"])).settle().await;
        assert_eq!((length(&redis, "out").as_str(), pending(&redis, topic)), (published, (1 - done).to_string()));
    }
}

#[tokio::test]
async fn a_round_whose_answer_came_too_late_is_not_published_again() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = json!({ "url": redis.url(), "response-timeout": "300ms", "lease": "30s" });
    let (roles, topic) = (try_connect::<Streams>(config, Vec::new()).await.expect("connected"), "in");
    publish(&roles, topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(topic, json!({}))).await;
    hand.fetch(2).await;
    hand.done(0).outputs(outbox("out", &["x", "y"]));
    // It takes the round once it goes on, after we have given up on it.
    redis.server.freeze();
    let error = hand.try_settle().await.expect_err("no answer in time");
    assert!(matches!(error, SettleError::Broker(_)), "{error:?}");
    redis.server.thaw();
    until(async || hand.try_settle().await.is_ok()).await;
    assert_eq!((length(&redis, "out"), pending(&redis, topic)), ("2".into(), "1".into()));
}
