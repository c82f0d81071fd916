//! One scenario's world: a server, hosts on it, a producer and collectors beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use longshore::config::{Ask, load};
use longshore::opened::open;
use longshore_core::{Clock, Roles};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::accounts::{Accounts, Place};
use super::host::{Guest, Host, Project, guest};
use super::vendors::Vendor;
use super::{collector, load as producer};

/// Messages that one host holds at most.
pub(crate) const IN_FLIGHT: u64 = 100;
/// How long until everything is accounted for once the disturbance is over.
const RECOVERY: Duration = Duration::from_secs(90);

pub(crate) struct World<V: Vendor> {
    pub(crate) vendor: V,
    pub(crate) accounts: Arc<Mutex<Accounts>>,
    /// Those that run, with their folders; killed when they are taken out and dropped.
    pub(crate) hosts: Vec<(Project, Host)>,
    /// Hosts get their messages from the server itself, unless they are sent by way of another port.
    port: u16,
    order: &'static str,
    delivery: &'static str,
    in_order: bool,
    stop: Arc<AtomicBool>,
    runtime: Runtime,
}

impl<V: Vendor> World<V> {
    /// A world in which nothing happens yet; `None` where the server is not installed.
    pub(crate) fn new(order: &'static str) -> Option<Self> {
        Some(World::on(V::start()?, order))
    }

    /// The same on a server that was started already.
    pub(crate) fn on(vendor: V, order: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let port = vendor.port();
        World {
            vendor,
            accounts: Arc::default(),
            hosts: Vec::new(),
            port,
            order,
            delivery: "at-least-once",
            in_order: order != "none",
            stop: Arc::default(),
            runtime,
        }
    }

    /// Hosts settle a message before they call its handler.
    pub(crate) fn at_most_once(&mut self) {
        self.delivery = "at-most-once";
    }

    /// Connections of living hosts are lost in this world.
    pub(crate) fn reconnects(&mut self) {
        self.in_order &= V::ORDER_OVER_RECONNECTS;
    }

    /// From now on hosts reach the server by this port.
    pub(crate) fn by_way_of(&mut self, port: u16) {
        self.port = port;
    }

    /// One host more.
    pub(crate) fn host(&mut self) {
        let project = self.project(self.port);
        let host = project.start(&[]);
        self.hosts.push((project, host));
    }

    /// One host comes, and the oldest goes `turn` by turn: it is told to stop, and the next one is killed. Meanwhile so many messages are
    /// confirmed, each time.
    pub(crate) fn one_comes_and_the_oldest_goes(&mut self, turn: usize, more: usize) {
        self.host();
        self.wait_for_more(more);
        let (_folder, mut host) = self.hosts.remove(0);
        if turn.is_multiple_of(2) {
            host.signal("TERM");
            assert_eq!(host.ended(), Some(0), "a host that is told to stop ends well:\n{}", host.log());
        } else {
            host.kill();
        }
        self.wait_for_more(more);
    }

    /// The configuration of a host.
    fn project(&self, port: u16) -> Project {
        let (broker, echo, keys) = (self.vendor.broker(port), guest(Guest::Echo), self.vendor.subscription());
        let (order, delivery) = (self.order, self.delivery);
        let subscribe = format!(r#"{{ topic = "in", order = "{order}", delivery = "{delivery}", max-in-flight = {IN_FLIGHT}{keys} }}"#);
        let project = Project::new(&format!(
            r#"
[brokers.default]
{broker}
[handlers.echo]
component = "{echo}"
subscribe = [{subscribe}]
publish = ["out"]
output = "out"
retry = {{ max-attempts = 1000, initial-delay = "20ms", multiplier = 1.0 }}
"#
        ));
        // The mistakes of a configuration are told before anything starts.
        project.ok(&["check"]);
        project
    }

    fn roles(&self) -> Roles {
        let project = self.project(self.vendor.port());
        let ask = Ask { folder: project.path().into(), ..Ask::default() };
        let config = load(&ask, longshore::ADAPTERS, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        let opening = open(&config, &config.brokers["default"], None, Clock::system());
        self.runtime.block_on(opening).unwrap_or_else(|e| panic!("{e}")).roles
    }

    /// Starts collectors, and once they read and so many hosts are there, the producer.
    pub(crate) fn begin(&mut self, hosts: usize) {
        for (topic, place) in [("out", Place::Out), ("in.echo.dlq", Place::Dead)] {
            let (told, ready) = oneshot::channel();
            self.runtime.spawn(collector::collect(self.roles(), topic.into(), place, Arc::clone(&self.accounts), told));
            let ready = self.runtime.block_on(async { tokio::time::timeout(RECOVERY, ready).await });
            ready.unwrap().unwrap_or_else(|_| panic!("nobody reads {topic}"));
        }
        (0..hosts).for_each(|_| self.host());
        self.runtime.spawn(producer::publish(self.roles(), "in".into(), Arc::clone(&self.accounts), Arc::clone(&self.stop)));
        let started = Instant::now();
        while started.elapsed() < V::WARM {
            self.wait_for_more(20);
        }
        self.wait_for_more(100);
    }

    /// Waits until so many more messages are confirmed.
    pub(crate) fn wait_for_more(&self, more: usize) {
        let wanted = self.accounts.lock().unwrap().confirmed() + more;
        self.until("the producer goes on", || self.accounts.lock().unwrap().confirmed() >= wanted);
    }

    /// Waits until so many more publishes were not confirmed.
    pub(crate) fn wait_for_refusals(&self, more: usize) {
        let wanted = self.accounts.lock().unwrap().unsure() + more * usize::try_from(producer::BATCH).unwrap();
        self.until("publishes are refused", || self.accounts.lock().unwrap().unsure() >= wanted);
    }

    /// Waits until a line of a host's log has all of these words.
    pub(crate) fn wait_until_told(&self, words: &[&str]) {
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        self.until(&format!("a host says {words:?}"), || self.hosts.iter().any(|(_, host)| host.log().lines().any(has_all)));
    }

    /// How many messages were sent, confirmed or not.
    pub(crate) fn sent(&self) -> u64 {
        self.accounts.lock().unwrap().next()
    }

    /// Removes the topic of the load with all that is in it, as somebody else does. Answers a number above that of every message that can have
    /// gone with it.
    pub(crate) fn remove_topic(&self) -> u64 {
        let topics = self.roles().topics.unwrap();
        let gone = self.runtime.block_on(topics.delete("in")).unwrap_or_else(|e| panic!("{e}"));
        assert!(gone, "the topic was there");
        // What was on its way at that moment may be on either side.
        self.sent() + producer::BATCH
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > RECOVERY {
                self.show_logs();
                panic!("never: {what}; {}", self.accounts.lock().unwrap_or_else(PoisonError::into_inner));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the load, waits until everything is accounted for, and holds it to the promises.
    pub(crate) fn end(self, name: &str, may_double: u64) {
        self.end_from(name, 0, may_double);
    }

    /// The same where what was sent before number `from` may be gone.
    pub(crate) fn end_from(self, name: &str, from: u64, may_double: u64) {
        self.end_load();
        let took = self.wait_for(|accounts| accounts.open().iter().all(|number| *number < from));
        let in_order = self.in_order;
        self.conclude(name, took, |accounts| {
            accounts.assert_kept(from, may_double);
            if in_order {
                accounts.assert_in_order();
            }
        });
    }

    /// The same where messages are called at most once, no host was killed, and so many may be lost.
    pub(crate) fn end_at_most_once(self, name: &str, may_lose: usize) {
        self.end_load();
        let took = self.wait_for(|accounts| accounts.open().len() <= may_lose);
        // What comes out can come twice after one call, when the answer to a publish is lost. A host that gives a message up says so at once.
        let logs: String = self.hosts.iter().map(|(_, host)| host.log()).collect();
        let mut ids: Vec<&str> = logs.lines().filter(|line| line.contains("dead letter: ")).filter_map(id_of).collect();
        let calls = ids.len();
        ids.sort_unstable();
        ids.dedup();
        self.conclude(name, took, |accounts| {
            assert!(calls > 100, "hosts tell of {calls} calls that failed");
            assert_eq!(ids.len(), calls, "messages that failed, and calls that did: one was called twice\n{accounts}");
            accounts.assert_kept_at_most_once(may_lose);
        });
    }

    /// The same where nothing may be lost or doubled, which `check` finds out on the server past everything that hosts and collectors use. It
    /// answers what is still missing, and panics where it cannot become good any more.
    pub(crate) fn end_exactly(self, name: &str, check: impl Fn(&V) -> Result<(), String>) {
        self.end_load();
        let took = self.wait_for(|accounts| accounts.open().is_empty());
        let missing = std::cell::RefCell::new(String::new());
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.until("all that went in came out", || {
                let answer = check(&self.vendor);
                *missing.borrow_mut() = answer.clone().err().unwrap_or_default();
                answer.is_ok()
            });
        }));
        if let Err(broken) = looked {
            self.show_logs();
            eprintln!("{}", missing.borrow());
            std::panic::resume_unwind(broken);
        }
        self.conclude(name, took, |accounts| accounts.assert_kept(0, u64::MAX));
    }

    /// The same where messages go from the broker before they are handled, which hosts count: so many are lost, and no others.
    pub(crate) fn end_counted(self, name: &str, is_over: impl Fn(&V) -> bool) {
        self.end_load();
        self.until("the broker has nothing left", || is_over(&self.vendor));
        let counted = || self.hosts.iter().map(|(_, host)| lost(host)).sum::<usize>();
        let took = self.wait_for(|accounts| accounts.open().len() == counted());
        let logs: String = self.hosts.iter().map(|(_, host)| host.log()).collect();
        let (counted, told) = (counted(), logs.lines().filter(|line| line.contains("were trimmed")).filter_map(count_of).sum::<usize>());
        self.conclude(name, took, |accounts| {
            assert!(counted > 0, "nothing was trimmed unread\n{accounts}");
            assert_eq!((accounts.open().len(), told), (counted, counted), "lost, and told in logs, is what is counted\n{accounts}");
            accounts.assert_no_others(0);
        });
    }

    fn end_load(&self) {
        self.wait_for_more(100);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How long it took until the accounts were settled, or as long as it may take.
    fn wait_for(&self, settled: impl Fn(&Accounts) -> bool) -> Duration {
        let started = Instant::now();
        while !settled(&self.accounts.lock().unwrap()) && started.elapsed() < RECOVERY {
            std::thread::sleep(Duration::from_millis(20));
        }
        started.elapsed()
    }

    fn show_logs(&self) {
        self.hosts.iter().for_each(|(_, host)| eprintln!("--- a host's log\n{}", host.log()));
    }

    fn conclude(self, name: &str, took: Duration, keeps: impl FnOnce(&Accounts)) {
        let accounts = std::mem::take(&mut *self.accounts.lock().unwrap());
        println!("{} {name}: all accounted for {took:?} after the end of the load; {accounts}", V::NAME);
        if let Err(broken) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keeps(&accounts))) {
            self.show_logs();
            std::panic::resume_unwind(broken);
        }
    }
}

/// What a host counts as lost.
fn lost(host: &Host) -> usize {
    let (_, metrics) = host.get("/metrics").unwrap();
    let lines = metrics.lines().filter(|line| line.starts_with("longshore_lost_total{"));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
}

/// How many a line of a log tells of.
fn count_of(line: &str) -> Option<usize> {
    line.split_once("\"count\":")?.1.split([',', '}']).next()?.parse().ok()
}

/// The message that a line of a log is about.
fn id_of(line: &str) -> Option<&str> {
    line.split_once("\"id\":\"")?.1.split('"').next()
}
