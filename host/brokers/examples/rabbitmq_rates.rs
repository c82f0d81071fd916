//! What a queue of a RabbitMQ can do through the adapter, next to the client alone doing the same: same confirms, same prefetch, same
//! acknowledgements, in turns on one server.
//!
//! `cargo run --release -p longshore-brokers --example rabbitmq_rates -- amqp://localhost [messages] [bytes]`

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use longshore_brokers::rabbitmq::RabbitMq;
use longshore_core::{
    Adapter, Batch, Clock, Connect, Fetch, Message, Order, Outbox, OwnKeys, Pattern, Roles, Room, Settled, Start, Subscribe,
};
use tokio::time::Instant;

/// Messages that wait for their confirms, or their acknowledgement, at once.
const WINDOW: usize = 1_000;
/// Rounds of each measurement; the median counts.
const ROUNDS: usize = 5;
/// The queue.
const QUEUE: &str = "rates";

/// Both ways to the server, and what goes through them.
struct Bench {
    roles: Roles,
    connection: Connection,
    count: usize,
    payload: Vec<u8>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("the url of a RabbitMQ that may be filled");
    let mut number = |default| arguments.next().map_or(default, |text| text.parse::<usize>().expect("a number"));
    let (count, bytes) = (number(50_000), number(100));
    let config = serde_json::from_value(serde_json::json!({ "url": url })).expect("good keys");
    let connect = Connect { name: "r".into(), folder: Path::new(".").into(), clock: Clock::system(), admin: None, topics: Vec::new() };
    let roles = RabbitMq::connect(config, connect).await.expect("a server");
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a server");
    let bench = Bench { roles, connection, count, payload: vec![b'x'; bytes] };
    bench.clear().await;
    println!("{count} messages of {bytes} bytes, {WINDOW} at once, messages/s, medians of {ROUNDS}\n");
    println!("{:<28} {:>12} {:>12} {:>7}", "", "adapter", "client", "ratio");
    let mut times = [const { [const { Vec::new() }; 2] }; 2];
    for _ in 0..ROUNDS {
        times[0][0].push(bench.publish().await);
        times[1][0].push(bench.consume().await);
        times[0][1].push(bench.publish_raw().await);
        times[1][1].push(bench.consume_raw().await);
    }
    for (name, times) in ["publish", "consume + ack"].into_iter().zip(times) {
        let [adapter, client] = times.map(|mut times: Vec<Duration>| {
            times.sort();
            count as f64 / times[ROUNDS / 2].as_secs_f64()
        });
        println!("{name:<28} {adapter:>12.0} {client:>12.0} {:>7.2}", adapter / client);
    }
}

impl Bench {
    async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("a channel")
    }

    async fn clear(&self) {
        let channel = self.channel().await;
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(QUEUE.into(), options, FieldTable::default()).await.expect("a queue");
        channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await.expect("emptied");
    }

    async fn publish(&self) -> Duration {
        let publisher = self.roles.publisher.as_ref().expect("it publishes");
        let began = Instant::now();
        for _ in 0..self.count / WINDOW {
            let mut outbox = Outbox::default();
            for _ in 0..WINDOW {
                let (payload, headers) = (Some(self.payload.as_slice()), std::iter::empty());
                outbox.push(&Message { id: "", topic: QUEUE, key: None, payload, headers, timestamp: 0, attempt: 1 }, 0, 0);
            }
            let answers = publisher.publish(&outbox).await.expect("the broker is there");
            assert!(answers.iter().all(Result::is_ok), "all are taken");
        }
        began.elapsed()
    }

    async fn publish_raw(&self) -> Duration {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let began = Instant::now();
        for _ in 0..self.count / WINDOW {
            let sending = (0..WINDOW).map(|_| async {
                let options = BasicPublishOptions { mandatory: true, ..Default::default() };
                let properties = BasicProperties::default().with_delivery_mode(2);
                channel.basic_publish("".into(), QUEUE.into(), options, &self.payload, properties).await?.await
            });
            let confirms: Vec<_> = stream::iter(sending).buffered(WINDOW).collect().await;
            assert!(confirms.into_iter().all(|confirm| confirm.expect("confirmed").is_ack()), "all are taken");
        }
        began.elapsed()
    }

    async fn consume(&self) -> Duration {
        let subscribe = Subscribe {
            topics: vec![Pattern::new(QUEUE).expect("a name")],
            group: Some("g".into()),
            start: Start::Earliest,
            order: Order::None,
            fetch: Fetch { max_messages: WINDOW, max_wait: Duration::from_secs(1) },
            max_in_flight: WINDOW,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        let began = Instant::now();
        let mut lanes = self.roles.consumer.as_ref().expect("it consumes").subscribe(subscribe).await.expect("subscribed");
        let mut lane = lanes.next().await.expect("a lane").expect("no error");
        let mut seen = 0;
        while seen < self.count {
            let mut batch = Batch::default();
            lane.source.fetch(Room { messages: WINDOW / 2, bytes: 16 << 20 }, &mut batch).await.expect("fetched");
            seen += batch.len();
            let round = Settled { finished: batch.receipts().clone(), ..Settled::default() };
            lane.acks.settle(&round).await.expect("settled");
        }
        let took = began.elapsed();
        lane.acks.close(longshore_core::Receipts::default()).await.expect("closed");
        took
    }

    async fn consume_raw(&self) -> Duration {
        let began = Instant::now();
        let channel = self.channel().await;
        channel.basic_qos(u16::try_from(WINDOW).expect("small"), BasicQosOptions::default()).await.expect("prefetch");
        let consuming = channel.basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let mut ready = consuming.await.expect("consuming").ready_chunks(WINDOW / 2);
        let mut seen = 0;
        while seen < self.count {
            let deliveries = ready.next().await.expect("more");
            seen += deliveries.len();
            let last = deliveries.last().expect("some").as_ref().expect("a delivery").delivery_tag;
            channel.basic_ack(last, BasicAckOptions { multiple: true }).await.expect("acknowledged");
        }
        began.elapsed()
    }
}
