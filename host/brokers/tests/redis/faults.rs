//! Wrong passwords, foreign certificates, connections that are cut, servers that go and come.

use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Batch, Fix, Order, Outbox, PublishError, Room, Subscribe};
use longshore_testkit::proxy::{Direction, Proxy, Traffic};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::json;

use crate::losses;
use crate::support::{streams, try_connect};
use crate::work::{SOON, hand, publish, push, subscribe, until, wish};

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again() {
    let Some(redis) = Redis::start(&RedisOptions::default().password("right").user("orders", "secret", "~* +@all")) else { return };
    let address = |user: Option<&str>, password: Option<&str>| json!({ "url": redis.url(), "username": user, "password": password });
    for (user, password) in [(None, None), (None, Some("wrong")), (Some("orders"), Some("right")), (Some("nobody"), Some("secret"))] {
        let error = try_connect::<Streams>(address(user, password), Vec::new()).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains("password"), "{error:?}");
        assert!(!error.what.contains("wrong") && !error.what.contains("secret"), "{error:?}");
    }
    try_connect::<Streams>(address(None, Some("right")), Vec::new()).await.expect("the password is right");
    try_connect::<Streams>(address(Some("orders"), Some("secret")), Vec::new()).await.expect("the user is known");
}

#[tokio::test]
async fn a_user_with_the_rights_of_the_page_does_all_that_a_host_does() {
    let rules = "~* +@connection +@stream +@sortedset +@hash +@string +@keyspace +@scripting +info +time -@dangerous +info";
    let Some(redis) = Redis::start(&RedisOptions::default().user("host", "secret", rules)) else { return };
    let config = json!({ "url": redis.url(), "username": "host", "password": "secret", "lease": "3s" });
    let roles = try_connect::<Streams>(config, Vec::new()).await.expect("connected");
    let topic = unique("rights");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    hand.done(0).again(1, Duration::from_millis(20), 2, 1).settle().await;
    let again = hand.fetch(1).await;
    hand.done(again).settle().await;
    hand.close().await;
    assert_eq!(roles.topics.as_ref().expect("topics").list().await.expect("listed").len(), 1);
    assert_eq!(roles.groups.as_ref().expect("groups").list().await.expect("listed").len(), 1);
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_not_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some(redis) = Redis::start(&RedisOptions::default().tls(&ours)) else { return };
    let with =
        |ca: &Authority| json!({ "host": "localhost", "port": redis.tls_port(), "tls": { "enabled": true, "ca": ca.certificate() } });
    let error = try_connect::<Streams>(with(&theirs), Vec::new()).await.err().expect("it is not trusted");
    assert!(error.fix == Fix::GiveUp && error.what.contains("certificate") && error.what.contains("tls.ca"), "{error:?}");
    let roles = try_connect::<Streams>(with(&ours), Vec::new()).await.expect("it is trusted");
    publish(&roles, &unique("tls"), &["a"]).await.expect("published");
}

#[tokio::test]
async fn a_configuration_that_means_nothing_is_refused_with_a_sentence() {
    let check = async |config, word: &str| {
        let error = try_connect::<Streams>(config, Vec::new()).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains(word), "{error:?}");
    };
    check(json!({ "url": "redis://localhost", "port": 1 }), "one form").await;
    check(json!({ "url": "http://localhost" }), "redis://").await;
    check(json!({ "pool-size": 0 }), "pool-size").await;
    check(json!({ "tls": { "enabled": true, "cert": "a.pem" } }), "tls.key").await;
    check(json!({ "tls": { "enabled": true, "ca": "nowhere.pem" } }), "nowhere.pem").await;
}

#[tokio::test]
async fn nobody_at_the_port_is_no_fault_of_the_configuration() {
    let Some(redis) = servers::redis() else { return };
    let proxy = Proxy::start(redis.port());
    proxy.refuse();
    let error = try_connect::<Streams>(json!({ "host": "127.0.0.1", "port": proxy.port() }), Vec::new()).await.err().expect("refused");
    assert!(error.fix == Fix::Reconnect && error.what.contains(&proxy.port().to_string()), "{error:?}");
    proxy.accept();
    proxy.coming(Traffic::Hang);
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "connect-timeout": "300ms", "response-timeout": "300ms" });
    let error = tokio::time::timeout(Duration::from_secs(5), try_connect::<Streams>(config, Vec::new())).await.expect("it ends in time");
    assert_eq!(error.err().expect("nobody answers").fix, Fix::Reconnect);
}

#[tokio::test]
async fn a_lane_whose_connection_is_cut_ends_and_the_next_goes_on_at_once() {
    let Some(redis) = servers::redis() else { return };
    let (proxy, topic) = (Proxy::start(redis.port()), unique("cut"));
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "lease": "60s" });
    let roles = try_connect::<Streams>(config, Vec::new()).await.expect("connected");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    for traffic in [Traffic::Cut, Traffic::Reset] {
        let (mut lane, lanes) = subscribe(&roles, wish(&topic, json!({}))).await.expect("subscribed");
        let mut batch = Batch::default();
        let room = Room { messages: 1, bytes: 1 << 20 };
        lane.source.fetch(room, &mut batch).await.expect("one came");
        proxy.existing(traffic);
        let error = tokio::time::timeout(SOON, async {
            loop {
                if let Err(error) = lane.source.fetch(room, &mut batch).await {
                    break error;
                }
            }
        });
        assert_eq!(error.await.expect("it ends").fix, Fix::Reconnect);
        drop((lane, lanes));
    }
    let mut next = hand(&roles, wish(&topic, json!({}))).await;
    next.fetch(2).await;
    let mut got = next.payloads();
    got.sort();
    assert_eq!(got, ["a", "b"], "long before the lease of a minute is over");
    assert_eq!([0, 1].map(|i| next.got.facts(i).unanswered), [0, 0], "it was no host that died");
}

#[tokio::test]
async fn a_settlement_whose_answer_is_lost_is_not_done_twice() {
    let Some(redis) = servers::redis() else { return };
    let (proxy, topic, to) = (Proxy::start(redis.port()), unique("unanswered"), unique("unanswered-out"));
    let config = json!({ "host": "127.0.0.1", "port": proxy.port(), "pool-size": 1, "response-timeout": "1s" });
    let roles = try_connect::<Streams>(config, Vec::new()).await.expect("connected");
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &to, "out", hand.got.receipt(0).position);
    hand.done(0).again(1, Duration::from_secs(3600), 2, 1).outputs(outbox);
    proxy.existing(Traffic::CutAfter(Direction::ToClient, 0));
    let first = hand.lane.acks.settle(&hand.round).await;
    assert!(first.is_err(), "its answer was cut");
    until(async || hand.lane.acks.settle(&hand.round).await.is_ok()).await;
    assert_eq!(redis.ask(&["XLEN", &to]).expect("asked"), ["1"], "published once");
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0");
    let groups = roles.groups.as_ref().expect("groups").list().await.expect("listed");
    let info = groups.iter().find(|info| info.topic == topic).expect("listed");
    assert_eq!((info.retries, info.lag), (1, Some(1)), "one retry, not two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_fails_while_the_server_is_away_and_recovers_by_itself() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("away"));
    publish(&roles, &topic, &["before"]).await.expect("published");
    tokio::task::block_in_place(|| redis.server.kill());
    let away = tokio::time::timeout(Duration::from_secs(10), publish(&roles, &topic, &["lost?"])).await.expect("it ends in time");
    assert!(matches!(away, Err(PublishError::Unavailable(_))), "{away:?}");
    tokio::task::block_in_place(|| {
        redis.server.launch();
        redis.server.await_ready();
    });
    publish(&roles, &topic, &["after"]).await.expect("without a new connection of ours");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    assert_eq!(hand.payloads(), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_count_and_due_time_survive_kill_9() {
    losses::retry_count_and_due_time::<Streams>().await;
}

#[tokio::test]
async fn a_server_without_room_takes_acknowledgements_and_refuses_the_rest_in_one_piece() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let roles = streams(redis.port()).await;
    for order in [Order::None, Order::Key] {
        let (topic, to) = (unique("full"), unique("full-out"));
        publish(&roles, &topic, &["a", "b"]).await.expect("published");
        let mut hand = hand(&roles, Subscribe { order, ..wish(&topic, json!({})) }).await;
        hand.fetch(2).await;
        redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).expect("set");
        let refused = publish(&roles, &to, &["x"]).await;
        assert!(matches!(&refused, Err(PublishError::Unavailable(what)) if what.contains("OOM")), "{refused:?}");
        hand.done(0).settle().await;
        let mut outbox = Outbox::default();
        push(&mut outbox, &to, "x", hand.got.receipt(1).position);
        let error = hand.done(1).outputs(outbox).try_settle().await.expect_err("there is no room");
        assert!(error.to_string().contains("OOM"), "{error}");
        assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "1", "it is settled with its output or not at all");
        redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).expect("set");
        hand.settle().await;
        assert_eq!(redis.ask(&["XLEN", &to]).expect("asked"), ["1"]);
    }
}
