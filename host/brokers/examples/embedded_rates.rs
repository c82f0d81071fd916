//! What the embedded broker can do, next to straight SQLite doing the same durable writes in the same transactions, and the memory broker.
//!
//! `cargo run --release -p longshore-brokers --example embedded_rates [messages] [bytes]`

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use longshore_brokers::{embedded::Embedded, memory::Memory};
use longshore_core::{
    Adapter, Batch, Clock, Connect, Fetch, Lane, Message, Order, Outbox, OwnKeys, Pattern, Roles, Room, Settled, Start, Subscribe, row,
};
use rusqlite::{Connection, params};
use tokio::time::Instant;

/// Messages that a round holds.
const ROUND: usize = 1000;
/// Rounds of each measurement; the median counts.
const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>().expect("a number"));
    let (messages, bytes) = (arguments.next().unwrap_or(100_000), arguments.next().unwrap_or(100));
    println!("{messages} messages of {bytes} bytes, messages/s, medians of {ROUNDS}\n");
    println!("{:<28} {:>12} {:>12} {:>7} {:>12}", "", "embedded", "sqlite", "ratio", "memory");
    for batch in [1, 100, 1000] {
        let count = messages.min(batch * 3000);
        let name = format!("publish by {batch}");
        line(&name, count, async |kind| publish(kind, count, batch, bytes).await).await;
    }
    line("publish by 1, 64 at once", messages.min(6400), async |kind| publish_at_once(kind, messages.min(6400), bytes).await).await;
    line("consume + settle", messages, async |kind| consume(kind, messages, bytes, false).await).await;
    line("consume + publish + settle", messages, async |kind| consume(kind, messages, bytes, true).await).await;
}

#[derive(Clone, Copy)]
enum Kind {
    Embedded,
    Sqlite,
    Memory,
}

async fn line(name: &str, count: usize, measure: impl AsyncFn(Kind) -> Duration) {
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (i, kind) in [Kind::Embedded, Kind::Sqlite, Kind::Memory].into_iter().enumerate() {
            times[i].push(measure(kind).await);
        }
    }
    let [embedded, sqlite, memory] = times.map(|mut times| {
        times.sort();
        count as f64 / times[ROUNDS / 2].as_secs_f64()
    });
    println!("{name:<28} {embedded:>12.0} {sqlite:>12.0} {:>7.2} {memory:>12.0}", embedded / sqlite);
}

async fn publish(kind: Kind, count: usize, batch: usize, bytes: usize) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = outbox("from", batch, bytes);
    if let Kind::Sqlite = kind {
        let mut sqlite = Sqlite::open(folder.path());
        let start = Instant::now();
        (0..count / batch).for_each(|_| sqlite.publish(&outbox));
        return start.elapsed();
    }
    let roles = connect(kind, folder.path()).await;
    let publisher = roles.publisher.clone().expect("it publishes");
    let start = Instant::now();
    for _ in 0..count / batch {
        publisher.publish(&outbox).await.expect("published").into_iter().for_each(|answer| drop(answer.expect("taken")));
    }
    start.elapsed()
}

/// Many who publish one message each: they share transactions.
async fn publish_at_once(kind: Kind, count: usize, bytes: usize) -> Duration {
    if let Kind::Sqlite = kind {
        return publish(kind, count, 1, bytes).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (roles, outbox) = (connect(kind, folder.path()).await, outbox("from", 1, bytes));
    let publisher = roles.publisher.clone().expect("it publishes");
    let start = Instant::now();
    let one = async || {
        for _ in 0..count / 64 {
            publisher.publish(&outbox).await.expect("published").remove(0).expect("taken");
        }
    };
    futures::future::join_all((0..64).map(|_| one())).await;
    start.elapsed()
}

async fn consume(kind: Kind, count: usize, bytes: usize, republish: bool) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let (filling, results) = (outbox("from", ROUND, bytes), outbox("to", ROUND, bytes));
    let results = republish.then_some(&results);
    if let Kind::Sqlite = kind {
        let mut sqlite = Sqlite::open(folder.path());
        (0..count / ROUND).for_each(|_| sqlite.publish(&filling));
        let start = Instant::now();
        (0..count / ROUND).for_each(|_| sqlite.consume(results));
        return start.elapsed();
    }
    let roles = connect(kind, folder.path()).await;
    let publisher = roles.publisher.clone().expect("it publishes");
    for _ in 0..count / ROUND {
        publisher.publish(&filling).await.expect("published");
    }
    let lane = subscribe(&roles).await;
    let start = Instant::now();
    drain(lane, count, results).await;
    start.elapsed()
}

async fn drain(mut lane: Lane, count: usize, results: Option<&Outbox>) {
    let (mut batch, mut round, mut done) = (Batch::default(), Settled::default(), 0);
    while done < count {
        batch.clear();
        lane.source.fetch(Room { messages: ROUND, bytes: 64 << 20 }, &mut batch).await.expect("fetched");
        round.finished.clear();
        batch.receipts().iter().for_each(|receipt| round.finished.push(receipt));
        round.up_to = batch.receipts().positions().last().copied();
        if let Some(results) = results {
            round.outputs.clear();
            round.outputs.append(results);
        }
        lane.acks.settle(&round).await.expect("settled");
        done += batch.len();
    }
}

async fn connect(kind: Kind, folder: &Path) -> Roles {
    let connect = Connect { name: "b".into(), folder: folder.into(), clock: Clock::system(), admin: None, topics: Vec::new() };
    match kind {
        Kind::Memory => Memory::connect(Default::default(), connect).await,
        _ => Embedded::connect(Default::default(), connect).await,
    }
    .expect("connected")
}

async fn subscribe(roles: &Roles) -> Lane {
    let subscribe = Subscribe {
        topics: vec![Pattern::new("from").expect("a name")],
        group: Some("g".into()),
        start: Start::Earliest,
        order: Order::None,
        fetch: Fetch { max_messages: ROUND, max_wait: Duration::from_secs(1) },
        max_in_flight: ROUND,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    };
    let mut lanes = roles.consumer.as_ref().expect("it consumes").subscribe(subscribe).await.expect("subscribed");
    lanes.next().await.expect("a lane").expect("no error")
}

fn outbox(topic: &str, count: usize, bytes: usize) -> Outbox {
    let mut outbox = Outbox::default();
    let payload = vec![b'x'; bytes];
    for _ in 0..count {
        let headers = std::iter::empty();
        outbox.push(&Message { id: "", topic, key: None, payload: Some(&payload), headers, timestamp: 1, attempt: 1 }, 0, 0);
    }
    outbox
}

/// What anybody would write who needed only this.
struct Sqlite {
    connection: Connection,
    next: u64,
    mark: u64,
    rows: Vec<u8>,
}

impl Sqlite {
    fn open(folder: &Path) -> Self {
        let connection = Connection::open(folder.join("plain.db")).expect("opened");
        let schema = "
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE log_a(position INTEGER PRIMARY KEY, at INTEGER NOT NULL, row BLOB NOT NULL);
            CREATE TABLE log_b(position INTEGER PRIMARY KEY, at INTEGER NOT NULL, row BLOB NOT NULL);
            CREATE TABLE lanes(id INTEGER PRIMARY KEY, mark INTEGER NOT NULL);
            INSERT INTO lanes VALUES (1, 0);";
        connection.execute_batch(schema).expect("made");
        Sqlite { connection, next: 1, mark: 0, rows: Vec::new() }
    }

    fn publish(&mut self, outbox: &Outbox) {
        let transaction = self.connection.transaction().expect("begun");
        insert(&transaction, "log_a", outbox, self.next);
        self.next += outbox.len() as u64;
        transaction.commit().expect("committed");
    }

    fn consume(&mut self, results: Option<&Outbox>) {
        self.rows.clear();
        let mark = {
            let mut select =
                self.connection.prepare_cached("SELECT position, row FROM log_a WHERE position > ?1 LIMIT ?2").expect("prepared");
            let mut rows = select.query(params![self.mark, ROUND]).expect("selected");
            let mut mark = self.mark;
            while let Some(row) = rows.next().expect("a row") {
                mark = row.get(0).expect("a number");
                let bytes = row.get_ref(1).expect("there").as_blob().expect("bytes");
                row::Row::at(bytes, 0).expect("a whole row");
                self.rows.extend_from_slice(bytes);
            }
            mark
        };
        let transaction = self.connection.transaction().expect("begun");
        if let Some(results) = results {
            insert(&transaction, "log_b", results, self.mark + 1);
        }
        transaction.prepare_cached("UPDATE lanes SET mark = ?1 WHERE id = 1").and_then(|mut s| s.execute([mark])).expect("moved");
        transaction.commit().expect("committed");
        self.mark = mark;
    }
}

fn insert(connection: &Connection, log: &str, outbox: &Outbox, first: u64) {
    let mut insert = connection.prepare_cached(&format!("INSERT INTO {log} VALUES (?1, ?2, ?3)")).expect("prepared");
    for i in 0..outbox.len() {
        insert.execute(params![first + i as u64, 1u64, outbox.row(i).bytes()]).expect("inserted");
    }
}
