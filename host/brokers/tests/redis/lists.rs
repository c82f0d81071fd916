//! What only lists have, and what becomes of their messages when hosts, servers and connections go.

use std::time::Duration;

use longshore_brokers::redis::lists::Lists;
use longshore_core::{Adapter, Batch, Fix, Lane, Order, Outbox, Page, PublishError, Room, SettleError, SettleError::Output, Subscribe};
use longshore_testkit::conformance::Hand;
use longshore_testkit::proxy::{Direction, Proxy, Traffic};
use longshore_testkit::servers::{self, Redis, RedisOptions, RedisSentinel, unique};
use serde_json::json;

use crate::losses;
use crate::support::{lists, try_connect};
use crate::work::{SOON, hand, publish, push, subscribe, until, wish};

const ROOM: Room = Room { messages: 100, bytes: 1 << 20 };

/// A lane that says all the time that it is there, as one does that a host runs.
async fn alive<T>(lane: &mut Lane, what: impl Future<Output = T>) -> T {
    tokio::select! {
        done = what => done,
        () = &mut lane.revoked => panic!("the lane was taken away"),
    }
}

#[tokio::test]
async fn elements_that_others_push_are_payloads_and_two_equal_ones_are_two_messages() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("foreign"));
    redis.ask(&["LPUSH", &topic, "same", "same", "other"]).expect("pushed");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(3).await;
    assert_eq!(hand.payloads(), ["same", "same", "other"]);
    assert_ne!(hand.got.get(0).id, hand.got.get(1).id);
    assert!(hand.got.get(0).timestamp > 0, "its age counts from when it was taken");
    let id = hand.got.get(1).id.to_owned();
    hand.done(0).done(2).settle().await;
    hand.again(1, Duration::ZERO, 2, 7).settle().await;
    let again = hand.fetch(1).await;
    assert_eq!((hand.payloads_from(again), hand.got.get(again).id), (vec!["same".into()], &*id), "it kept its id");
    hand.done(again).settle().await;
    let left = redis.ask(&["KEYS", &format!("longshore:{{{topic}}}:*")]).expect("asked");
    assert!(left.iter().all(|key| !key.contains(":held:") && !key.contains(":kept:") && !key.contains(":due:")), "{left:?}");
}

#[tokio::test]
async fn what_the_host_publishes_is_an_element_that_anybody_can_read() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("element"));
    let ids = publish(&roles, &topic, &["hello"]).await.expect("published");
    let element = redis.ask(&["LINDEX", &topic, "0"]).expect("asked").concat();
    let number = ids[0].strip_prefix(&format!("{topic}/")).expect("topic and number");
    assert!(element.starts_with(&format!("longshore/1 {number} 7:payload,5:hello,9:timestamp,13:")), "{element}");
}

#[tokio::test]
async fn what_is_damaged_is_told_apart_and_comes_as_it_stands() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("damaged"));
    redis.ask(&["LPUSH", &topic, "longshore/1 17 7:payload,99:cut"]).expect("pushed");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(1).await;
    assert!(hand.got.facts(0).undecodable);
    assert_eq!(hand.payloads(), ["longshore/1 17 7:payload,99:cut"]);
}

#[tokio::test]
async fn a_dead_hosts_messages_come_again_and_a_slow_ones_do_not() {
    let Some(redis) = servers::redis() else { return };
    let (dead, slow, other) = (lists(redis.port()).await, lists(redis.port()).await, lists(redis.port()).await);
    let (topic, short) = (unique("heartbeat"), json!({ "lease": "600ms" }));
    publish(&other, &topic, &["slow", "dead"]).await.expect("published");
    let (mut working, _lanes) = subscribe(&slow, wish(&topic, short.clone())).await.expect("subscribed");
    let mut batch = Batch::default();
    working.source.fetch(Room { messages: 1, ..ROOM }, &mut batch).await.expect("one came");
    let mut lost = hand(&dead, wish(&topic, short.clone())).await;
    lost.fetch(1).await;
    assert_eq!((batch.get(0).payload, lost.payloads()), (Some(&b"slow"[..]), vec!["dead".into()]));
    // Neither leaves nor says anything any more: as a host that was killed.
    std::mem::forget(lost);
    let mut next = hand(&other, wish(&topic, short)).await;
    alive(&mut working, next.fetch(1)).await;
    assert_eq!((next.payloads(), next.got.facts(0).unanswered, next.got.facts(0).deliveries), (vec!["dead".into()], 1, 2));
    // Twice as long as the dead one was waited for.
    let nothing = alive(&mut working, tokio::time::timeout(Duration::from_millis(1500), next.lane.source.fetch(ROOM, &mut batch))).await;
    assert!(nothing.is_err(), "the slow one is there: {:?}", batch.len());
}

#[tokio::test]
async fn a_late_ack_after_revocation_does_nothing() {
    let Some(redis) = servers::redis() else { return };
    let (first, second, topic) = (lists(redis.port()).await, lists(redis.port()).await, unique("late"));
    let to = unique("late-out");
    publish(&first, &topic, &["a"]).await.expect("published");
    let short = json!({ "lease": "400ms" });
    let mut late = hand(&first, wish(&topic, short.clone())).await;
    late.fetch(1).await;
    let mut owner = hand(&second, wish(&topic, short)).await;
    owner.fetch(1).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "from the dead", late.got.receipt(0).position);
    late.done(0).outputs(outbox).settle().await;
    tokio::time::timeout(SOON, &mut late.lane.revoked).await.expect("it hears that it is no lane any more");
    let error = late.lane.source.fetch(ROOM, &mut Batch::default()).await.expect_err("it takes nothing more");
    assert_eq!(error.fix, Fix::Reconnect);
    assert_eq!(redis.ask(&["EXISTS", &to]).expect("asked"), ["0"], "its outputs belong to nothing");
    let index = owner.got.len() - 1;
    owner.again(index, Duration::ZERO, 2, 1).settle().await;
    let again = owner.fetch(1).await;
    assert_eq!(owner.payloads_from(again), ["a"], "it was the owner's all the time");
}

#[tokio::test]
async fn at_most_once_one_host_has_a_message() {
    losses::at_most_once_one_host_has_a_message::<Lists>(false).await;
    losses::at_most_once_one_host_has_a_message::<Lists>(true).await;
}

#[tokio::test]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    losses::a_success_after_a_failure::<Lists>().await;
}

#[tokio::test]
async fn a_failed_handler_has_published_nothing() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, to) = (lists(redis.port()).await, unique("failed"), unique("failed-out"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(1).await;
    hand.again(0, Duration::ZERO, 2, 1).settle().await;
    assert_eq!(redis.ask(&["EXISTS", &to]).expect("asked"), ["0"]);
    let again = hand.fetch(1).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "x", hand.got.receipt(again).position);
    hand.done(again).outputs(outbox).settle().await;
    assert_eq!(redis.ask(&["LLEN", &to]).expect("asked"), ["1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    losses::retry_count_and_due_time::<Lists>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_outlives_cut_connections_and_a_server_that_is_killed() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let (proxy, topic) = (Proxy::start(redis.port()), unique("cut"));
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "lease": "60s" });
    let roles = try_connect::<Lists>(config, Vec::new()).await.expect("connected");
    publish(&roles, &topic, &["a", "b", "c", "d"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    let hurt: [&dyn Fn(); 3] = [&|| proxy.existing(Traffic::Cut), &|| proxy.existing(Traffic::Reset), &|| redis.server.restart()];
    for hurt in hurt {
        fetch_one(&mut hand).await;
        tokio::task::block_in_place(hurt);
    }
    fetch_one(&mut hand).await;
    assert_eq!(hand.payloads(), ["a", "b", "c", "d"], "each once, by one lane");
    hand.all_done(0);
    until(async || hand.try_settle().await.is_ok()).await;
    assert_eq!(redis.ask(&["EXISTS", &topic]).expect("asked"), ["0"]);
}

/// Fetches one message, again as long as that is what mends it.
async fn fetch_one(hand: &mut Hand) {
    let mut batch = Batch::default();
    until(async || match hand.lane.source.fetch(Room { messages: 1, ..ROOM }, &mut batch).await {
        Ok(()) => !batch.is_empty(),
        Err(error) => {
            assert_eq!(error.fix, Fix::Retry, "{error}");
            false
        }
    })
    .await;
    hand.take(&batch);
}

#[tokio::test]
async fn a_settlement_whose_answer_is_lost_is_not_done_twice() {
    let Some(redis) = servers::redis() else { return };
    let (proxy, topic, to) = (Proxy::start(redis.port()), unique("unanswered"), unique("unanswered-out"));
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "pool-size": 1, "response-timeout": "1s" });
    let roles = try_connect::<Lists>(config, Vec::new()).await.expect("connected");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "out", hand.got.receipt(0).position);
    hand.done(0).again(1, Duration::from_secs(3600), 2, 1).outputs(outbox);
    proxy.existing(Traffic::CutAfter(Direction::ToClient, 0));
    assert!(hand.lane.acks.settle(&hand.round).await.is_err(), "its answer was cut");
    until(async || hand.lane.acks.settle(&hand.round).await.is_ok()).await;
    assert_eq!(redis.ask(&["LLEN", &to]).expect("asked"), ["1"], "published once");
    let groups = roles.groups.as_ref().expect("groups").list().await.expect("listed");
    let info = groups.iter().find(|info| info.topic == topic).expect("listed");
    assert_eq!((info.retries, info.lag), (1, Some(1)), "one retry, not two");
}

#[tokio::test]
async fn a_wrong_password_and_a_key_of_another_type_are_told_and_not_tried_again() {
    let Some(redis) = Redis::start(&RedisOptions::default().password("right")) else { return };
    let error = try_connect::<Lists>(json!({ "url": redis.url(), "password": "wrong" }), Vec::new()).await.err().expect("it is refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("password"), "{error:?}");
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("stream"));
    redis.ask(&["XADD", &topic, "*", "payload", "x"]).expect("added");
    let refused = publish(&roles, &topic, &["x"]).await;
    assert!(matches!(&refused, Err(PublishError::Invalid(what)) if what.contains("WRONGTYPE")), "{refused:?}");
    let error = subscribe(&roles, wish(&topic, json!({}))).await.err().expect("it is refused");
    assert_eq!(error.fix, Fix::GiveUp, "{error:?}");
    let source = unique("source");
    publish(&roles, &source, &["a"]).await.expect("published");
    let mut hand = hand(&roles, wish(&source, json!({}))).await;
    hand.fetch(1).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &unique("fine"), "x", 0);
    push(&mut outbox, &topic, "x", 0);
    let error: SettleError = hand.done(0).outputs(outbox).try_settle().await.expect_err("an output cannot be");
    assert!(matches!(error, Output { index: 1, .. }), "{error:?}");
    let left = roles.groups.as_ref().expect("groups").list().await.expect("listed");
    assert_eq!(left.iter().find(|info| info.topic == source).expect("listed").lag, Some(1), "nothing of the round was done");
}

#[tokio::test]
async fn a_user_with_the_rights_of_the_page_does_all_that_a_host_does() {
    let rules = "~* +@connection +@list +@set +@sortedset +@hash +@string +@keyspace +@scripting +time -@dangerous +info";
    let Some(redis) = Redis::start(&RedisOptions::default().user("host", "secret", rules)) else { return };
    let config = json!({ "url": redis.url(), "username": "host", "password": "secret" });
    let roles = try_connect::<Lists>(config, Vec::new()).await.expect("connected");
    let topic = unique("rights");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    let (_, published) = futures::join!(hand.fetch(1), publish(&roles, &topic, &["a"]));
    published.expect("published");
    hand.again(0, Duration::from_millis(20), 2, 1).settle().await;
    let again = hand.fetch(1).await;
    hand.done(again).settle().await;
    hand.close().await;
    assert_eq!(roles.topics.as_ref().expect("topics").list().await.expect("listed").len(), 1);
    assert_eq!(roles.groups.as_ref().expect("groups").list().await.expect("listed").len(), 1);
    assert_eq!(roles.topics.as_ref().expect("topics").purge(&topic).await.expect("emptied"), Some(0));
}

#[tokio::test]
async fn a_list_is_another_groups_only_when_the_first_is_gone() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("groups"));
    let named = |group: &str| Subscribe { group: Some(group.into()), ..wish(&topic, json!({})) };
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut first = hand(&roles, named("first")).await;
    first.fetch(1).await;
    first.again(0, Duration::ZERO, 3, 1).settle().await;
    let error = subscribe(&roles, named("second")).await.err().expect("it is refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("redis-streams"), "{error:?}");
    first.close().await;
    let mut second = hand(&roles, named("second")).await;
    second.fetch(1).await;
    assert_eq!((second.payloads(), second.got.get(0).attempt), (vec!["a".into()], 3), "what waited is the queue's");
}

#[tokio::test]
async fn order_is_refused_with_what_keeps_it() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("order"));
    for order in [Order::Key, Order::Lane] {
        let error = subscribe(&roles, Subscribe { order, ..wish(&topic, json!({})) }).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains("redis-streams"), "{error:?}");
    }
    assert!(!Lists::CAPABILITIES.has(longshore_core::Flag::MessageOrdering));
}

#[tokio::test]
async fn a_list_is_browsed_page_by_page_whoever_pushed_its_messages() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (lists(redis.port()).await, unique("pages"));
    redis.ask(&["LPUSH", &topic, "0", "1"]).expect("pushed");
    publish(&roles, &topic, &["2", "3"]).await.expect("published");
    redis.ask(&["LPUSH", &topic, "4"]).expect("pushed");
    publish(&roles, &topic, &["5", "6"]).await.expect("published");
    let topics = roles.topics.as_ref().expect("topics");
    for size in 1..=7 {
        let (mut up, mut position) = (Vec::new(), 0);
        while let page = topics.browse(&topic, Page::After(position, size)).await.expect("browsed")
            && !page.is_empty()
        {
            up.extend((0..page.len()).map(|i| String::from_utf8_lossy(page.get(i).payload.unwrap_or_default()).into_owned()));
            position = page.receipt(page.len() - 1).position;
        }
        assert_eq!(up, ["0", "1", "2", "3", "4", "5", "6"], "pages of {size}, upwards");
        let (mut down, mut position) = (Vec::new(), u64::MAX);
        while let page = topics.browse(&topic, Page::Before(position, size)).await.expect("browsed")
            && !page.is_empty()
        {
            down.extend((0..page.len()).map(|i| String::from_utf8_lossy(page.get(i).payload.unwrap_or_default()).into_owned()));
            position = page.receipt(page.len() - 1).position;
        }
        assert_eq!(down, ["6", "5", "4", "3", "2", "1", "0"], "pages of {size}, downwards");
    }
    let removed = roles.dead_letters.as_ref().expect("dead letters").remove(&topic, &[1, 2]).await.expect("asked");
    assert_eq!(removed, 0, "what others pushed has no number to be named by");
}

#[tokio::test]
async fn a_server_without_room_can_be_emptied_and_takes_nothing_of_a_round_that_needs_room() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let (roles, topic, to) = (lists(redis.port()).await, unique("full"), unique("full-out"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(1).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).expect("set");
    let refused = publish(&roles, &to, &["x"]).await;
    assert!(matches!(&refused, Err(PublishError::Unavailable(what)) if what.contains("OOM")), "{refused:?}");
    hand.done(0).settle().await;
    hand.fetch(2).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "x", hand.got.receipt(1).position);
    let error = hand.done(1).outputs(outbox).try_settle().await.expect_err("there is no room");
    assert!(error.to_string().contains("OOM"), "{error}");
    redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).expect("set");
    hand.settle().await;
    assert_eq!(redis.ask(&["LLEN", &to]).expect("asked"), ["1"], "with its output, and once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_follows_sentinels_to_the_new_master() {
    let Some(all) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let sentinel = format!("127.0.0.1:{}", all.sentinel.port());
    let config = json!({ "sentinels": [sentinel], "sentinel-master": RedisSentinel::NAME, "lease": "60s" });
    let roles = try_connect::<Lists>(config, Vec::new()).await.expect("the sentinel knows it");
    let topic = unique("moved");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    hand.done(0).settle().await;
    until(async || {
        let held = all.replica.ask(&["KEYS", &format!("longshore:{{{topic}}}:held:*")]).expect("asked");
        held.first().is_some_and(|key| all.replica.ask(&["HLEN", key]).as_deref() == Ok(&["1".to_owned()]))
    })
    .await;
    tokio::task::block_in_place(|| all.master.server.kill());
    until(async || tokio::task::block_in_place(|| all.master_port()) == all.replica.port()).await;
    hand.done(1);
    until(async || hand.try_settle().await.is_ok()).await;
    until(async || publish(&roles, &topic, &["c"]).await.is_ok()).await;
    fetch_one(&mut hand).await;
    assert_eq!(hand.payloads(), ["a", "b", "c"]);
}
