//! Redriving, interrupted.

use std::time::Duration;

use longshore_core::{Message, Outbox, Page, headers};
use longshore_testkit::servers::{self, unique};

use super::support::{connect_to, hand, wish};
use crate::work::publish;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_killed_half_way_and_run_again_redrives_each_once() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    let graveyard = format!("{topic}.g.dlq");
    let mut outbox = Outbox::default();
    let payloads: Vec<String> = (0..40).map(|i| format!("{i:02}")).collect();
    for payload in &payloads {
        let facts: [(&str, &[u8]); 4] = [
            (headers::DEAD_REASON, b"exhausted"),
            (headers::DEAD_TOPIC, topic.as_bytes()),
            (headers::DEAD_GROUP, b"g"),
            (headers::DEAD_ID, payload.as_bytes()),
        ];
        let (payload, headers) = (Some(payload.as_bytes()), facts.iter().copied());
        outbox.push(&Message { id: "", topic: &graveyard, key: None, payload, headers, timestamp: 0, attempt: 1 }, 0, 0);
    }
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    publish(&roles, &topic, &["live"]).await.expect("published");
    let positions = roles.topics.as_ref().expect("topics").browse(&graveyard, Page::After(0, 100)).await.expect("browsed");
    let positions = positions.receipts().positions().to_vec();
    let dead = roles.dead_letters.as_ref().expect("it has dead letters");
    let mut tries = 0;
    for millis in (1..).step_by(60) {
        tries += 1;
        if tokio::time::timeout(Duration::from_millis(millis), dead.redrive(&graveyard, &positions)).await.is_ok() {
            break;
        }
    }
    assert!(tries > 1, "it was never interrupted");
    let mut hand = hand(&roles, wish(&topic, "g")).await;
    hand.fetch(41).await;
    let mut got = hand.payloads();
    got.sort();
    assert_eq!(got, payloads.iter().map(String::as_str).chain(["live"]).collect::<Vec<_>>());
    hand.all_done(0).settle().await;
    publish(&roles, &topic, &["last"]).await.expect("published");
    let last = hand.fetch(1).await;
    assert_eq!(hand.payloads_from(last), ["last"]);
}
