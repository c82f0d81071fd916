//! A worker of one topic: publishing, fetching, and a ledger to settle with.

use std::time::Duration;

use futures::StreamExt;
use longshore_core::{Fetch, Lane, Message, Order, Outbox, OwnKeys, Pattern, PublishError, Roles, Start, Subscribe};
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
