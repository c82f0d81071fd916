//! Consumers and streams that are there already, that are missing, and that go away.

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream;
use longshore_core::{Batch, BrokerError, Fix, Room};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, unique};
use serde_json::json;

use super::support::{connect_to, foreign, hand, subscribe, wish};
use crate::work::publish;

/// The error that ends the lane.
async fn ended(hand: &mut Hand) -> BrokerError {
    let room = Room { messages: 10, bytes: 1 << 20 };
    let fetch = async {
        loop {
            match hand.lane.source.fetch(room, &mut Batch::default()).await {
                Err(error) if error.fix != Fix::Retry => return error,
                _ => {}
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), fetch).await.expect("it ends soon")
}

#[tokio::test]
async fn several_topics_of_one_stream_are_one_lane_and_no_others_come() {
    let Some(nats) = servers::nats() else { return };
    let (roles, name) = (connect_to(nats).await, unique("ORDERS"));
    let subjects = vec![format!("{name}.>")];
    foreign(nats).await.create_stream(stream::Config { name: name.clone(), subjects, ..Default::default() }).await.expect("made");
    let topic = |of: &str| format!("{name}.{of}");
    for of in ["created", "ignored", "paid"] {
        publish(&roles, &topic(of), &[of]).await.expect("published");
    }
    let mut hand = hand(&roles, wish(&[&topic("created"), &topic("paid")], "g", json!({}))).await;
    hand.fetch(2).await;
    assert_eq!(hand.payloads(), ["created", "paid"]);
    assert_eq!((hand.lane.id.as_str(), hand.got.get(1).topic), (name.as_str(), topic("paid").as_str()));
    hand.all_done(0).settle().await;
    publish(&roles, &topic("ignored"), &["x"]).await.expect("published");
    publish(&roles, &topic("created"), &["last"]).await.expect("published");
    hand.fetch(1).await;
    assert_eq!(hand.payloads().last().map(String::as_str), Some("last"));

    let other = subscribe(&roles, wish(&[&topic("ignored")], "g", json!({}))).await.err().expect("the consumer takes other topics");
    assert!(other.fix == Fix::GiveUp && other.what.contains("`group`"), "{other}");
}

#[tokio::test]
async fn what_is_missing_is_an_error_unless_we_may_make_it() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    for declare in ["passive", "none"] {
        let error = subscribe(&roles, wish(&[&topic], "g", json!({ "declare": declare }))).await.err().expect("there is no stream");
        assert!(error.fix == Fix::GiveUp && error.what.contains(&topic) && error.what.contains("declare"), "{error}");
    }
    publish(&roles, &topic, &["a"]).await.expect("made");
    let error = subscribe(&roles, wish(&[&topic], "g", json!({ "declare": "passive" }))).await.err().expect("there is no consumer");
    assert!(error.fix == Fix::GiveUp && error.what.contains("\"g\""), "{error}");
    drop(subscribe(&roles, wish(&[&topic], "g", json!({}))).await.expect("made"));
    let mut hand = hand(&roles, wish(&[&topic], "g", json!({ "declare": "passive" }))).await;
    hand.fetch(1).await;
}

#[tokio::test]
async fn a_consumer_that_counts_attempts_itself_is_refused_or_changed() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    drop(subscribe(&roles, wish(&[&topic], "other", json!({}))).await.expect("the stream of retries is there"));
    let stream = foreign(nats).await.get_stream(&topic).await.expect("there");
    let config = pull::Config { durable_name: Some("g".into()), max_deliver: 3, ..Default::default() };
    stream.create_consumer(config).await.expect("made");
    let error = subscribe(&roles, wish(&[&topic], "g", json!({ "declare": "passive" }))).await.err().expect("it gives up by itself");
    assert!(error.fix == Fix::GiveUp && error.what.contains("max-deliver = 3"), "{error}");
    drop(subscribe(&roles, wish(&[&topic], "g", json!({ "lease": "7s" }))).await.expect("it is changed"));
    let config = stream.consumer_info("g").await.expect("there").config;
    assert_eq!((config.max_deliver, config.ack_wait.as_secs()), (-1, 7));

    let config = pull::Config { durable_name: Some("loose".into()), ack_policy: AckPolicy::None, ..Default::default() };
    stream.create_consumer(config).await.expect("made");
    let error = subscribe(&roles, wish(&[&topic], "loose", json!({}))).await.err().expect("it acknowledges nothing");
    assert!(error.fix == Fix::GiveUp && error.what.contains("acknowledge"), "{error}");
}

#[tokio::test]
async fn a_consumer_deleted_underneath_is_made_again_where_the_group_stood() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    first.fetch(3).await;
    first.done(0).done(1).settle().await;
    foreign(nats).await.get_stream(&topic).await.expect("there").delete_consumer("g").await.expect("deleted");
    let error = ended(&mut first).await;
    assert!(error.fix == Fix::Reconnect && error.what.contains("\"g\""), "{error}");
    let mut next = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["c"], "a and b are known to be finished");
}

#[tokio::test]
async fn a_stream_made_anew_under_its_name_is_read_from_its_beginning() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut first = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    first.fetch(2).await;
    first.all_done(0).settle().await;
    foreign(nats).await.delete_stream(&topic).await.expect("deleted");
    let error = ended(&mut first).await;
    assert_eq!(error.fix, Fix::Reconnect, "{error}");
    // It has more messages than were finished of the old one.
    publish(&roles, &topic, &["c", "d", "e"]).await.expect("made again");
    let mut next = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    next.fetch(3).await;
    assert_eq!(next.payloads(), ["c", "d", "e"]);
}

#[tokio::test]
async fn a_stream_deleted_underneath_stops_who_says_so() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut hand = hand(&roles, wish(&[&topic], "g", json!({ "on-vanished": "stop" }))).await;
    hand.fetch(1).await;
    foreign(nats).await.delete_stream(&topic).await.expect("deleted");
    let error = ended(&mut hand).await;
    assert!(error.fix == Fix::GiveUp && error.what.contains("on-vanished"), "{error}");
    publish(&roles, &topic, &["b"]).await.expect("the publisher makes its stream again");
}

#[tokio::test]
async fn an_output_that_is_published_twice_is_kept_once() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    let mut outbox = longshore_core::Outbox::default();
    for payload in ["a", "again"] {
        let headers: [(&str, &[u8]); 0] = [];
        let headers = headers.iter().copied();
        let payload = Some(payload.as_bytes());
        let message = longshore_core::Message { id: "origin/0", topic: &topic, key: None, payload, headers, timestamp: 0, attempt: 1 };
        outbox.push(&message, 0, 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert_eq!(answers, [Ok("origin/0".into()), Ok("origin/0".into())]);
    publish(&roles, &topic, &["fence"]).await.expect("published");
    let mut hand = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    hand.fetch(2).await;
    assert_eq!((hand.payloads(), hand.got.get(0).id), (vec!["a".into(), "fence".into()], "origin/0"));
}
