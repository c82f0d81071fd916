//! What only streams have: foreign entries, leases, groups that vanish, trimming.

use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Fix, Outbox, OwnKeys, PublishError, SettleError, TopicSettings};
use longshore_testkit::servers::{self, unique};
use serde_json::json;

use crate::losses;
use crate::support::{streams, try_connect};
use crate::work::{hand, publish, push, subscribe, until, wish};

#[tokio::test]
async fn an_entry_of_another_producer_is_a_message_if_it_has_a_payload_and_undecodable_else() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("foreign"));
    redis.ask(&["XADD", &topic, "5-1", "payload", "x", "source", "legacy"]).expect("added");
    redis.ask(&["XADD", &topic, "5-2", "data", "x"]).expect("added");
    redis.ask(&["XADD", &topic, "5-1048577", "payload", "far"]).expect("added");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(3).await;
    let message = hand.got.get(0);
    assert_eq!((message.id, message.payload, message.timestamp), ("5-1", Some(&b"x"[..]), 5));
    assert_eq!(message.headers.collect::<Vec<_>>(), [("source", &b"legacy"[..])]);
    assert_eq!([0, 1, 2].map(|i| hand.got.facts(i).undecodable), [false, true, false]);
    assert_eq!(hand.got.row(1).header("data"), Some(&b"x"[..]), "what came is kept");
    assert_eq!(hand.got.get(2).id, "5-1048577");
    hand.all_done(0).settle().await;
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0", "also what fits no position is acknowledged");
}

#[tokio::test]
async fn at_most_once_one_host_has_a_message() {
    losses::at_most_once_one_host_has_a_message::<Streams>(false).await;
    losses::at_most_once_one_host_has_a_message::<Streams>(true).await;
}

#[tokio::test]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    losses::a_success_after_a_failure::<Streams>().await;
}

#[tokio::test]
async fn a_late_ack_after_revocation_does_nothing() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, to) = (streams(redis.port()).await, unique("late"), unique("late-out"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let short = json!({ "lease": "300ms" });
    let mut slow = hand(&roles, wish(&topic, short.clone())).await;
    slow.fetch(3).await;
    let mut other = hand(&roles, wish(&topic, short)).await;
    other.fetch(3).await;
    assert_eq!((other.got.facts(0).deliveries, other.got.facts(0).unanswered), (2, 1), "its lease ran out");
    slow.done(2).settle().await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "late", slow.got.receipt(0).position);
    slow.done(0).again(1, Duration::ZERO, 2, 1).outputs(outbox).settle().await;
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "3", "all are still the other's");
    assert_eq!(redis.ask(&["EXISTS", &to]).expect("asked"), ["0"], "nothing of it was published");
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "in time", other.got.receipt(0).position);
    other.all_done(0).outputs(outbox).settle().await;
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0");
    assert_eq!(redis.ask(&["XLEN", &to]).expect("asked"), ["1"]);
}

#[tokio::test]
async fn at_most_once_takes_what_is_still_lent_and_leaves_what_another_has() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("taken"));
    publish(&roles, &topic, &["stolen", "kept"]).await.expect("published");
    let mut slow = hand(&roles, wish(&topic, json!({ "lease": "2s" }))).await;
    slow.fetch(2).await;
    // Only the second is held on to.
    let mut kept = longshore_core::Receipts::default();
    kept.push(slow.got.receipt(1));
    // By the server's clock most of the lease is over.
    until(async || !redis.ask(&["XPENDING", &topic, "g", "IDLE", "1500", "-", "+", "10"]).expect("asked").is_empty()).await;
    slow.lane.acks.extend(&kept).await.expect("extended");
    let mut other = hand(&roles, wish(&topic, json!({ "lease": "2s" }))).await;
    other.fetch(1).await;
    assert_eq!(other.payloads(), ["stolen"]);
    slow.all_done(0);
    assert_eq!(slow.lane.acks.take(&slow.round).await.expect("settled"), [0]);
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "1", "that of the other");
}

#[tokio::test]
async fn an_extended_lease_keeps_others_away_and_a_lost_one_is_not_taken_back() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("extended"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let wished = || wish(&topic, json!({ "lease": "600ms" }));
    let mut holder = hand(&roles, wished()).await;
    holder.fetch(1).await;
    let mut other = hand(&roles, wished()).await;
    for _ in 0..8 {
        let held = holder.got.receipts().clone();
        holder.lane.acks.extend(&held).await.expect("extended");
        let more = tokio::time::timeout(Duration::from_millis(200), other.fetch(1)).await;
        assert!(more.is_err(), "the other got what is held");
    }
    other.fetch(1).await;
    let held = holder.got.receipts().clone();
    holder.lane.acks.extend(&held).await.expect("nothing to extend is no error");
    other.all_done(0).settle().await;
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0", "it was the other's to acknowledge");
}

#[tokio::test]
async fn a_group_that_vanished_is_an_error_and_reads_again_what_is_there() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("vanished"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    for (policy, fix) in [("replay", Fix::Reconnect), ("stop", Fix::GiveUp)] {
        let mut latest = wish(&topic, json!({ "lost-group": policy }));
        latest.start = longshore_core::Start::Latest;
        let (mut lane, _lanes) = subscribe(&roles, latest.clone()).await.expect("subscribed");
        redis.ask(&["XGROUP", "DESTROY", &topic, "g"]).expect("removed");
        let mut batch = longshore_core::Batch::default();
        let room = longshore_core::Room { messages: 1, bytes: 1 << 20 };
        let error =
            tokio::time::timeout(crate::work::SOON, lane.source.fetch(room, &mut batch)).await.expect("it ends").expect_err("it is gone");
        assert!(error.fix == fix && error.what.contains(&topic), "{error:?}");
        let mut again = hand(&roles, latest).await;
        again.fetch(1).await;
        assert_eq!(again.payloads(), ["a"], "what came meanwhile is not lost, though it was to begin with the latest");
        again.all_done(0).settle().await;
        again.close().await;
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_refused_with_its_name() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, list) = (streams(redis.port()).await, unique("typed"), unique("list"));
    redis.ask(&["RPUSH", &list, "x"]).expect("a list");
    let error = subscribe(&roles, wish(&list, json!({}))).await.err().expect("it is no stream");
    assert!(error.fix == Fix::GiveUp && error.what.contains("WRONGTYPE"), "{error:?}");
    let refused = publish(&roles, &list, &["x"]).await;
    assert!(matches!(&refused, Err(PublishError::Invalid(what)) if what.contains(&list)), "{refused:?}");
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(1).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &unique("fine"), "x", 0);
    push(&mut outbox, &list, "x", 0);
    let error = hand.done(0).outputs(outbox).try_settle().await.expect_err("an output cannot be");
    assert!(matches!(error, SettleError::Output { index: 1, .. }), "{error:?}");
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "1", "nothing of the round was done");
}

#[tokio::test]
async fn trimming_keeps_to_the_length_and_never_takes_what_the_slowest_group_needs() {
    let Some(redis) = servers::redis() else { return };
    let (topic, free) = (unique("trimmed"), unique("trimmed-free"));
    let own = json!({ "max-length": 3, "approximate": false }).as_object().expect("a table").clone();
    let settings = || TopicSettings { own: OwnKeys::new(own.clone()), ..TopicSettings::default() };
    let topics = vec![(topic.clone(), settings()), (free.clone(), settings())];
    let roles = try_connect::<Streams>(json!({ "url": redis.url(), "lease": "3s" }), topics).await.expect("connected");
    let mut slow = hand(&roles, wish(&topic, json!({}))).await;
    for topic in [&topic, &free] {
        publish(&roles, topic, &["1", "2", "3", "4", "5", "6"]).await.expect("published");
    }
    let length = |topic: &str| redis.ask(&["XLEN", topic]).expect("asked")[0].clone();
    // Where no group reads, the length alone counts: that one is trimmed shows that the other was looked at.
    until(async || length(&free) == "3").await;
    assert_eq!(length(&topic), "6", "nothing was read yet");
    slow.fetch(6).await;
    slow.done(0).settle().await;
    until(async || length(&topic) == "5").await;
    slow.done(1).done(2).done(3).done(4).settle().await;
    until(async || length(&topic) == "3").await;
    slow.done(5).settle().await;
    assert_eq!(slow.payloads(), ["1", "2", "3", "4", "5", "6"]);
}

#[tokio::test]
async fn an_entry_that_was_trimmed_while_it_was_pending_is_over() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("gone"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let short = json!({ "lease": "300ms" });
    let mut lost = hand(&roles, wish(&topic, short.clone())).await;
    lost.fetch(2).await;
    redis.ask(&["XTRIM", &topic, "MAXLEN", "0"]).expect("trimmed");
    lost.again(0, Duration::ZERO, 2, 1).settle().await;
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "1", "it cannot come again");
    let mut other = hand(&roles, wish(&topic, short)).await;
    let nothing = tokio::time::timeout(Duration::from_secs(1), other.fetch(1)).await;
    assert!(nothing.is_err(), "its content is gone");
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0", "it is nobody's any more");
}

#[tokio::test]
async fn hosts_of_a_group_without_order_divide_a_topic_and_one_with_order_waits_for_the_other() {
    let Some(redis) = servers::redis() else { return };
    let (here, there, topic) = (streams(redis.port()).await, streams(redis.port()).await, unique("shared"));
    let (mut first, mut second) = (hand(&here, wish(&topic, json!({}))).await, hand(&there, wish(&topic, json!({}))).await);
    publish(&here, &topic, &["a"]).await.expect("published");
    first.fetch(1).await;
    publish(&here, &topic, &["b"]).await.expect("published");
    second.fetch(1).await;
    assert_eq!((first.payloads(), second.payloads()), (vec!["a".into()], vec!["b".into()]));
    let ordered = unique("ordered");
    let keyed = || longshore_core::Subscribe { order: longshore_core::Order::Key, ..wish(&ordered, json!({})) };
    let sits = hand(&here, keyed()).await;
    let waits = tokio::time::timeout(Duration::from_secs(1), subscribe(&there, keyed())).await;
    assert!(waits.is_err(), "there is one seat");
    let next = subscribe(&there, keyed());
    let (next, ()) = futures::join!(next, sits.close());
    drop(next.expect("the seat is free"));
}

#[tokio::test]
async fn what_a_dead_host_had_comes_before_all_that_is_new_where_order_is_kept() {
    let Some(redis) = servers::redis() else { return };
    let (dies, lives, topic) = (streams(redis.port()).await, streams(redis.port()).await, unique("inherited"));
    let keyed = || longshore_core::Subscribe { order: longshore_core::Order::Key, ..wish(&topic, json!({ "lease": "1s" })) };
    let mut held = hand(&dies, keyed()).await;
    let payloads: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let numbers: Vec<&str> = payloads.iter().map(String::as_str).collect();
    publish(&dies, &topic, &numbers[..250]).await.expect("published");
    held.fetch(250).await;
    // It dies: nothing of it is dropped, so nothing is given back.
    std::mem::forget(held);
    publish(&lives, &topic, &numbers[250..]).await.expect("published");
    let mut heir = hand(&lives, keyed()).await;
    // More than there is room for at once.
    for _ in 0..3 {
        heir.fetch(100).await;
    }
    assert_eq!(heir.payloads(), payloads);
    let unanswered: Vec<u32> = [0, 249, 250].into_iter().map(|at| heir.got.facts(at).unanswered).collect();
    assert_eq!(unanswered, [1, 1, 0], "a host died over what it had");
}

#[tokio::test]
async fn a_topic_is_made_as_the_configuration_says_and_with_no_other_settings() {
    let Some(redis) = servers::redis() else { return };
    let topic = unique("configured");
    let serde_json::Value::Object(own) = json!({ "max-length": 1000 }) else { unreachable!() };
    let settings = TopicSettings { own: OwnKeys::new(own), ..TopicSettings::default() };
    let config = json!({ "host": "127.0.0.1", "port": redis.port() });
    let roles = try_connect::<Streams>(config, vec![(topic.clone(), settings.clone())]).await.expect("connected");
    let topics = roles.topics.as_ref().expect("topics");
    assert!(topics.create(&topic, &settings).await.expect("made"));
    let more = TopicSettings { retention: Some(Duration::from_secs(60)), ..settings };
    let error = topics.create(&topic, &more).await.expect_err("nothing keeps to it");
    assert!(error.fix == Fix::GiveUp && error.what.contains("[topics]"), "{error:?}");
}
