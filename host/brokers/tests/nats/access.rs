//! Getting in: users, tokens, TLS, and what is said where it fails.

use std::time::Duration;

use longshore_core::{BrokerError, Fix};
use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Nats, NatsOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::connect;
use crate::work::publish;

/// Connecting fails soon, for good, and says these words.
async fn refused(config: Value, words: &[&str]) {
    let began = Instant::now();
    let error: BrokerError = connect(config, Vec::new()).await.err().expect("it is refused");
    assert!(began.elapsed() < Duration::from_secs(6), "it took {:?}", began.elapsed());
    assert_eq!(error.fix, Fix::GiveUp, "{error}");
    words.iter().for_each(|word| assert!(error.what.contains(word), "{error}"));
    assert!(!error.what.contains("secret") && !error.what.contains("wrong"), "no password is told: {error}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_a_right_one_lets_in() {
    let options = NatsOptions::default().user("me", "secret", "");
    let Some(nats) = Nats::start(&options) else { return };
    let url = nats.url();
    let roles = connect(json!({ "url": url, "user": "me", "password": "secret" }), Vec::new()).await.expect("the right one");
    publish(&roles, "t", &["a"]).await.expect("published");
    refused(json!({ "url": url, "user": "me", "password": "wrong" }), &["does not let us in", "password"]).await;
    refused(json!({ "url": url }), &["does not let us in"]).await;
    refused(json!({ "url": url, "user": "me" }), &["go together"]).await;
}

#[tokio::test]
async fn a_token_lets_in() {
    let Some(nats) = Nats::start(&NatsOptions::default().token("secret")) else { return };
    let roles = connect(json!({ "url": nats.url(), "token": "secret" }), Vec::new()).await.expect("the right one");
    roles.connection.ping().await.expect("it answers");
    refused(json!({ "url": nats.url(), "token": "wrong" }), &["does not let us in"]).await;
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_alone() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some(nats) = Nats::start(&NatsOptions::default().mutual_tls(&ours)) else { return };
    let client = ours.client("longshore");
    let url = format!("tls://localhost:{}", nats.port());
    let tls =
        |authority: &Authority| json!({ "enabled": true, "ca": authority.certificate(), "cert": client.certificate, "key": client.key });
    let roles = connect(json!({ "url": url, "tls": tls(&ours) }), Vec::new()).await.expect("it is trusted");
    publish(&roles, "t", &["a"]).await.expect("published");
    refused(json!({ "url": url, "tls": tls(&theirs) }), &["tls"]).await;
    refused(json!({ "url": url, "tls": { "ca": "/no/such/file" } }), &["tls.ca", "/no/such/file"]).await;
}

#[tokio::test]
async fn an_account_without_jetstream_is_told() {
    let line = "accounts { A: { users: [{ user: me, password: secret }] } }";
    let Some(nats) = Nats::start(&NatsOptions::default().line(line)) else { return };
    refused(json!({ "url": nats.url(), "user": "me", "password": "secret" }), &["JetStream is off"]).await;
}

#[tokio::test]
async fn nobody_there_is_an_error_that_passes() {
    let url = format!("nats://127.0.0.1:{}", servers::free_port());
    let error = connect(json!({ "url": url }), Vec::new()).await.err().expect("nobody is there");
    assert!(error.fix == Fix::Reconnect && error.what.contains(&url), "{error}");
}
