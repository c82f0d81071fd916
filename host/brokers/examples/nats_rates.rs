//! How fast the JetStream adapter is beside the client that it is made of: publishing with confirms, and reading with acknowledgements, on
//! a server that keeps messages in files.
//!
//! `cargo run --release -p longshore-brokers --example nats_rates -- nats://127.0.0.1:4222`

use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::{StreamExt, stream};
use longshore_brokers::nats::jetstream::NatsJetStream;
use longshore_core::{
    Adapter, Batch, Clock, Connect, Fetch, Message, Order, Outbox, OwnKeys, Pattern, Receipts, Roles, Room, Settled, Start, Subscribe,
};
use tokio::time::Instant;

/// Messages of one measurement.
const MESSAGES: usize = 100_000;
/// Messages on their way at once.
const WINDOW: usize = 512;
/// Measurements of each kind, one after the other by turns.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "nats://127.0.0.1:4222".into());
    let name = format!("rates-{}", std::process::id());
    let config = serde_json::from_value(serde_json::json!({ "url": url })).expect("a good configuration");
    let connect = Connect { name: "nats".into(), folder: Path::new(".").into(), clock: Clock::system(), admin: None, topics: Vec::new() };
    let roles = NatsJetStream::connect(config, connect).await.expect("a server");
    let raw = async_nats::jetstream::new(async_nats::connect(&url).await.expect("a server"));
    for size in [100, 1024] {
        let payload = vec![b'x'; size];
        for round in 0..ROUNDS {
            let topic = format!("{name}-{size}-{round}");
            roles.topics.as_ref().expect("topics").create(&topic, &longshore_core::TopicSettings::default()).await.expect("made");
            let publish_raw = rate(publish_raw(&raw, &topic, &payload)).await;
            let publish = rate(publish(&roles, &topic, &payload)).await;
            let read_raw = rate(read_raw(&raw, &topic)).await;
            let read = rate(read(&roles, &topic)).await;
            println!(
                "{size} B: publish {publish_raw:.0}/s raw, {publish:.0}/s ours ({:.2}); read and acknowledge {read_raw:.0}/s raw, {read:.0}/s \
                 ours ({:.2})",
                publish / publish_raw,
                read / read_raw
            );
            roles.topics.as_ref().expect("topics").delete(&topic).await.expect("removed");
        }
    }
}

async fn rate(work: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    work.await;
    MESSAGES as f64 / began.elapsed().as_secs_f64()
}

async fn publish_raw(raw: &async_nats::jetstream::Context, topic: &str, payload: &[u8]) {
    let all = (0..MESSAGES).map(|_| async {
        raw.publish(topic.to_owned(), payload.to_vec().into()).await.expect("sent").await.expect("kept");
    });
    stream::iter(all).buffered(WINDOW).collect::<()>().await;
}

async fn publish(roles: &Roles, topic: &str, payload: &[u8]) {
    let publisher = roles.publisher.as_ref().expect("a publisher");
    let mut left = MESSAGES;
    while left > 0 {
        let count = left.min(10_000);
        let mut outbox = Outbox::default();
        for _ in 0..count {
            let headers = std::iter::empty();
            outbox.push(&Message { id: "", topic, key: None, payload: Some(payload), headers, timestamp: 0, attempt: 1 }, 0, 0);
        }
        let answers = publisher.publish(&outbox).await.expect("there");
        assert!(answers.iter().all(Result::is_ok));
        left -= count;
    }
}

async fn read_raw(raw: &async_nats::jetstream::Context, topic: &str) {
    let config = pull::Config {
        durable_name: Some("raw".into()),
        deliver_policy: DeliverPolicy::All,
        max_ack_pending: -1,
        ..pull::Config::default()
    };
    let consumer = raw.get_stream(topic).await.expect("there").create_consumer(config).await.expect("made");
    let mut messages = consumer.stream().max_messages_per_batch(WINDOW).messages().await.expect("a stream");
    for _ in 0..MESSAGES {
        messages.next().await.expect("a message").expect("no error").ack().await.expect("sent");
    }
}

async fn read(roles: &Roles, topic: &str) {
    let subscribe = Subscribe {
        topics: vec![Pattern::new(topic).expect("a name")],
        group: Some("ours".into()),
        start: Start::Earliest,
        order: Order::None,
        fetch: Fetch { max_messages: WINDOW, max_wait: Duration::from_secs(1) },
        max_in_flight: 1000,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    };
    let mut lanes = roles.consumer.as_ref().expect("a consumer").subscribe(subscribe).await.expect("subscribed");
    let mut lane = lanes.next().await.expect("a lane").expect("no error");
    let (mut left, mut batch) = (MESSAGES, Batch::default());
    while left > 0 {
        lane.source.fetch(Room { messages: WINDOW, bytes: 64 << 20 }, &mut batch).await.expect("fetched");
        left = left.saturating_sub(batch.len());
        let mut finished = Receipts::default();
        batch.receipts().iter().for_each(|receipt| finished.push(receipt));
        lane.acks.settle(&Settled { finished, ..Settled::default() }).await.expect("settled");
        batch.clear();
    }
}
