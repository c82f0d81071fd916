//! Core NATS: what only it has. Who listens gets a message once; connections that break leave a gap that is told, and nothing else.

use std::time::Duration;

use longshore_core::{Batch, Fix, Order, Outbox, PublishError, Receipts, Roles, Room, Start, Subscribe, TopicSettings, headers};
use longshore_testkit::conformance::Hand;
use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Nats, NatsOptions};
use serde_json::{Value, json};

use super::support::{connect_core, own, subscribe};
use crate::work::{publish, push};

/// How long anything that must come may take.
const SOON: Duration = Duration::from_secs(20);

async fn connect(nats: &Nats) -> Roles {
    connect_core(json!({ "url": nats.url() }), Vec::new()).await.expect("the server is there")
}

fn wish(topics: &[&str], group: Option<&str>, keys: Value) -> Subscribe {
    Subscribe { group: group.map(Into::into), own: own(keys), ..super::support::wish(topics, "any", json!({})) }
}

async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    super::support::hand(roles, wish).await
}

/// Fetches until `payload` came, as the engine would; trouble that passes is waited for. Says what came.
async fn fetch_until(hand: &mut Hand, payload: &str) -> Vec<String> {
    let first = hand.got.len();
    let all = async {
        while !hand.payloads_from(first).iter().any(|p| p == payload) {
            let mut batch = Batch::default();
            match hand.lane.source.fetch(Room { messages: 100, bytes: 1 << 20 }, &mut batch).await {
                Ok(()) => drop(hand.take(&batch)),
                Err(error) => {
                    assert_eq!(error.fix, Fix::Retry, "{error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    };
    tokio::time::timeout(SOON, all).await.unwrap_or_else(|_| panic!("{payload:?} never came"));
    hand.payloads_from(first)
}

/// Publishes until it is taken.
async fn publish_soon(roles: &Roles, topic: &str, payload: &str) {
    let all = async {
        while let Err(error) = publish(roles, topic, &[payload]).await {
            assert!(matches!(error, PublishError::Unavailable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, all).await.expect("it is taken soon");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_several_patterns_mean_comes_once() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect(&nats).await;
    for group in [None, Some("g")] {
        let mut hand = hand(&roles, wish(&["a.*", "a.b", "*.b", "a.**"], group, json!({}))).await;
        publish(&roles, "a.b", &["once"]).await.expect("published");
        publish(&roles, "c.b", &["other"]).await.expect("published");
        publish(&roles, "a.b.c", &["deeper"]).await.expect("published");
        hand.fetch(3).await;
        publish(&roles, "a.x", &["fence"]).await.expect("published");
        hand.fetch(1).await;
        let mut got = hand.payloads();
        got.sort();
        assert_eq!(got, ["deeper", "fence", "once", "other"], "{group:?}");
        hand.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_of_everything_hears_no_inbox_and_nothing_of_the_servers() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let (roles, other) = (connect(&nats).await, super::support::foreign(&nats).await);
    let mut hand = hand(&roles, wish(&["**"], None, json!({}))).await;
    other.client().publish("_INBOX.x", "answer".into()).await.expect("published");
    other.query_account().await.expect("JetStream answers");
    publish(&roles, "fence", &["x"]).await.expect("published");
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_dropped_and_counted() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect(&nats).await;
    let payloads: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    for (overflow, kept) in [("drop-oldest", &payloads[400..]), ("drop-newest", &payloads[..100])] {
        let topic = format!("t.{overflow}");
        let mut hand = hand(&roles, wish(&[&topic], Some("g"), json!({ "buffer": 100, "overflow": overflow }))).await;
        publish(&roles, &topic, &payloads).await.expect("published");
        // Dropped ones are told as they are: once all came, the rest waits.
        let mut dropped = 0;
        let all = async {
            while dropped < 400 {
                dropped += hand.lane.source.take_dropped();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, all).await.expect("they are dropped");
        hand.fetch(100).await;
        assert_eq!((hand.payloads(), dropped, hand.lane.source.take_dropped()), (kept.to_vec(), 400, 0), "{overflow}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_hears_again_after_the_server_was_killed_or_the_connection_cut() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let proxy = Proxy::start(nats.port());
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let roles = connect_core(json!({ "url": url }), Vec::new()).await.expect("the server is there");
    let mut hand = hand(&roles, wish(&["t"], Some("g"), json!({}))).await;
    publish(&roles, "t", &["first"]).await.expect("published");
    hand.fetch(1).await;
    tokio::task::block_in_place(|| nats.server.restart());
    heard_again(&roles, &mut hand, "after a kill").await;
    proxy.existing(Traffic::Reset);
    heard_again(&roles, &mut hand, "after a reset").await;
}

/// A lane is told of trouble and hears again by itself; what is published once it does comes, once each.
async fn heard_again(roles: &Roles, hand: &mut Hand, payload: &str) {
    let (mut batch, room) = (Batch::default(), Room { messages: 10, bytes: 1 << 20 });
    let mut troubles = 0;
    let well = async {
        // Trouble is told once, and its end by a fetch that brings nothing.
        loop {
            match hand.lane.source.fetch(room, &mut batch).await {
                Ok(()) => return,
                Err(error) => troubles += u32::from(error.fix == Fix::Retry),
            }
        }
    };
    tokio::time::timeout(SOON, well).await.expect("it is connected again");
    assert!(batch.is_empty() && troubles <= 1, "{} messages, {troubles} troubles", batch.len());
    publish_soon(roles, "t", payload).await;
    assert_eq!(fetch_until(hand, payload).await, [payload]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_handed_over_before_trouble_is_told() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect(&nats).await;
    let mut hand = hand(&roles, wish(&["t"], Some("g"), json!({}))).await;
    publish(&roles, "t", &["a", "b", "c"]).await.expect("published");
    hand.fetch(1).await;
    tokio::task::block_in_place(|| nats.server.kill());
    hand.fetch(2).await;
    assert_eq!(hand.payloads(), ["a", "b", "c"]);
    let mut batch = Batch::default();
    let error = tokio::time::timeout(SOON, hand.lane.source.fetch(Room { messages: 1, bytes: 1 }, &mut batch));
    assert_eq!(error.await.expect("it is told soon").expect_err("nobody is there").fix, Fix::Retry);
    let answer = publish(&roles, "t", &["x"]).await;
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_confirms_nothing() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let proxy = Proxy::start(nats.port());
    let config = json!({ "url": format!("nats://127.0.0.1:{}", proxy.port()), "request-timeout": "500ms" });
    let roles = connect_core(config, Vec::new()).await.expect("the server is there");
    proxy.all(Traffic::Hang);
    let answer = publish(&roles, "t", &["x"]).await;
    assert!(matches!(answer, Err(PublishError::Unavailable(_) | PublishError::Timeout)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_given_nothing_any_more() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect(&nats).await;
    let first = hand(&roles, wish(&["t"], Some("g"), json!({}))).await;
    let mut second = hand(&roles, wish(&["t"], Some("g"), json!({}))).await;
    // The lane is closed and still there: whatever came to it now would be lost.
    let Hand { lane, .. } = first;
    let source = lane.source;
    lane.acks.close(Receipts::default()).await.expect("it closes");
    let payloads: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    publish(&roles, "t", &payloads).await.expect("published");
    second.fetch(100).await;
    assert_eq!(second.payloads(), payloads);
    drop(source);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_told() {
    let rights = "publish: [\"good.>\", \"_INBOX.>\"], subscribe: [\"good.>\", \"_INBOX.>\"]";
    let Some(nats) = Nats::start(&NatsOptions::default().user("me", "secret", rights)) else { return };
    let config = json!({ "url": nats.url(), "user": "me", "password": "secret" });
    let roles = connect_core(config, Vec::new()).await.expect("it is let in");
    // The server says so in passing: a busy machine may hear it after the first message only.
    let denied = async { while publish(&roles, "bad.topic", &["x"]).await.is_ok() {} };
    tokio::time::timeout(SOON, denied).await.expect("it is told");
    let answer = publish(&roles, "bad.topic", &["x"]).await;
    assert!(matches!(&answer, Err(PublishError::Denied(words)) if words.contains("bad.topic")), "{answer:?}");
    publish(&roles, "good.topic", &["x"]).await.expect("that may be");
    for group in [None, Some("g")] {
        let wish = wish(&["good.topic", "bad.*"], group, json!({}));
        let error = match subscribe(&roles, wish).await {
            Err(error) => error,
            Ok(mut lanes) => {
                let mut lane = futures::StreamExt::next(&mut lanes).await.expect("a lane").expect("no error");
                let mut batch = Batch::default();
                let fetched = tokio::time::timeout(SOON, lane.source.fetch(Room { messages: 1, bytes: 1 }, &mut batch));
                fetched.await.expect("it is told soon").expect_err("there is no right to")
            }
        };
        assert!(error.fix == Fix::GiveUp && error.what.contains("bad.*"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_passwords_are_those_of_every_nats() {
    let authority = Authority::new();
    let Some(nats) = Nats::start(&NatsOptions::default().tls(&authority).user("me", "secret", "")) else { return };
    let url = format!("tls://localhost:{}", nats.port());
    let config =
        |password: &str, ca: Value| json!({ "url": url, "user": "me", "password": password, "tls": { "enabled": true, "ca": ca } });
    let roles = connect_core(config("secret", json!(authority.certificate())), Vec::new()).await.expect("it lets us in");
    publish(&roles, "t", &["x"]).await.expect("published");
    let other = Authority::new();
    for bad in [config("wrong", json!(authority.certificate())), config("secret", json!(other.certificate()))] {
        let error = connect_core(bad, Vec::new()).await.err().expect("it is refused");
        assert!(error.fix == Fix::GiveUp && !error.what.contains("secret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_nobody_hears_is_told_at_once_and_others_requests_are_answered() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let (roles, other) = (connect(&nats).await, super::support::foreign(&nats).await.client());
    let mut question = Outbox::default();
    push(&mut question, "nobody", "?", 0);
    let publisher = roles.publisher.clone().expect("it publishes");
    let asked = tokio::time::timeout(Duration::from_secs(5), publisher.request(&question, SOON)).await.expect("at once");
    assert!(matches!(&asked, Err(PublishError::Unavailable(words)) if words.contains("nobody")), "{:?}", asked.err());
    let mut hand = hand(&roles, wish(&["ask"], Some("g"), json!({}))).await;
    let answer = async {
        hand.fetch(1).await;
        let to = hand.got.row(0).header(headers::REPLY_TO).map(|to| String::from_utf8(to.to_vec()).expect("text")).expect("where to");
        publish(&roles, &to, &["42"]).await.expect("somebody waits");
    };
    let (asked, ()) = tokio::join!(other.request("ask", "?".into()), answer);
    assert_eq!(&asked.expect("answered").payload[..], b"42");
    // Where an answer goes is the server's to say, whatever a header says.
    let mut forged = async_nats::HeaderMap::new();
    forged.insert(headers::REPLY_TO, "_INBOX.forged");
    other.publish_with_headers("ask", forged, "?".into()).await.expect("published");
    let at = hand.fetch(1).await;
    assert_eq!(hand.got.row(at).header(headers::REPLY_TO), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_says_of_a_request_is_no_answer_to_it() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let (roles, jetstream) = (connect(&nats).await, super::support::connect_to(&nats).await);
    let mut question = Outbox::default();
    push(&mut question, "ask", "?", 0);
    // JetStream makes no stream for it, so core NATS is told that nobody is there.
    for publisher in [&jetstream.publisher, &roles.publisher] {
        let asked = publisher.as_ref().expect("it publishes").request(&question, SOON).await;
        assert!(matches!(&asked, Err(PublishError::Unavailable(words)) if words.contains("ask")), "{:?}", asked.err());
    }
    jetstream.topics.as_ref().expect("it has topics").create("ask", &TopicSettings::default()).await.expect("made");
    let publisher = roles.publisher.clone().expect("it publishes");
    let asked = publisher.request(&question, Duration::from_millis(300)).await;
    assert_eq!(asked.err(), Some(PublishError::Timeout), "the stream keeps it, and nobody answers");
    let mut hand = hand(&roles, wish(&["ask"], Some("g"), json!({}))).await;
    let answer = async {
        hand.fetch(1).await;
        let to = hand.got.row(0).header(headers::REPLY_TO).map(|to| String::from_utf8(to.to_vec()).expect("text")).expect("where to");
        publish(&roles, &to, &["42"]).await.expect("somebody waits");
    };
    let (asked, ()) = tokio::join!(publisher.request(&question, SOON), answer);
    assert_eq!(asked.expect("answered").get(0).payload, Some(&b"42"[..]));
}

#[tokio::test]
async fn what_it_cannot_keep_is_refused() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let kept = TopicSettings { max_size: Some(1 << 20), ..TopicSettings::default() };
    let error = connect_core(json!({ "url": nats.url() }), vec![("t".into(), kept)]).await.err().expect("nothing is kept");
    assert!(error.fix == Fix::GiveUp && error.what.contains("nats-jetstream"), "{error}");
    let roles = connect(&nats).await;
    let ordered = Subscribe { order: Order::Key, ..wish(&["t"], Some("g"), json!({})) };
    let early = Subscribe { start: Start::Time(1), ..wish(&["t"], None, json!({})) };
    for bad in [ordered, early, wish(&["t"], None, json!({ "buffer": 0 }))] {
        assert_eq!(subscribe(&roles, bad).await.err().expect("it is refused").fix, Fix::GiveUp);
    }
    let _ordered =
        subscribe(&roles, Subscribe { order: Order::Lane, ..wish(&["t"], None, json!({})) }).await.expect("a broadcast has an order");
}
