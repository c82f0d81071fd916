//! Exactly once on Kafka: whatever happens to hosts and brokers, what went in comes out once. A client of its own reads all topics from their
//! beginnings, and sees what was committed alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use longshore_testkit::servers::{Kafka, KafkaCluster, KafkaOptions, Server};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::accounts::{Id, Kind};
use super::scenarios::{is_full, times};
use super::vendors::Vendor;
use super::world::World;

/// Longer than a session and a transaction may be.
const LONGER_THAN_A_TRANSACTION: Duration = Duration::from_secs(8);
/// How long hosts come and go at full length.
const FULL: Duration = Duration::from_secs(600);
/// How long one answer of the server may take.
const ANSWER: Duration = Duration::from_secs(10);

/// One broker.
struct One(Kafka);

/// Three, of which any may be gone.
struct Three(KafkaCluster);

/// What is told of the cluster to hosts, and what is asked of a subscription.
fn keys(servers: &str) -> String {
    let times = "session-timeout = \"3s\"\nheartbeat-interval = \"500ms\"\nrequest-timeout = \"5s\"";
    format!("type = \"kafka\"\nbootstrap-servers = \"{servers}\"\n{times}\n[topics.in]\npartitions = 3\n[topics.out]\npartitions = 2")
}

const ONCE: &str = ", exactly-once = true";
/// The collector's, which is at least once.
const REPEATS: u64 = u64::MAX;

impl Vendor for One {
    const NAME: &'static str = "kafka, exactly once";
    const ORDER: &'static str = "key";
    const REPEATS: u64 = REPEATS;

    fn start() -> Option<Self> {
        Kafka::start(&KafkaOptions::default()).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.server
    }
    fn port(&self) -> u16 {
        self.0.port()
    }
    fn broker(&self, port: u16) -> String {
        keys(&format!("127.0.0.1:{port}"))
    }
    fn subscription(&self) -> &'static str {
        ONCE
    }
}

impl Vendor for Three {
    const NAME: &'static str = "three brokers of kafka, exactly once";
    const ORDER: &'static str = "key";
    const REPEATS: u64 = REPEATS;

    fn start() -> Option<Self> {
        KafkaCluster::start(&KafkaOptions::default().set("min.insync.replicas", "2")).map(Self)
    }
    fn server(&self) -> &Server {
        &self.0.nodes()[0].server
    }
    fn port(&self) -> u16 {
        self.0.nodes()[0].port()
    }
    fn broker(&self, _: u16) -> String {
        keys(&self.0.addresses().join(","))
    }
    fn subscription(&self) -> &'static str {
        ONCE
    }
}

/// Whether each message of the load that is in the input is where it belongs, once, and nothing else is.
fn is_exact(servers: &str) -> Result<(), String> {
    let (input, out, dead) = (read(servers, "in")?, read(servers, "out")?, read(servers, "in.echo.dlq")?);
    judge(&input, &out, &dead)
}

/// How often each number is there.
type Counts = BTreeMap<u64, u32>;

fn judge(input: &Counts, out: &Counts, dead: &Counts) -> Result<(), String> {
    for (place, counts) in [("in", input), ("out", out), ("dead", dead)] {
        let doubled: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "{place}: doubled: {doubled:?}");
    }
    let belongs = |number: u64, bad: bool| input.contains_key(&number) && (Id::new(number).kind == Kind::Bad) == bad;
    let strange: Vec<_> = out.keys().filter(|n| !belongs(**n, false)).chain(dead.keys().filter(|n| !belongs(**n, true))).collect();
    assert!(strange.is_empty(), "nobody sent it, or it is in the wrong place: {strange:?}");
    let missing: Vec<_> = input.keys().filter(|n| !out.contains_key(n) && !dead.contains_key(n)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("of {} messages {} are missing: {missing:?}", input.len(), missing.len())) }
}

/// The numbers that are committed in a topic.
fn read(servers: &str, topic: &str) -> Result<Counts, String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "checker").set("enable.auto.commit", "false");
    config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    let reader: BaseConsumer = config.create().map_err(|error| error.to_string())?;
    let metadata = reader.fetch_metadata(Some(topic), ANSWER).map_err(|error| format!("{topic}: {error}"))?;
    let count = metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |found| found.partitions().len());
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(count).unwrap() {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    reader.assign(&list).map_err(|error| error.to_string())?;
    let (mut counts, mut ended, until) = (Counts::new(), 0, Instant::now() + ANSWER);
    while ended < count {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let id = message.payload().and_then(Id::of_payload).ok_or("no message of the load")?;
                *counts.entry(id.number).or_default() += 1;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            // What is under way, or a broker that is away, passes.
            _ if Instant::now() > until => return Err(format!("{topic} cannot be read to its end")),
            _ => {}
        }
    }
    Ok(counts)
}

fn end<V: Vendor>(world: World<V>, name: &str, servers: &str) {
    world.end_exactly(name, |_| is_exact(servers));
}

#[test]
fn kafka_neither_loses_nor_doubles_when_hosts_are_killed() {
    let Some(mut world) = World::<One>::new("key") else { return };
    let servers = world.vendor.0.address();
    world.begin(1);
    for _ in 0..times(1) {
        let (_folder, host) = world.hosts.remove(0);
        host.kill();
        world.host();
        world.wait_for_more(100);
    }
    end(world, "hosts are killed", &servers);
}

/// Another host has its partitions by then. What it wakes up in the middle of is refused. At full length only: that one settlement is, the
/// adapter's own tests show.
#[test]
fn kafka_neither_loses_nor_doubles_when_a_host_is_stopped_for_longer_than_its_session() {
    if !is_full() {
        return;
    }
    let Some(mut world) = World::<One>::new("none") else { return };
    let servers = world.vendor.0.address();
    world.begin(2);
    for stop in 0..times(1) {
        let (_, host) = &world.hosts[stop % 2];
        host.signal("STOP");
        std::thread::sleep(LONGER_THAN_A_TRANSACTION);
        host.signal("CONT");
        world.wait_for_more(100);
    }
    end(world, "a host is stopped", &servers);
}

/// One comes and the oldest goes, in turn told to stop and killed, every few seconds.
#[test]
fn kafka_neither_loses_nor_doubles_when_three_hosts_join_and_leave() {
    let Some(mut world) = World::<One>::new("none") else { return };
    let servers = world.vendor.0.address();
    world.begin(3);
    let (began, mut turn) = (Instant::now(), 0);
    while turn < 2 || (is_full() && began.elapsed() < FULL) {
        world.one_comes_and_the_oldest_goes(turn, 100);
        turn += 1;
    }
    end(world, &format!("three hosts join and leave, {turn} times"), &servers);
}

/// Each leads partitions, keeps the group or the transactions, in turn. At full length only: three brokers need a machine for themselves.
#[test]
fn kafka_neither_loses_nor_doubles_when_brokers_are_killed_in_the_middle_of_transactions() {
    if !is_full() {
        return;
    }
    let Some(mut world) = World::<Three>::new("key") else { return };
    let servers = world.vendor.0.addresses().join(",");
    world.begin(2);
    for kill in 0..times(1) {
        world.vendor.0.nodes()[kill % 3].server.kill();
        world.wait_for_more(200);
        world.vendor.0.nodes()[kill % 3].server.launch();
        world.vendor.0.await_ready();
        world.wait_for_more(100);
    }
    end(world, "brokers are killed", &servers);
}

#[test]
fn the_checker_sees_what_is_lost_doubled_and_in_the_wrong_place() {
    let counts = |numbers: &[u64]| {
        let mut counts = Counts::new();
        numbers.iter().for_each(|number| *counts.entry(*number).or_default() += 1);
        counts
    };
    let good = |input: &[u64], out: &[u64], dead: &[u64]| {
        let (input, out, dead) = (counts(input), counts(out), counts(dead));
        matches!(std::panic::catch_unwind(|| judge(&input, &out, &dead)), Ok(Ok(())))
    };
    assert!(good(&[0, 1, 10], &[1, 0], &[10]));
    assert!(!good(&[0, 1, 10], &[1], &[10]), "0 is lost");
    assert!(!good(&[0, 1, 10], &[1, 0, 0], &[10]), "0 is doubled");
    assert!(!good(&[0, 1, 10], &[1, 0, 10], &[]), "10 was rejected and published");
    assert!(!good(&[0, 1], &[1, 0, 2], &[]), "nobody sent 2");
}
