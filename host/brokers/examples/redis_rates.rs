//! What the streams of a Redis can do through the adapter, next to the client alone doing the same: same pipelines, same reads, same
//! acknowledgements, in turns on one server.
//!
//! `cargo run --release -p longshore-brokers --example redis_rates -- redis://127.0.0.1:6379 [messages] [bytes]`

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_brokers::redis::streams::Streams;
use longshore_core::{
    Adapter, Batch, Clock, Connect, Fetch, Message, Order, Outbox, OwnKeys, Pattern, Roles, Room, Settled, Start, Subscribe,
};
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// Messages of one pipeline, read, acknowledgement.
const STEP: usize = 100;
/// Rounds of each measurement; the median counts.
const ROUNDS: usize = 5;

/// Streams with entries with fields.
type Reply = Vec<(String, Vec<(String, Vec<(String, Vec<u8>)>)>)>;

/// Both ways to the server, and what goes through them.
struct Bench {
    roles: Roles,
    client: MultiplexedConnection,
    count: usize,
    payload: Vec<u8>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("the url of a Redis that may be filled");
    let mut number = |default| arguments.next().map_or(default, |text| text.parse::<usize>().expect("a number"));
    let (count, bytes) = (number(100_000), number(100));
    let config = serde_json::from_value(serde_json::json!({ "url": url })).expect("good keys");
    let connect = Connect { name: "r".into(), folder: Path::new(".").into(), clock: Clock::system(), admin: None, topics: Vec::new() };
    let roles = Streams::connect(config, connect).await.expect("a server");
    let client = redis::Client::open(url).expect("a url").get_multiplexed_async_connection().await.expect("a server");
    let mut bench = Bench { roles, client, count, payload: vec![b'x'; bytes] };
    println!("{count} messages of {bytes} bytes in steps of {STEP}, messages/s, medians of {ROUNDS}\n");
    println!("{:<28} {:>12} {:>12} {:>7}", "", "adapter", "client", "ratio");
    let mut times = [const { [const { Vec::new() }; 2] }; 3];
    for _ in 0..ROUNDS {
        bench.clear().await;
        times[0][0].push(bench.publish().await);
        times[1][0].push(bench.consume(false).await);
        times[2][0].push(bench.consume(true).await);
        bench.clear().await;
        times[0][1].push(bench.publish_raw().await);
        times[1][1].push(bench.consume_raw("g1", false).await);
        times[2][1].push(bench.consume_raw("g2", true).await);
    }
    for (name, times) in ["publish", "consume + ack", "consume + publish + ack"].into_iter().zip(times) {
        let [adapter, client] = times.map(|mut times: Vec<Duration>| {
            times.sort();
            count as f64 / times[ROUNDS / 2].as_secs_f64()
        });
        println!("{name:<28} {adapter:>12.0} {client:>12.0} {:>7.2}", adapter / client);
    }
}

impl Bench {
    async fn clear(&mut self) {
        redis::cmd("DEL").arg("rates").arg("rates-out").query_async::<()>(&mut self.client).await.expect("removed");
    }

    async fn publish(&self) -> Duration {
        let mut outbox = Outbox::default();
        (0..STEP).for_each(|_| push(&mut outbox, "rates", &self.payload, 0));
        let publisher = self.roles.publisher.as_ref().expect("it publishes");
        let began = Instant::now();
        for _ in 0..self.count / STEP {
            let answers = publisher.publish(&outbox).await.expect("published");
            assert!(answers.iter().all(Result::is_ok));
        }
        began.elapsed()
    }

    async fn publish_raw(&mut self) -> Duration {
        let began = Instant::now();
        for _ in 0..self.count / STEP {
            let mut pipeline = redis::pipe();
            (0..STEP).for_each(|_| {
                pipeline.cmd("XADD").arg("rates").arg("*").arg("payload").arg(&self.payload);
            });
            let _: Vec<String> = pipeline.query_async(&mut self.client).await.expect("published");
        }
        began.elapsed()
    }

    /// A lane of a new group that settles each step while the next is fetched, as the engine does.
    async fn consume(&self, publish: bool) -> Duration {
        let subscribe = Subscribe {
            topics: vec![Pattern::new("rates").expect("a name")],
            group: Some(if publish { "g2" } else { "g1" }.into()),
            start: Start::Earliest,
            order: Order::None,
            fetch: Fetch { max_messages: STEP, max_wait: Duration::from_secs(1) },
            max_in_flight: 10 * STEP,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        let mut lanes = self.roles.consumer.as_ref().expect("it consumes").subscribe(subscribe).await.expect("joined");
        let mut lane = lanes.next().await.expect("a lane").expect("no error");
        let (mut done, mut batch, mut settled) = (0, Batch::default(), Settled::default());
        let began = Instant::now();
        while done < self.count {
            let room = Room { messages: STEP, bytes: 16 << 20 };
            let fetch = async {
                if done + settled.finished.len() < self.count {
                    lane.source.fetch(room, &mut batch).await.expect("fetched");
                }
            };
            let settle = async {
                if !settled.is_empty() {
                    lane.acks.settle(&settled).await.expect("settled");
                }
            };
            futures::join!(fetch, settle);
            done += settled.finished.len();
            settled = Settled::default();
            for i in 0..batch.len() {
                settled.finished.push(batch.receipt(i));
                if publish {
                    push(&mut settled.outputs, "rates-out", &self.payload, batch.receipt(i).position);
                }
            }
            batch.clear();
        }
        began.elapsed()
    }

    async fn consume_raw(&mut self, group: &str, publish: bool) -> Duration {
        let made = redis::cmd("XGROUP").arg("CREATE").arg("rates").arg(group).arg("0").query_async::<()>(&mut self.client).await;
        made.expect("a new group");
        let began = Instant::now();
        let mut done = 0;
        let mut acks = redis::pipe();
        while done < self.count {
            let mut read = redis::cmd("XREADGROUP");
            read.arg("GROUP").arg(group).arg("c").arg("COUNT").arg(STEP).arg("STREAMS").arg("rates").arg(">");
            let (mut reader, mut acker) = (self.client.clone(), self.client.clone());
            let (reply, acked) = futures::join!(read.query_async::<Reply>(&mut reader), async {
                if acks.is_empty() { Ok(()) } else { acks.query_async::<()>(&mut acker).await }
            });
            acked.expect("acknowledged");
            acks = redis::pipe();
            let entries = reply.expect("read").into_iter().flat_map(|(_, entries)| entries).collect::<Vec<_>>();
            done += entries.len();
            if publish {
                entries.iter().for_each(|_| {
                    acks.cmd("XADD").arg("rates-out").arg("*").arg("payload").arg(&self.payload).ignore();
                });
            }
            acks.cmd("XACK").arg("rates").arg(group).arg(entries.iter().map(|(id, _)| id).collect::<Vec<_>>()).ignore();
        }
        acks.query_async::<()>(&mut self.client).await.expect("acknowledged");
        began.elapsed()
    }
}

fn push(outbox: &mut Outbox, topic: &str, payload: &[u8], origin: u64) {
    let headers = std::iter::empty();
    outbox.push(&Message { id: "", topic, key: None, payload: Some(payload), headers, timestamp: 0, attempt: 1 }, 0, origin);
}
