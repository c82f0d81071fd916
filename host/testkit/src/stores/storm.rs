//! Many clients on several hosts that want the same locks, stand still for longer than their leases, vanish, and let go in every way there is; and
//! what must be true of every grant whatever they do.
//!
//! A grant happens at the store between the asking and the answer, and is over there no sooner than somebody asked for its end, or else than its
//! time after it was asked for. From that, with all on one clock: of two grants of a lock, the one with the smaller fence
//! was over before the other was answered, and was asked for before that, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use longshore_core::{Clock, Lease, Locks};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::StoreSubject;
use super::lock_bench::{of, wish};
use crate::servers::unique;

/// Hosts, clients on each, and locks that all of them want.
const HOSTS: usize = 4;
const CLIENTS: usize = 12;
const LOCKS: u64 = 16;
/// Longest lease of a client.
const LEASE: u64 = 60;
/// How long a client waits for a lock.
const PATIENCE: Duration = Duration::from_secs(60);
/// What may lie between two readings of one machine's clocks that ran for as long as a lease.
const SLACK: Duration = Duration::from_millis(2);
/// Grants that are told and not yet looked at.
const TOLD: usize = 1024;

/// A grant, as its client saw it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    lock: u64,
    fence: u64,
    asked: Instant,
    told: Instant,
    /// At the store it was not over before.
    until: Instant,
}

/// A clock that stands an hour before or after the right time, another one each time that it is read.
pub fn jumping_clock() -> Clock {
    let (right, reads) = (Clock::system(), AtomicU64::new(0));
    Clock::new(move || {
        let hour = 3_600_000;
        if reads.fetch_add(1, SeqCst).is_multiple_of(2) { right.now() - hour } else { right.now() + hour }
    })
}

/// Has so many locks granted, and panics where what it saw cannot be.
pub(super) async fn run(subject: &dyn StoreSubject, grants: u64) {
    let first = subject.connect().await;
    let mut hosts = vec![of(&first)];
    for _ in 1..HOSTS {
        hosts.push(of(&subject.another(&first).await));
    }
    let (name, left) = (unique("storm"), Arc::new(AtomicU64::new(grants)));
    let (tell, mut told) = mpsc::channel(TOLD);
    let mut clients = JoinSet::new();
    for n in 0..HOSTS * CLIENTS {
        let (locks, name, left, tell) = (hosts[n % HOSTS].clone(), name.clone(), left.clone(), tell.clone());
        clients.spawn(client(Dice(n as u64 + 1), locks, name, left, tell));
    }
    drop(tell);
    let mut seen = Vec::new();
    while let Some(grant) = told.recv().await {
        seen.push(grant);
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client fails");
    }
    assert!(seen.len() as u64 >= grants, "{} of {grants}", seen.len());
    for lock in 0..LOCKS {
        let mut of_lock: Vec<Seen> = seen.iter().filter(|grant| grant.lock == lock).copied().collect();
        of_lock.sort_by_key(|grant| grant.fence);
        check(&of_lock);
    }
}

fn check(grants: &[Seen]) {
    let mut last_asked = None;
    for pair in grants.windows(2) {
        let [before, after] = pair else { continue };
        assert!(before.fence < after.fence, "one fence, two grants: {before:?} {after:?}");
        assert!(after.told + SLACK >= before.until, "two held it at once: {before:?} {after:?}");
        last_asked = last_asked.max(Some(before.asked));
        assert!(last_asked <= Some(after.told), "a later grant has a smaller fence: {before:?} {after:?}");
    }
}

/// Numbers that look like chance and are the same each time (SplitMix64: Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

async fn client(mut dice: Dice, locks: Arc<dyn Locks>, name: String, left: Arc<AtomicU64>, tell: mpsc::Sender<Seen>) {
    while left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
        loop {
            let (lock, ttl) = (dice.below(LOCKS), Duration::from_millis(LEASE / 3 + dice.below(LEASE * 2 / 3)));
            let asked = Instant::now();
            let asking = locks.acquire(wish(&format!("{name}/{lock}"), ttl, PATIENCE));
            if dice.below(20) == 0 {
                // Gives up somewhere on the way; what it is granted nobody sees.
                drop(tokio::time::timeout(Duration::from_micros(dice.below(5000)), asking).await);
                continue;
            }
            let lease = asking.await.expect("it answers").expect("its turn comes");
            let (fence, told) = (lease.fence(), Instant::now());
            let until = live(&mut dice, lease, asked + ttl, ttl).await;
            tell.send(Seen { lock, fence, asked, told, until }).await.expect("somebody listens");
            break;
        }
    }
}

/// What a client does with a lease, and until when it had it at least.
async fn live(dice: &mut Dice, lease: Arc<dyn Lease>, until: Instant, ttl: Duration) -> Instant {
    match dice.below(100) {
        // Stands still for longer than its lease, and goes on as if nothing was.
        0..4 => {
            sleep(ttl + ttl / 2).await;
            assert!(!lease.is_ours(), "its own clock tells");
            assert_eq!(lease.renew(ttl).await, Ok(false));
            assert_eq!(lease.release().await, Ok(false));
            until
        }
        // Vanishes.
        4..8 => {
            std::mem::forget(lease);
            until
        }
        // Is kept for longer than its time.
        8..10 => {
            let is_kept = lease.keep();
            sleep(ttl * 2).await;
            // On a machine that stood still it may be lost, already before the answer; then it was ours for its first time at least.
            let was_ours = is_kept && lease.is_ours();
            let ending = Instant::now();
            drop(lease);
            if was_ours { ending } else { until }
        }
        10..25 => {
            let renewed = Instant::now();
            let until = if lease.renew(ttl).await == Ok(true) { renewed + ttl } else { until };
            // Half of them past what it was given first.
            if dice.below(2) == 0 {
                sleep(ttl * 3 / 4).await;
            }
            let ending = Instant::now();
            drop(lease);
            until.min(ending)
        }
        _ => {
            let ending = Instant::now();
            let was_ours = lease.release().await.expect("it answers");
            if was_ours { ending } else { until.min(ending) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grants with fence, and when each was asked for, told, and over, in milliseconds.
    fn checked(grants: &[(u64, u64, u64, u64)]) {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let seen = |(fence, asked, told, until): &(u64, u64, u64, u64)| Seen {
            lock: 0,
            fence: *fence,
            asked: at(*asked),
            told: at(*told),
            until: at(*until),
        };
        check(&grants.iter().map(seen).collect::<Vec<_>>());
    }

    #[test]
    fn grants_one_after_another_are_fine_also_where_requests_overlap() {
        checked(&[(1, 0, 10, 50), (2, 5, 60, 100), (7, 99, 101, 200)]);
    }

    #[test]
    #[should_panic(expected = "two held it at once")]
    fn a_grant_before_the_end_of_the_one_before_is_noticed() {
        checked(&[(1, 0, 10, 50), (2, 5, 40, 100)]);
    }

    #[test]
    #[should_panic(expected = "one fence, two grants")]
    fn a_fence_that_comes_twice_is_noticed() {
        checked(&[(1, 0, 10, 50), (1, 60, 70, 100)]);
    }

    #[test]
    #[should_panic(expected = "a later grant has a smaller fence")]
    fn a_fence_that_goes_back_is_noticed() {
        checked(&[(1, 60, 70, 50), (2, 0, 55, 100)]);
    }
}
