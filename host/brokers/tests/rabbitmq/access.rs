//! Who may come in, and what a wrong word is answered with.

use std::time::Duration;

use longshore_brokers::rabbitmq::RabbitMq as Adapted;
use longshore_core::{Adapter, BrokerError, Fix, Order, OwnKeys, TopicSettings};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, RabbitMq, RabbitMqOptions, unique};
use serde_json::{Value, json};

use super::support::{connect, connect_to, hand, subscribe, wish};
use crate::work::publish;

/// What connecting is refused with.
async fn refusal(config: Value) -> BrokerError {
    connect(config, Vec::new()).await.err().expect("it is refused")
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again() {
    let Some(server) = servers::rabbitmq() else { return };
    let error = refusal(json!({ "port": server.port(), "host": "127.0.0.1", "password": "hunter2" })).await;
    assert!(error.fix == Fix::GiveUp && error.what.contains("wrong username or password"), "{error:?}");
    assert!(!error.what.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_missing_vhost_is_told_by_its_name() {
    let Some(server) = servers::rabbitmq() else { return };
    let error = refusal(json!({ "port": server.port(), "host": "127.0.0.1", "vhost": "nowhere" })).await;
    assert!(error.fix == Fix::GiveUp && error.what.contains("\"nowhere\"") && error.what.contains("`vhost`"), "{error:?}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_may_be_tried_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let error = refusal(json!({ "port": free.port(), "host": "127.0.0.1" })).await;
    assert!(error.fix == Fix::Reconnect && error.what.contains(&free.port().to_string()), "{error:?}");
}

#[tokio::test]
async fn a_url_and_parts_of_one_are_refused_together() {
    let error = refusal(json!({ "url": "amqp://localhost", "host": "localhost" })).await;
    assert!(error.fix == Fix::GiveUp && error.what.contains("`host`"), "{error:?}");
}

#[tokio::test]
async fn tls_trusts_only_who_is_to_be_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let options = RabbitMqOptions::default().tls(&authority).set("ssl_options.fail_if_no_peer_cert", "true");
    let Some(server) = RabbitMq::start(&options) else { return };
    let client = authority.client("longshore");
    let tls = |ca: &Authority| json!({ "enabled": true, "ca": ca.certificate(), "cert": client.certificate, "key": client.key });
    let config = |tls: Value| json!({ "host": "localhost", "port": server.tls_port(), "tls": tls });
    let error = refusal(config(tls(&other))).await;
    assert!(error.fix == Fix::GiveUp && error.what.contains("not trusted") && error.what.contains("`tls.ca`"), "{error:?}");
    let roles = connect(config(tls(&authority)), Vec::new()).await.expect("trusted");
    let topic = unique("t");
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut reader = hand(&roles, wish(&topic, Some("g"), json!({}))).await;
    reader.fetch(1).await;
    let anonymous = json!({ "enabled": true, "ca": authority.certificate() });
    assert!(connect(config(anonymous), Vec::new()).await.is_err(), "the server wants to know who comes");
}

#[tokio::test]
async fn a_user_without_the_right_is_told_what_is_missing() {
    let options = RabbitMqOptions::default().user("reader", "secret").permit("reader", "/", ["^$", "^$", ".*"]);
    let Some(server) = RabbitMq::start(&options) else { return };
    let topic = unique("t");
    let config = json!({ "host": "127.0.0.1", "port": server.port(), "username": "reader", "password": "secret" });
    let roles = connect(config, Vec::new()).await.expect("it may come in");
    let error = subscribe(&roles, wish(&topic, Some("g"), json!({}))).await.err().expect("it may make no queue");
    assert!(error.fix == Fix::GiveUp && error.what.contains("no right") && error.what.contains(&topic), "{error:?}");
    let refused = publish(&roles, &topic, &["a"]).await.expect_err("nor publish");
    assert!(refused.to_string().contains("no right"), "{refused}");
    publish(&connect_to(&server).await, &topic, &["a"]).await.expect("another may");
}

#[tokio::test]
async fn a_key_that_rabbitmq_cannot_keep_is_refused_with_the_one_to_take() {
    let kept = TopicSettings { retention: Some(Duration::from_secs(1)), ..TopicSettings::default() };
    let error = connect(json!({}), vec![("orders".into(), kept)]).await.err().expect("refused");
    assert!(error.fix == Fix::GiveUp && error.what.contains("\"orders\"") && error.what.contains("`message-ttl`"), "{error:?}");
}

#[test]
fn an_order_that_no_host_keeps_alone_needs_a_single_active_consumer() {
    let keys = |single: bool| serde_json::from_value(json!({ "single-active-consumer": single })).expect("good keys");
    let ordered = crate::work::wish("t", "g", Order::Key);
    let refused = Adapted::check_subscription(&ordered, &keys(false));
    assert!(refused.len() == 1 && refused[0].key == "order" && refused[0].help.contains("single-active-consumer"), "{refused:?}");
    assert_eq!(Adapted::check_subscription(&ordered, &keys(true)), []);
    assert_eq!(ordered.own, OwnKeys::default());
}
