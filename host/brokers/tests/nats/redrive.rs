//! Redriving, interrupted.

use std::time::Duration;

use longshore_core::{Message, Outbox, Page, Roles, headers};
use longshore_testkit::servers::{self, unique};
use serde_json::json;

use super::support::{connect_to, hand, wish};
use crate::work::{each_comes_once, redrive_in_pieces};

/// Publishes one message with an id and headers.
async fn publish_one(roles: &Roles, topic: &str, (id, payload): (&str, &str), headers: &[(&str, &[u8])]) {
    let mut outbox = Outbox::default();
    let (payload, headers) = (Some(payload.as_bytes()), headers.iter().copied());
    outbox.push(&Message { id, topic, key: None, payload, headers, timestamp: 0, attempt: 1 }, 0, 0);
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// Payloads and ids of a topic.
async fn kept(roles: &Roles, topic: &str) -> Vec<(String, String)> {
    let page = roles.topics.as_ref().expect("topics").browse(topic, Page::After(0, 100)).await.expect("browsed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (0..page.len()).map(|i| (text(page.row(i).payload().unwrap_or_default()), page.row(i).id().to_owned())).collect()
}

#[tokio::test]
async fn a_copy_of_a_dead_letter_is_kept_where_its_message_is_remembered_and_once() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    let from = |place: &'static str| [(headers::REDRIVEN_FROM, place.as_bytes())];
    publish_one(&roles, &topic, ("order", "itself"), &[]).await;
    publish_one(&roles, &topic, ("order", "itself again"), &[]).await;
    publish_one(&roles, &topic, ("order", "copy"), &from("dlq/1@5")).await;
    publish_one(&roles, &topic, ("order", "copy again"), &from("dlq/1@5")).await;
    publish_one(&roles, &topic, ("order", "copy of another death"), &from("dlq/2@6")).await;
    let expected = ["itself", "copy", "copy of another death"].map(|payload| (payload.to_owned(), "order".to_owned()));
    assert_eq!(kept(&roles, &topic).await, expected);
}

#[tokio::test]
async fn two_messages_of_one_id_that_die_at_once_are_two_dead_letters() {
    let Some(nats) = servers::nats() else { return };
    let (roles, graveyard) = (connect_to(nats).await, unique("dead"));
    for source in ["default/a/1", "default/b/1", "default/b/1"] {
        let facts: [(&str, &[u8]); 4] = [
            (headers::DEAD_REASON, b"exhausted"),
            (headers::DEAD_GROUP, b"g"),
            (headers::DEAD_SOURCE, source.as_bytes()),
            (headers::DEAD_FIRST_FAILED_AT, b"2026-01-01T00:00:00Z"),
        ];
        publish_one(&roles, &graveyard, ("order", source), &facts).await;
    }
    let expected = ["default/a/1", "default/b/1"].map(|payload| (payload.to_owned(), "order".to_owned()));
    assert_eq!(kept(&roles, &graveyard).await, expected, "what is written again after a crash is written once");
}

#[tokio::test]
async fn a_dead_letter_of_a_stream_that_was_made_anew_is_redriven_too() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    let graveyard = format!("{topic}.g.dlq");
    let (dead, topics) = (roles.dead_letters.as_ref().expect("dead letters"), roles.topics.as_ref().expect("topics"));
    let mut hand = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    for payload in ["first", "second"] {
        let facts: [(&str, &[u8]); 3] =
            [(headers::DEAD_REASON, b"exhausted"), (headers::DEAD_TOPIC, topic.as_bytes()), (headers::DEAD_GROUP, b"g")];
        publish_one(&roles, &graveyard, ("", payload), &facts).await;
        assert_eq!(dead.redrive(&graveyard, &[1]).await.expect("redriven"), 1);
        let came = hand.fetch(1).await;
        assert_eq!(hand.payloads_from(came), [payload]);
        hand.all_done(came).settle().await;
        assert!(topics.delete(&graveyard).await.expect("deleted"));
    }
}

#[tokio::test]
async fn a_redrive_that_is_killed_half_way_and_run_again_redrives_each_once() {
    let Some(nats) = servers::nats() else { return };
    let (roles, topic) = (connect_to(nats).await, unique("t"));
    let tries = redrive_in_pieces(&roles, &topic, (100..).step_by(300).map(Duration::from_micros)).await;
    assert!(tries > 2, "it was never interrupted");
    let hand = hand(&roles, wish(&[&topic], "g", json!({}))).await;
    each_comes_once(&roles, &topic, hand).await;
}
