//! A worker of one topic: publishing, fetching, and a ledger to settle with.

use std::time::Duration;

use futures::StreamExt;
use longshore_core::{Fetch, Lane, Message, Order, Outbox, OwnKeys, Page, Pattern, PublishError, Roles, Start, Subscribe, headers};
use longshore_testkit::conformance::Hand;

/// Adds a message.
pub(crate) fn push(outbox: &mut Outbox, topic: &str, payload: &str, delay: u64) {
    let headers = std::iter::empty();
    let message = Message { id: "", topic, key: None, payload: Some(payload.as_bytes()), headers, timestamp: 0, attempt: 1 };
    outbox.push(&message, delay, 0);
}

/// Publishes payloads to a topic, or says why the first that failed did.
pub(crate) async fn publish(roles: &Roles, topic: &str, payloads: &[impl AsRef<str>]) -> Result<Vec<String>, PublishError> {
    let mut outbox = Outbox::default();
    payloads.iter().for_each(|payload| push(&mut outbox, topic, payload.as_ref(), 0));
    let answers = roles.publisher.as_ref().expect("it publishes").publish(&outbox).await.expect("the broker is there");
    answers.into_iter().collect()
}

/// A usual subscription.
pub(crate) fn wish(topic: &str, group: &str, order: Order) -> Subscribe {
    Subscribe {
        topics: vec![Pattern::new(topic).expect("a name")],
        group: Some(group.into()),
        start: Start::Earliest,
        order,
        fetch: Fetch { max_messages: 100, max_wait: Duration::from_secs(1) },
        max_in_flight: 100,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    }
}

/// The lane of a group on a topic.
pub(crate) async fn lane(roles: &Roles, topic: &str, group: &str, order: Order) -> Lane {
    let consumer = roles.consumer.as_ref().expect("it consumes");
    let mut lanes = consumer.subscribe(wish(topic, group, order)).await.expect("subscribed");
    lanes.next().await.expect("a lane").expect("no error")
}

/// The same in a hand.
pub(crate) async fn hand(roles: &Roles, topic: &str, group: &str) -> Hand {
    Hand::new(lane(roles, topic, group, Order::Key).await, None)
}

/// Redrives forty dead letters of group "g", beside a live message, again and again: each try is cut off after the next of `patience`, until
/// one comes to its end. Says how many there were.
pub(crate) async fn redrive_in_pieces(roles: &Roles, topic: &str, patience: impl Iterator<Item = Duration>) -> usize {
    let graveyard = format!("{topic}.g.dlq");
    let mut outbox = Outbox::default();
    for payload in forty() {
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
    publish(roles, topic, &["live"]).await.expect("published");
    let positions = roles.topics.as_ref().expect("topics").browse(&graveyard, Page::After(0, 100)).await.expect("browsed");
    let positions = positions.receipts().positions().to_vec();
    let dead = roles.dead_letters.as_ref().expect("it has dead letters");
    let mut tries = 0;
    for patience in patience {
        tries += 1;
        if tokio::time::timeout(patience, dead.redrive(&graveyard, &positions)).await.is_ok() {
            break;
        }
    }
    tries
}

/// What was redriven in pieces comes once each, and nothing else but the live message.
pub(crate) async fn each_comes_once(roles: &Roles, topic: &str, mut hand: Hand) {
    hand.fetch(41).await;
    let mut got = hand.payloads();
    got.sort();
    assert_eq!(got, forty().chain(["live".to_owned()]).collect::<Vec<_>>());
    hand.all_done(0).settle().await;
    publish(roles, topic, &["last"]).await.expect("published");
    let last = hand.fetch(1).await;
    assert_eq!(hand.payloads_from(last), ["last"]);
}

fn forty() -> impl Iterator<Item = String> {
    (0..40).map(|i| format!("{i:02}"))
}
