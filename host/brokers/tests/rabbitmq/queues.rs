//! How queues are kept: what they are declared with, and who declares them.

use std::time::Duration;

use futures::StreamExt;
use longshore_core::{Fix, Message, Order, Outbox, PublishError, Subscribe};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, unique};
use serde_json::json;
use tokio::time::Instant;

use super::support::{connect, connect_to, create, hand, subscribe, topic, until, wish};
use crate::work::publish;

#[tokio::test]
async fn an_argument_that_differs_is_told_by_its_key() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    create(&roles, &name, json!({ "max-priority": 5 })).await.expect("made");
    for (keys, key) in [(json!({}), "max-priority"), (json!({ "max-priority": 5, "durable": false }), "durable")] {
        let other = connect(json!({ "url": server.url() }), vec![(name.clone(), topic(keys))]).await.expect("there");
        let error = subscribe(&other, wish(&name, Some("g"), json!({}))).await.err().expect("refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains(&format!("`{key}`")) && error.what.contains(&name), "{error:?}");
    }
    let roles = connect_to(server).await;
    create(&roles, &name, json!({ "max-priority": 5 })).await.expect("the same");
}

#[tokio::test]
async fn priorities_go_first() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    create(&roles, &name, json!({ "max-priority": 5 })).await.expect("made");
    let mut outbox = Outbox::default();
    for priority in ["0", "5", "3"] {
        let headers = [("priority", priority.as_bytes())];
        let payload = Some(priority.as_bytes());
        outbox.push(&Message { id: "", topic: &name, key: None, payload, headers: headers.into_iter(), timestamp: 0, attempt: 1 }, 0, 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let mut reader = hand(&roles, wish(&name, Some("g"), json!({}))).await;
    reader.fetch(3).await;
    assert_eq!(reader.payloads(), ["5", "3", "0"]);
}

#[tokio::test]
async fn what_nobody_takes_in_time_goes() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    create(&roles, &name, json!({ "message-ttl": "100ms" })).await.expect("made");
    publish(&roles, &name, &["a"]).await.expect("published");
    let left = async || roles.topics.as_ref().expect("topics").list().await.expect("listed").iter().map(|info| info.messages).sum::<u64>();
    until(async || left().await == 0).await;
}

#[tokio::test]
async fn a_full_queue_refuses_more_and_drops_nothing() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    create(&roles, &name, json!({ "max-length": 2 })).await.expect("made");
    publish(&roles, &name, &["a", "b"]).await.expect("published");
    until(async || matches!(publish(&roles, &name, &["c"]).await, Err(PublishError::Unavailable(_)))).await;
    let mut reader = hand(&roles, wish(&name, Some("g"), json!({}))).await;
    reader.fetch(2).await;
    assert_eq!(reader.payloads()[..2], ["a", "b"]);
}

#[tokio::test]
async fn a_quorum_queue_counts_how_often_hosts_left_a_message_behind() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    create(&roles, &name, json!({ "queue-type": "quorum" })).await.expect("made");
    publish(&roles, &name, &["a"]).await.expect("published");
    for lost in 0..3 {
        let roles =
            connect(json!({ "url": server.url() }), vec![(name.clone(), topic(json!({ "queue-type": "quorum" })))]).await.expect("there");
        let mut reader = hand(&roles, wish(&name, Some("g"), json!({}))).await;
        reader.fetch(1).await;
        let facts = reader.got.facts(0);
        assert_eq!((facts.unanswered, facts.deliveries), (lost, lost + 1));
        drop(reader);
        roles.connection.close().await.expect("closed");
    }
}

#[tokio::test]
async fn one_consumer_at_a_time_is_active_where_it_is_asked_for() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name, keys) = (connect_to(server).await, unique("t"), json!({ "single-active-consumer": true }));
    let wish = || Subscribe { order: Order::Key, ..wish(&name, Some("g"), keys.clone()) };
    let (mut first, mut second) = (subscribe(&roles, wish()).await.expect("joined"), subscribe(&roles, wish()).await.expect("joined"));
    publish(&roles, &name, &["a", "b", "c"]).await.expect("published");
    let mut active = Hand::new(first.next().await.expect("a lane").expect("no error"), None);
    active.fetch(3).await;
    let position = active.got.receipt(1).position;
    active.done(0).again(1, Duration::from_secs(3600), 2, 1).settle().await;
    drop(first);
    active.close().await;
    let mut active = Hand::new(second.next().await.expect("a lane").expect("no error"), None);
    active.fetch(1).await;
    assert_eq!(active.payloads(), ["c"], "the next one goes on where the first stopped, in order");
    let waiting: Vec<u64> = active.lane.waiting.iter().map(|waiting| waiting.position).collect();
    assert_eq!(waiting, [position], "it knows what waited when it became active, not when it joined");
}

#[tokio::test]
async fn passive_and_none_make_nothing() {
    let Some(server) = servers::rabbitmq() else { return };
    let name = unique("t");
    let passive = connect(json!({ "url": server.url(), "declare": "passive" }), Vec::new()).await.expect("there");
    let error = subscribe(&passive, wish(&name, Some("g"), json!({}))).await.err().expect("it is not there");
    assert!(error.fix == Fix::GiveUp && error.what.contains(&name) && error.what.contains("`declare = \"create\"`"), "{error:?}");
    let none = connect(json!({ "url": server.url(), "declare": "none" }), Vec::new()).await.expect("there");
    let refused = publish(&none, &name, &["a"]).await.expect_err("nobody made it");
    assert!(matches!(&refused, PublishError::Invalid(why) if why.contains(&name)), "{refused:?}");
    let maker = connect_to(server).await;
    create(&maker, &name, json!({})).await.expect("made");
    publish(&none, &name, &["a"]).await.expect("it is there now");
    let mut reader = hand(&passive, wish(&name, Some("g"), json!({}))).await;
    reader.fetch(1).await;
    // A retry needs a queue to wait in, which nobody made: it is told, and nothing is lost.
    let told = reader.again(0, Duration::from_secs(1), 2, 1).try_settle().await.expect_err("there is none");
    assert!(told.to_string().contains(&format!("{name}.retry.1s")), "{told}");
}

#[tokio::test]
async fn a_retry_waits_for_no_queue_that_its_policy_could_tell_before() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    let millis = Duration::from_millis;
    let delays = vec![(millis(200), millis(220)), (millis(1_000), millis(1_100)), (millis(60_000), millis(66_000))];
    // The queue is new, so that this waits until a crash could not take it; and nothing after it does.
    let mut reader = hand(&roles, Subscribe { delays, ..wish(&name, Some("g"), json!({})) }).await;
    publish(&roles, &name, &["a", "b", "c", "d"]).await.expect("published");
    reader.fetch(4).await;
    let began = Instant::now();
    for (at, delay) in [(0, 200), (1, 1_000), (2, 1_100), (3, 66_000)] {
        reader.again(at, millis(delay), 2, 1).settle().await;
    }
    assert!(began.elapsed() < millis(2_000), "a new queue is waited for 3.1 s each: {:?}", began.elapsed());
}

#[tokio::test]
async fn once_a_publish_is_prepared_it_waits_for_no_new_queue() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    let publisher = roles.publisher.as_ref().expect("it publishes");
    let mut outbox = Outbox::default();
    for delay in [0, 5_000] {
        let headers: [(&str, &[u8]); 0] = [];
        let message = Message {
            id: "",
            topic: &name,
            key: None,
            payload: Some(b"a".as_slice()),
            headers: headers.into_iter(),
            timestamp: 0,
            attempt: 1,
        };
        outbox.push(&message, delay, 0);
    }
    publisher.prepare(&outbox).await;
    let began = Instant::now();
    let answers = publisher.publish(&outbox).await.expect("there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "a new queue is waited for 3.1 s: {:?}", began.elapsed());
}
