//! What only a store that several hosts share, or one that fails, brings out; with a clock that stands unless nothing else can be done.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{
    BoxFuture, BrokerError, Bucket, Buckets, Connection, Held, HeldPage, KeyPattern, Lease, Locks, Owner, StoreError, StoreRoles, Wish,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::rows::{self, Row, Rows, RowsMut};
use super::{Claim, Register, Result, Taken, WAITS, Which, with_locks};

const SECOND: Duration = Duration::from_secs(1);

/// A store that hosts share.
#[derive(Clone)]
struct Server(Arc<Inner>);

struct Inner {
    table: Mutex<Table>,
    waiting: Mutex<HashMap<String, (String, Instant)>>,
    down: AtomicBool,
    /// Does what it is asked for, and no answer arrives.
    mute: AtomicBool,
    started: Instant,
}

/// This store has nothing but locks.
struct NoBuckets;

impl Buckets for NoBuckets {
    fn bucket(&self, name: &str) -> Arc<dyn Bucket> {
        panic!("nobody asks for the bucket {name:?} here")
    }
}

#[derive(Default)]
struct Table(BTreeMap<String, Row>, u64);

impl Server {
    fn start() -> Self {
        let (table, waiting) = (Mutex::default(), Mutex::default());
        let (down, mute) = (AtomicBool::new(false), AtomicBool::new(false));
        Server(Arc::new(Inner { table, waiting, down, mute, started: Instant::now() }))
    }

    /// A host on it.
    fn host(&self) -> Arc<dyn Locks> {
        self.roles().locks.expect("just made")
    }

    fn roles(&self) -> StoreRoles {
        let roles = StoreRoles { connection: Arc::new(Here), cache: None, key_value: None, locks: None, inbox: Arc::new(NoBuckets) };
        with_locks(roles, self.clone())
    }

    /// What any request takes.
    async fn way(&self) -> Result<u64> {
        sleep(Duration::from_millis(1)).await;
        if self.0.down.load(SeqCst) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        Ok(u64::try_from(self.0.started.elapsed().as_millis()).expect("it fits"))
    }

    /// And its answer.
    async fn back<T>(&self, answer: T) -> Result<T> {
        sleep(Duration::from_millis(1)).await;
        if self.0.mute.load(SeqCst) { Err(StoreError::Timeout) } else { Ok(answer) }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.table.lock().expect("fine")
    }
}

impl Register for Server {
    async fn take(&self, claim: &Claim, _: bool) -> Result<Taken> {
        let now = self.way().await?;
        let taken = rows::take(&mut *self.table(), claim, now)?;
        self.back(taken).await
    }

    async fn renew(&self, claim: &Claim, _: u64, _: u64, ttl: Duration) -> Result<Option<u64>> {
        let now = self.way().await?;
        let renewed = rows::renew(&mut *self.table(), &claim.name, &claim.token, ttl, now)?;
        self.back(renewed).await
    }

    async fn end(&self, name: &str, which: Which<'_>) -> Result<bool> {
        let now = self.way().await?;
        let ended = rows::end(&mut *self.table(), name, which, now)?;
        self.back(ended).await
    }

    async fn held(&self, name: &str) -> Result<Option<Held>> {
        let now = self.way().await?;
        rows::held(&*self.table(), name, now)
    }

    async fn list(&self, _: &KeyPattern, _: Option<&str>) -> Result<HeldPage> {
        Ok(HeldPage::default())
    }

    async fn say_waiting(&self, name: &str, seat: &str) -> Result<()> {
        self.way().await?;
        self.0.waiting.lock().expect("fine").insert(name.into(), (seat.into(), Instant::now()));
        Ok(())
    }

    async fn others_wait(&self, name: &str, seat: &str) -> Result<bool> {
        self.way().await?;
        Ok(self.0.waiting.lock().expect("fine").get(name).is_some_and(|(who, when)| who != seat && when.elapsed() < WAITS))
    }
}

impl Rows for Table {
    fn get(&self, name: &str) -> Result<Option<Row>> {
        Ok(self.0.get(name).cloned())
    }

    fn after(&self, _: Option<&str>) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }
}

impl RowsMut for Table {
    fn put(&mut self, row: Row, _: u64) -> Result<()> {
        self.0.insert(row.name.clone(), row);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<()> {
        self.0.remove(name);
        Ok(())
    }

    fn next_fence(&mut self) -> Result<u64> {
        self.1 += 1;
        Ok(self.1)
    }
}

struct Here;

impl Connection for Here {
    fn ping(&self) -> BoxFuture<'_, std::result::Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> BoxFuture<'_, std::result::Result<(), BrokerError>> {
        self.ping()
    }
}

async fn acquire(locks: &dyn Locks, ttl: Duration, wait: Duration) -> Result<Option<Arc<dyn Lease>>> {
    locks.acquire(Wish { name: "l".into(), ttl, wait, holder: Owner::default() }).await
}

/// Three hosts that want it all the time, one of them with twenty calls and the others with one: each gets about as much of it.
#[tokio::test(start_paused = true)]
async fn hosts_share_a_lock_whatever_the_length_of_their_lines() {
    let (server, grants) = (Server::start(), Arc::new(Mutex::new(Vec::new())));
    let mut clients = JoinSet::new();
    for (host, count) in [(0, 20), (1, 1), (2, 1)] {
        let locks = server.host();
        for _ in 0..count {
            let (locks, grants) = (locks.clone(), grants.clone());
            clients.spawn(async move {
                loop {
                    let lease = acquire(&*locks, 10 * SECOND, 100 * SECOND).await.expect("it answers").expect("its turn comes");
                    grants.lock().expect("fine").push(host);
                    sleep(Duration::from_millis(10)).await;
                    assert_eq!(lease.release().await, Ok(true));
                }
            });
        }
    }
    sleep(60 * SECOND).await;
    clients.shutdown().await;
    let grants = grants.lock().expect("fine").clone();
    let of = |host| grants.iter().filter(|one| **one == host).count();
    let (total, shares) = (grants.len(), [of(0), of(1), of(2)]);
    assert!(total > 500 && shares.iter().all(|share| *share > total / 10), "{shares:?} of {total}");
    for host in 0..3 {
        let longest = grants.split(|one| *one == host).map(<[_]>::len).max().unwrap_or_default();
        // Turns are drawn: the longest row of others is a matter of chance, and one left out would wait for thousands.
        assert!(longest <= 400, "host {host} waited for {longest} grants to others");
    }
}

#[tokio::test(start_paused = true)]
async fn one_host_alone_never_stands_back() {
    let server = Server::start();
    let locks = server.host();
    let began = Instant::now();
    for _ in 0..100 {
        let lease = acquire(&*locks, SECOND, SECOND).await.expect("it answers").expect("it is free");
        assert_eq!(lease.release().await, Ok(true));
    }
    // A millisecond for each request and each answer, and one more request after every eighth grant.
    assert!(began.elapsed() < Duration::from_millis(420), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_kept_lease_outlives_trouble_that_is_shorter_than_it_and_is_lost_in_longer_trouble() {
    let server = Server::start();
    let locks = server.host();
    let lease = acquire(&*locks, 9 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    assert!(lease.keep());
    sleep(20 * SECOND).await;
    server.0.down.store(true, SeqCst);
    sleep(5 * SECOND).await;
    assert!(lease.is_ours(), "nothing is lost yet");
    server.0.down.store(false, SeqCst);
    sleep(20 * SECOND).await;
    assert!(lease.is_ours());
    server.0.down.store(true, SeqCst);
    sleep(9 * SECOND).await;
    assert!(!lease.is_ours(), "its time is over, and the holder knows without asking");
    server.0.down.store(false, SeqCst);
    let next = acquire(&*locks, 9 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    assert!(next.fence() > lease.fence());
    assert_eq!((lease.renew(SECOND).await, lease.release().await, next.is_ours()), (Ok(false), Ok(false), true));
}

/// Whoever gives up while a request is under way leaves no lock behind that nobody knows of.
#[tokio::test(start_paused = true)]
async fn what_is_granted_to_nobody_is_released() {
    let server = Server::start();
    let locks = server.host();
    for micros in (0..5000).step_by(100) {
        let asked = tokio::time::timeout(Duration::from_micros(micros), acquire(&*locks, 3600 * SECOND, SECOND)).await;
        drop(asked);
        sleep(SECOND).await;
        assert_eq!(locks.held("l").await, Ok(None), "given up after {micros} µs");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_store_ends_a_wait_at_once() {
    let server = Server::start();
    let (first, second) = (server.host(), server.host());
    let _held = acquire(&*first, 3600 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    let trouble = async {
        sleep(SECOND).await;
        server.0.down.store(true, SeqCst);
    };
    let (went, ()) = futures::join!(acquire(&*second, SECOND, 3600 * SECOND), trouble);
    assert!(matches!(went, Err(StoreError::Unavailable(_))), "{went:?}");
    assert!(server.0.started.elapsed() < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_away_when_a_lock_was_let_go_hears_of_it() {
    let server = Server::start();
    let locks = server.host();
    let lease = acquire(&*locks, 3600 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    server.0.down.store(true, SeqCst);
    assert!(matches!(lease.release().await, Err(StoreError::Unavailable(_))));
    drop(lease);
    sleep(60 * SECOND).await;
    server.0.down.store(false, SeqCst);
    sleep(6 * SECOND).await;
    assert_eq!(locks.held("l").await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_was_granted_without_an_answer_is_released() {
    let server = Server::start();
    let locks = server.host();
    server.0.mute.store(true, SeqCst);
    let asked = acquire(&*locks, 3600 * SECOND, SECOND).await;
    assert!(matches!(asked, Err(StoreError::Timeout)), "{asked:?}");
    server.0.mute.store(false, SeqCst);
    sleep(SECOND).await;
    assert_eq!(locks.held("l").await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_kept_lease_goes_by_what_it_was_last_given() {
    let server = Server::start();
    let locks = server.host();
    let lease = acquire(&*locks, 3600 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    assert!(lease.keep());
    sleep(SECOND).await;
    assert_eq!(lease.renew(3 * SECOND).await, Ok(true));
    sleep(60 * SECOND).await;
    assert!(lease.is_ours(), "it is renewed every second now");
    let held = locks.held("l").await.expect("it answers").expect("it is held");
    assert!(held.left <= 3 * SECOND && held.fence == lease.fence(), "{held:?}");
    assert_eq!(lease.renew(3600 * SECOND).await, Ok(true));
    sleep(60 * SECOND).await;
    let held = locks.held("l").await.expect("it answers").expect("it is held");
    assert!(held.left > 3500 * SECOND, "and once in twenty minutes now: {held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_over_by_whichever_renewal_the_store_may_have_heard() {
    let server = Server::start();
    let locks = server.host();
    let lease = acquire(&*locks, 3600 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    server.0.mute.store(true, SeqCst);
    assert_eq!(lease.renew(SECOND).await, Err(StoreError::Timeout));
    assert!(lease.is_ours(), "yet");
    sleep(SECOND).await;
    assert!(!lease.is_ours() && locks.held("l").await == Ok(None));
}

#[tokio::test(start_paused = true)]
async fn two_renewals_at_once_are_one_after_the_other() {
    let server = Server::start();
    let locks = server.host();
    let lease = acquire(&*locks, 3600 * SECOND, SECOND).await.expect("it answers").expect("it is free");
    let (first, second) = (lease.renew(SECOND), lease.renew(60 * SECOND));
    let began = Instant::now();
    assert_eq!(futures::join!(first, second), (Ok(true), Ok(true)));
    assert_eq!(began.elapsed(), Duration::from_millis(4), "each has its way and its answer");
    sleep(2 * SECOND).await;
    assert!(lease.is_ours() && locks.held("l").await.is_ok_and(|held| held.is_some()));
}

#[tokio::test(start_paused = true)]
async fn closing_a_store_ends_who_waits_and_leaves_nothing_held() {
    for micros in (0..5000).step_by(200) {
        let server = Server::start();
        let (roles, other) = (server.roles(), server.host());
        let locks = roles.locks.clone().expect("it has them");
        let asker = locks.clone();
        let mut asking = JoinSet::new();
        asking.spawn(async move { acquire(&*asker, 3600 * SECOND, SECOND).await });
        sleep(Duration::from_micros(micros)).await;
        roles.connection.close().await.expect("it closes");
        match asking.join_next().await.expect("one").expect("it ends") {
            // It was granted before, and is whoever's it was given to.
            Ok(lease) => drop(lease),
            Err(error) => assert_eq!(error, StoreError::Unavailable("the store was closed".into())),
        }
        sleep(SECOND).await;
        assert_eq!(other.held("l").await, Ok(None), "closed after {micros} µs");
        assert!(acquire(&*locks, SECOND, SECOND).await.is_err());
    }
}
