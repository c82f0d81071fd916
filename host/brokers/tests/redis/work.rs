//! Publishing and consuming, as the tests want it.

use std::time::Duration;

use futures::StreamExt;
use longshore_core::{
    Batch, BrokerError, Fetch, Fix, Lane, Lanes, Message, Order, Outbox, OwnKeys, Pattern, PublishError, Roles, Room, Start, Subscribe,
};
use longshore_testkit::conformance::Hand;
use serde_json::Value;

/// How long anything that must come may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Adds a message.
pub(crate) fn push(outbox: &mut Outbox, topic: &str, payload: &str, origin: u64) {
    let headers = std::iter::empty();
    let message = Message { id: "", topic, key: None, payload: Some(payload.as_bytes()), headers, timestamp: 0, attempt: 1 };
    outbox.push(&message, 0, origin);
}

/// Publishes payloads, or says why the first that failed did.
pub(crate) async fn publish(roles: &Roles, topic: &str, payloads: &[&str]) -> Result<Vec<String>, PublishError> {
    let mut outbox = Outbox::default();
    payloads.iter().for_each(|payload| push(&mut outbox, topic, payload, 0));
    let publisher = roles.publisher.as_ref().expect("it publishes");
    publisher.publish(&outbox).await.expect("each message is answered for").into_iter().collect()
}

/// A subscription of a group that any number of hosts share.
pub(crate) fn wish(topic: &str, own: Value) -> Subscribe {
    let Value::Object(own) = own else { panic!("keys are a table") };
    Subscribe {
        topics: vec![Pattern::new(topic).expect("a name")],
        group: Some("g".into()),
        start: Start::Earliest,
        order: Order::None,
        fetch: Fetch { max_messages: 100, max_wait: Duration::from_millis(200) },
        max_in_flight: 100,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::new(own),
    }
}

/// Subscribes, and takes the first lane.
pub(crate) async fn subscribe(roles: &Roles, subscribe: Subscribe) -> Result<(Lane, Lanes), BrokerError> {
    let mut lanes = roles.consumer.as_ref().expect("it consumes").subscribe(subscribe).await?;
    let lane = tokio::time::timeout(SOON, lanes.next()).await.expect("a lane comes").expect("the stream goes on")?;
    Ok((lane, lanes))
}

/// The same in a hand.
pub(crate) async fn hand(roles: &Roles, wish: Subscribe) -> Hand {
    let (lane, lanes) = subscribe(roles, wish).await.expect("subscribed");
    Hand::new(lane, Some(lanes))
}

/// Waits until `what` is so.
pub(crate) async fn until(mut what: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, wait).await.expect("it becomes so in time");
}

/// Waits until a lane ends, as who it reads from is gone.
pub(crate) async fn ends(hand: &mut Hand) {
    let room = Room { messages: 1, bytes: 1 << 20 };
    until(async || hand.lane.source.fetch(room, &mut Batch::default()).await.is_err_and(|error| error.fix == Fix::Reconnect)).await;
}
