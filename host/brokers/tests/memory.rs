//! What only the memory broker has: buses by name, and faults on purpose.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use futures::StreamExt;
use longshore_core::{
    Batch, Fetch, Fix, Message, Order, Outbox, OwnKeys, Pattern, PublishError, Roles, Room, SettleError, Settled, Start, Subscribe,
};
use serde_json::json;
use support::open_memory;

fn outbox(payload: &str) -> Outbox {
    let mut outbox = Outbox::default();
    let headers = std::iter::empty();
    outbox.push(&Message { id: "", topic: "t", key: None, payload: Some(payload.as_bytes()), headers, timestamp: 0, attempt: 1 }, 0, 0);
    outbox
}

async fn publish(roles: &Roles, payload: &str) -> Result<String, PublishError> {
    roles.publisher.as_ref().unwrap().publish(&outbox(payload)).await.unwrap().remove(0)
}

async fn lane(roles: &Roles) -> longshore_core::Lane {
    let subscribe = Subscribe {
        topics: vec![Pattern::new("t").unwrap()],
        group: Some("g".into()),
        start: Start::Earliest,
        order: Order::None,
        fetch: Fetch { max_messages: 10, max_wait: std::time::Duration::from_secs(1) },
        max_in_flight: 10,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    };
    let mut lanes = roles.consumer.as_ref().unwrap().subscribe(subscribe).await.unwrap();
    lanes.next().await.unwrap().unwrap()
}

const ROOM: Room = Room { messages: 10, bytes: 1 << 20 };

#[tokio::test]
async fn tables_that_name_a_bus_share_it() {
    let (one, two) = (open_memory(json!({"url": "memory://shared"})).await, open_memory(json!({"url": "memory://shared"})).await);
    let (other, alone) = (open_memory(json!({"url": "memory://other"})).await, open_memory(json!({})).await);
    publish(&one, "a").await.unwrap();
    let count = async |roles: &Roles| roles.topics.as_ref().unwrap().list().await.unwrap().len();
    assert_eq!([count(&one).await, count(&two).await, count(&other).await, count(&alone).await], [1, 1, 0, 0]);
    drop((one, two));
    let later = open_memory(json!({"url": "memory://shared"})).await;
    assert_eq!(count(&later).await, 0, "a bus ends with its last user");
}

#[tokio::test]
async fn a_url_of_another_form_is_refused() {
    use longshore_core::Adapter;
    let config = serde_json::from_value(json!({"url": "redis://x"})).unwrap();
    let error = longshore_brokers::memory::Memory::connect(config, support::connect_in(".".as_ref())).await.err().unwrap();
    assert_eq!((error.fix, error.what.as_str()), (Fix::GiveUp, "url \"redis://x\" is not of the form memory://<name>"));
}

#[tokio::test]
async fn refusals_are_told_and_work_when_tried_again() {
    let roles = open_memory(json!({"faults": {"refuse": {"first": 1}}})).await;
    assert_eq!(publish(&roles, "a").await, Err(PublishError::Unavailable("refused on purpose".into())));
    publish(&roles, "a").await.unwrap();
}

#[tokio::test]
async fn a_refused_settlement_settles_nothing() {
    let roles = open_memory(json!({"faults": {"refuse": {"every": 2}}})).await;
    publish(&roles, "a").await.unwrap();
    let mut lane = lane(&roles).await;
    let mut batch = Batch::default();
    lane.source.fetch(ROOM, &mut batch).await.unwrap();
    let mut round = Settled { up_to: Some(1), ..Settled::default() };
    round.finished.push(batch.receipt(0));
    let error = lane.acks.settle(&round).await.unwrap_err();
    assert!(matches!(&error, SettleError::Broker(e) if e.fix == Fix::Retry), "{error:?}");
    let position = async || roles.groups.as_ref().unwrap().list().await.unwrap()[0].position;
    assert_eq!(position().await, 0);
    lane.acks.settle(&round).await.unwrap();
    assert_eq!(position().await, 1);
}

#[tokio::test]
async fn a_dropped_connection_ends_a_lane_and_loses_nothing() {
    let roles = open_memory(json!({"faults": {"drop": {"every": 2}}})).await;
    publish(&roles, "a").await.unwrap();
    let mut first = lane(&roles).await;
    let mut batch = Batch::default();
    assert_eq!(first.source.fetch(ROOM, &mut batch).await.unwrap_err().fix, Fix::Reconnect);
    drop(first);
    lane(&roles).await.source.fetch(ROOM, &mut batch).await.unwrap();
    assert_eq!(batch.len(), 1);
}

#[tokio::test]
async fn a_doubled_delivery_has_one_receipt() {
    let roles = open_memory(json!({"faults": {"double": {"first": 1}}})).await;
    publish(&roles, "a").await.unwrap();
    let mut lane = lane(&roles).await;
    let mut batch = Batch::default();
    lane.source.fetch(ROOM, &mut batch).await.unwrap();
    lane.source.fetch(ROOM, &mut batch).await.unwrap();
    assert_eq!((batch.len(), batch.receipt(0)), (2, batch.receipt(1)));
    assert_eq!(batch.get(0).payload, batch.get(1).payload);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_every_call_up() {
    let roles = open_memory(json!({"faults": {"delay": "5s"}})).await;
    let before = tokio::time::Instant::now();
    publish(&roles, "a").await.unwrap();
    assert_eq!(before.elapsed().as_secs(), 5);
}
