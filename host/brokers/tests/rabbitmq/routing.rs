//! Exchanges and bindings, and what becomes of a message that nobody is bound for.

use std::time::Duration;

use longshore_core::{Fix, Message, Outbox, PublishError, Roles, Start};
use longshore_testkit::servers::{self, unique};
use serde_json::{Value, json};

use super::support::{connect, connect_to, create, hand, subscribe, topic, wish};
use crate::work::{publish, push};

/// A broker whose topics `a`, `b` are on one exchange.
async fn on_exchange(kind: &str) -> Option<(Roles, [String; 2], Value)> {
    let server = servers::rabbitmq()?;
    let keys = json!({ "exchange": unique("x"), "exchange-type": kind });
    let names = [unique("a"), unique("b")];
    let topics = names.iter().map(|name| (name.clone(), topic(keys.clone()))).collect();
    let roles = connect(json!({ "url": server.url() }), topics).await.expect("the server is there");
    Some((roles, names, keys))
}

#[tokio::test]
async fn a_direct_exchange_routes_by_the_very_key() {
    let Some((roles, [a, b], _)) = on_exchange("direct").await else { return };
    let (mut of_a, mut of_b) = (hand(&roles, wish(&a, Some("g"), json!({}))).await, hand(&roles, wish(&b, Some("g"), json!({}))).await);
    publish(&roles, &a, &["1"]).await.expect("published");
    publish(&roles, &b, &["2"]).await.expect("published");
    of_a.fetch(1).await;
    of_b.fetch(1).await;
    assert_eq!((of_a.payloads(), of_b.payloads()), (vec!["1".into()], vec!["2".into()]));
    assert_eq!(of_a.got.get(0).topic, a);
}

#[tokio::test]
async fn a_fanout_exchange_routes_to_all() {
    let Some((roles, [a, b], _)) = on_exchange("fanout").await else { return };
    let (mut of_a, mut of_b) = (hand(&roles, wish(&a, Some("g"), json!({}))).await, hand(&roles, wish(&b, Some("g"), json!({}))).await);
    publish(&roles, &a, &["1"]).await.expect("published");
    of_a.fetch(1).await;
    of_b.fetch(1).await;
}

#[tokio::test]
async fn a_headers_exchange_routes_by_headers() {
    let Some((roles, [a, b], keys)) = on_exchange("headers").await else { return };
    let bound = |headers: Value, which: &str| json!({ "exchange": keys["exchange"], "exchange-type": "headers", "headers": headers, "headers-match": which });
    let mut both = hand(&roles, wish(&a, Some("g"), bound(json!({ "kind": "order", "land": "fr" }), "all"))).await;
    let mut any = hand(&roles, wish(&b, Some("g"), bound(json!({ "kind": "order", "land": "fr" }), "any"))).await;
    let mut outbox = Outbox::default();
    for (payload, land) in [("1", "de"), ("2", "fr")] {
        let headers = [("kind", &b"order"[..]), ("land", land.as_bytes())];
        let message = Message {
            id: "",
            topic: &a,
            key: None,
            payload: Some(payload.as_bytes()),
            headers: headers.into_iter(),
            timestamp: 0,
            attempt: 1,
        };
        outbox.push(&message, 0, 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    both.fetch(1).await;
    any.fetch(2).await;
    assert_eq!((both.payloads(), any.payloads()), (vec!["2".into()], vec!["1".into(), "2".into()]));
}

#[tokio::test]
async fn a_routing_key_of_ones_own_binds_and_publishes() {
    let Some(server) = servers::rabbitmq() else { return };
    let (name, exchange) = (unique("t"), unique("x"));
    let keys = json!({ "exchange": exchange, "routing-key": "orders.eu.created" });
    let roles = connect(json!({ "url": server.url() }), vec![(name.clone(), topic(keys))]).await.expect("there");
    let other = unique("reader");
    let mut reader = hand(&roles, wish(&other, Some("g"), json!({ "exchange": exchange, "routing-key": "orders.*.created" }))).await;
    publish(&roles, &name, &["1"]).await.expect("published");
    reader.fetch(1).await;
    assert_eq!(reader.got.get(0).topic, name, "it keeps the name that it was published under");
}

#[tokio::test]
async fn an_output_that_nobody_is_bound_for_fails_and_no_other_with_it() {
    let Some((roles, [a, b], _)) = on_exchange("topic").await else { return };
    let mut reader = hand(&roles, wish(&a, Some("g"), json!({}))).await;
    let mut outbox = Outbox::default();
    let count = 120;
    for i in 0..count {
        push(&mut outbox, if i % 3 == 1 { &b } else { &a }, &i.to_string(), 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    for (i, answer) in answers.iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(i % 3, 1, "message {i} went nowhere, and was not told"),
            Err(PublishError::Invalid(why)) => assert!(i % 3 == 1 && why.contains(&b), "message {i} was routed, and yet: {why}"),
            Err(other) => panic!("message {i}: {other}"),
        }
    }
    reader.fetch(count - count / 3).await;
}

#[tokio::test]
async fn a_second_group_on_a_queue_is_refused_as_it_would_take_from_the_first() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    let first = hand(&roles, wish(&name, Some("one"), json!({}))).await;
    let error = subscribe(&roles, wish(&name, Some("two"), json!({}))).await.err().expect("refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("\"one\"") && error.what.contains("`exchange`"), "{error:?}");
    first.close().await;
    hand(&roles, wish(&name, Some("two"), json!({}))).await;
}

#[tokio::test]
async fn what_a_queue_cannot_be_is_refused_with_what_to_do() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, name) = (connect_to(server).await, unique("t"));
    let latest = longshore_core::Subscribe { start: Start::Latest, ..wish(&name, Some("g"), json!({})) };
    let none = longshore_core::Subscribe { start: Start::None, ..wish(&name, Some("g"), json!({})) };
    for refused in [wish("t.*", Some("g"), json!({})), wish(&name, None, json!({})), latest, none] {
        let error = subscribe(&roles, refused).await.err().expect("refused");
        assert_eq!(error.fix, Fix::GiveUp, "{error}");
    }
}

#[tokio::test]
async fn a_delayed_message_keeps_its_way_through_an_exchange() {
    let Some((roles, [a, _], _)) = on_exchange("topic").await else { return };
    let mut reader = hand(&roles, wish(&a, Some("g"), json!({}))).await;
    let mut outbox = Outbox::default();
    push(&mut outbox, &a, "later", 30);
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(answers[0].is_ok(), "{answers:?}");
    reader.fetch(1).await;
    assert_eq!((reader.got.get(0).topic, reader.payloads()), (&*a, vec!["later".into()]));
    let far = Duration::from_secs(31 * 24 * 3600).as_millis() as u64;
    let mut outbox = Outbox::default();
    push(&mut outbox, &a, "never", far);
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(matches!(answers[0], Err(PublishError::Unsupported(_))), "{answers:?}");
}

#[tokio::test]
async fn an_exchange_of_another_type_is_told_by_its_key() {
    let Some(server) = servers::rabbitmq() else { return };
    let (roles, exchange) = (connect_to(server).await, unique("x"));
    create(&roles, &unique("t"), json!({ "exchange": exchange, "exchange-type": "direct" })).await.expect("made");
    let other = connect_to(server).await;
    let error = create(&other, &unique("t"), json!({ "exchange": exchange, "exchange-type": "fanout" })).await.expect_err("refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("`exchange-type`") && error.what.contains(&exchange), "{error:?}");
}
