//! Leases on names.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use longshore_core::{KeyPattern, Locks, Owner, StoreError, Wish};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::lock_bench::{LONG, LockBench, SOON, of, wish};
use super::{Kind, Test, suite};
use crate::conformance::Verdict;

pub(super) const TESTS: &[Test] = suite!(&[Kind::Locks], LockBench =>
    a_free_lock_is_granted_and_a_held_one_is_not,
    fences_grow_with_every_grant,
    a_lease_is_over_at_its_time_and_not_before,
    a_lease_that_is_renewed_lasts_longer,
    what_is_over_cannot_be_renewed_or_released,
    a_late_release_frees_nobody_elses_lock,
    who_waits_gets_it_once_it_is_free,
    who_waits_in_vain_is_told_after_about_the_wait,
    those_who_wait_on_one_host_get_it_in_the_order_of_asking,
    what_is_dropped_is_released,
    who_goes_away_while_waiting_leaves_nothing_held,
    a_kept_lease_lasts_and_tells_when_it_is_lost,
    at_most_one_of_two_hosts_has_it,
    no_host_waits_for_ever_behind_a_greedy_one,
    who_holds_what_is_listed_and_can_be_ended_by_others,
    a_lease_can_be_ended_by_others_while_it_is_renewed,
    many_locks_are_listed_by_pages,
    names_of_locks_are_any_text,
);

pub(super) const CRASH: Test = Test {
    name: "leases_and_fences_outlive_a_crash",
    kinds: &[Kind::Locks],
    run: |subject, kind| Box::pin(async move { leases_and_fences_outlive_a_crash(LockBench::new(subject, kind).await).await }),
};

/// Long enough to be held when the next request comes, short enough to wait for.
const SHORT: Duration = Duration::from_millis(400);

async fn a_free_lock_is_granted_and_a_held_one_is_not(bench: LockBench<'_>) {
    assert!(!bench.is_held().await);
    let lease = bench.take(LONG).await;
    assert!(lease.is_ours() && bench.is_held().await);
    assert!(bench.try_take(LONG).await.is_none(), "not twice, not even by one host");
    let other = bench.elsewhere().await;
    assert!(other.acquire(wish(&bench.name, LONG, Duration::ZERO)).await.expect("it answers").is_none());
    assert_eq!(lease.release().await, Ok(true));
    assert!(!lease.is_ours() && !bench.is_held().await);
    assert!(other.acquire(wish(&bench.name, LONG, Duration::ZERO)).await.expect("it answers").is_some());
}

async fn fences_grow_with_every_grant(bench: LockBench<'_>) {
    let other = bench.elsewhere().await;
    let mut last = 0;
    for round in 0..30 {
        let locks = if round % 2 == 0 { &bench.locks } else { &other };
        let ttl = if round % 10 == 9 { Duration::from_millis(30) } else { LONG };
        let lease = locks.acquire(wish(&bench.name, ttl, SOON)).await.expect("it answers").expect("it gets free");
        assert!(lease.fence() > last, "{} after {last} in round {round}", lease.fence());
        assert!(lease.fence() < 1 << 53, "every guest language can hold it");
        last = lease.fence();
        // The short ones run out.
        if ttl == LONG {
            assert_eq!(lease.renew(LONG).await, Ok(true));
            assert_eq!(lease.fence(), last, "it is the same grant");
            assert_eq!(lease.release().await, Ok(true));
        }
    }
}

async fn a_lease_is_over_at_its_time_and_not_before(bench: LockBench<'_>) {
    let begun = Instant::now();
    let lease = bench.take(SHORT).await;
    // Waiting does not make it shorter.
    let next = bench.locks.acquire(wish(&bench.name, LONG, SOON)).await.expect("it answers").expect("it gets free");
    assert!(begun.elapsed() >= SHORT, "it was over after {:?}", begun.elapsed());
    assert!(begun.elapsed() < SHORT + SOON / 4, "and free only after {:?}", begun.elapsed());
    assert!(!lease.is_ours() && next.is_ours());
}

async fn a_lease_that_is_renewed_lasts_longer(bench: LockBench<'_>) {
    let begun = Instant::now();
    let lease = bench.take(SHORT).await;
    if lease.renew(SHORT * 3).await != Ok(true) {
        // The machine is so slow that it was over already.
        assert!(begun.elapsed() >= SHORT);
        return;
    }
    tokio::time::sleep_until(begun + SHORT * 2).await;
    assert!(bench.is_held().await || begun.elapsed() > SHORT * 3);
    bench.until_free().await;
    assert!(begun.elapsed() >= SHORT * 3, "it was over after {:?}", begun.elapsed());
}

async fn what_is_over_cannot_be_renewed_or_released(bench: LockBench<'_>) {
    let lease = bench.take(Duration::from_millis(50)).await;
    bench.until_free().await;
    assert_eq!(lease.renew(LONG).await, Ok(false));
    assert!(!bench.is_held().await, "what is over does not come back");
    assert_eq!(lease.release().await, Ok(false));
    let released = bench.take(LONG).await;
    assert_eq!((released.release().await, released.release().await), (Ok(true), Ok(false)));
    assert_eq!(released.renew(LONG).await, Ok(false));
}

async fn a_late_release_frees_nobody_elses_lock(bench: LockBench<'_>) {
    let late = bench.take(Duration::from_millis(50)).await;
    bench.until_free().await;
    let now = bench.take(LONG).await;
    assert_eq!((late.renew(LONG).await, late.release().await), (Ok(false), Ok(false)));
    drop(late);
    assert_eq!(now.renew(LONG).await, Ok(true), "it is still the one that it was");
    assert!(bench.try_take(LONG).await.is_none());
}

async fn who_waits_gets_it_once_it_is_free(bench: LockBench<'_>) {
    for locks in [bench.locks.clone(), bench.elsewhere().await] {
        let lease = bench.take(LONG).await;
        let mut waiting = locks.acquire(wish(&bench.name, LONG, SOON));
        assert!((&mut waiting).now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!((&mut waiting).now_or_never().is_none());
        let freed = Instant::now();
        assert_eq!(lease.release().await, Ok(true));
        let lease = waiting.await.expect("it answers").expect("it is free");
        assert!(freed.elapsed() < SOON / 4, "it took {:?}", freed.elapsed());
        assert_eq!(lease.release().await, Ok(true));
    }
}

async fn who_waits_in_vain_is_told_after_about_the_wait(bench: LockBench<'_>) {
    let _lease = bench.take(LONG).await;
    let begun = Instant::now();
    // The second stands behind the first, and never asks the store.
    let waiting = [SHORT, SHORT / 2].map(|wait| bench.locks.acquire(wish(&bench.name, LONG, wait)));
    for lease in futures::future::join_all(waiting).await {
        assert!(lease.expect("it answers").is_none());
    }
    let waited = begun.elapsed();
    assert!(waited >= SHORT && waited < SHORT + SOON / 4, "{waited:?}");
}

async fn those_who_wait_on_one_host_get_it_in_the_order_of_asking(bench: LockBench<'_>) {
    let lease = bench.take(LONG).await;
    let order = Mutex::new(Vec::new());
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            // Asked for here, in this order, whoever waits for it first.
            let asked = bench.locks.acquire(wish(&bench.name, LONG, SOON));
            let order = &order;
            async move {
                let lease = asked.await.expect("it answers").expect("it gets free");
                order.lock().expect("fine").push(n);
                assert_eq!(lease.release().await, Ok(true));
            }
        })
        .collect();
    let (released, _) = futures::join!(lease.release(), futures::future::join_all(waiting.into_iter().rev()));
    assert_eq!(released, Ok(true));
    assert_eq!(order.into_inner().expect("fine"), (0..20).collect::<Vec<_>>());
}

async fn what_is_dropped_is_released(bench: LockBench<'_>) {
    drop(bench.take(LONG).await);
    bench.until_free().await;
    let lease = bench.take(LONG).await;
    assert!(lease.keep());
    drop(lease);
    bench.until_free().await;
}

async fn who_goes_away_while_waiting_leaves_nothing_held(bench: LockBench<'_>) {
    let lease = bench.take(LONG).await;
    let behind = bench.locks.acquire(wish(&bench.name, LONG, SOON));
    let mut waiting = bench.locks.acquire(wish(&bench.name, LONG, SOON));
    assert!((&mut waiting).now_or_never().is_none());
    drop(behind);
    assert_eq!(lease.release().await, Ok(true));
    waiting.await.expect("it answers").expect("nobody is before it").release().await.expect("it is released");
    for n in 0..20 {
        // Given up somewhere on the way.
        let mut asking = bench.locks.acquire(wish(&bench.name, LONG, SOON));
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), &mut asking).await;
        drop(asking);
    }
    let lease = bench.locks.acquire(wish(&bench.name, LONG, SOON)).await.expect("it answers");
    assert!(lease.is_some(), "what was granted to nobody is released");
}

async fn a_kept_lease_lasts_and_tells_when_it_is_lost(bench: LockBench<'_>) {
    // Renewals have two thirds of it to come.
    let ttl = Duration::from_secs(2);
    let lease = bench.take(ttl).await;
    let begun = Instant::now();
    assert!(lease.keep() && lease.keep(), "twice is once");
    tokio::time::sleep_until(begun + ttl * 3 / 2).await;
    assert!(lease.is_ours() && bench.is_held().await, "it outlives its time");
    assert_eq!(bench.locks.evict(&bench.name, lease.fence()).await, Ok(true));
    let next = bench.take(LONG).await;
    while lease.is_ours() {
        assert!(begun.elapsed() < SOON, "it was lost and nobody said so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!lease.keep());
    assert_eq!((lease.renew(ttl).await, lease.release().await), (Ok(false), Ok(false)));
    assert!(next.is_ours() && bench.is_held().await);
}

/// The guarded step is no step of the store's: reading, a pause, and writing what was read and one.
async fn at_most_one_of_two_hosts_has_it(bench: LockBench<'_>) {
    const CLIENTS: u64 = 8;
    const TIMES: u64 = 25;
    let other = bench.elsewhere().await;
    let number = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let locks = if n % 2 == 0 { bench.locks.clone() } else { other.clone() };
        let (name, number) = (bench.name.clone(), number.clone());
        clients.spawn(async move {
            for _ in 0..TIMES {
                let lease = locks.acquire(wish(&name, LONG, SOON * 3)).await.expect("it answers").expect("it gets free");
                let read = number.load(SeqCst);
                tokio::task::yield_now().await;
                number.store(read + 1, SeqCst);
                assert_eq!(lease.release().await, Ok(true));
            }
        });
    }
    clients.join_all().await;
    assert_eq!(number.load(SeqCst), CLIENTS * TIMES);
}

/// One host has many who ask again at once; the other has one, who comes again and again and is not left out.
async fn no_host_waits_for_ever_behind_a_greedy_one(bench: LockBench<'_>) {
    let other = bench.elsewhere().await;
    let had = Arc::new(AtomicU64::new(0));
    let mut greedy = JoinSet::new();
    for _ in 0..8 {
        let (locks, name, had) = (bench.locks.clone(), bench.name.clone(), had.clone());
        greedy.spawn(async move {
            loop {
                let lease = locks.acquire(wish(&name, LONG, SOON * 3)).await.expect("it answers").expect("it gets free");
                had.fetch_add(1, SeqCst);
                // Held nearly all the time, so that chance alone would not let another in.
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(lease.release().await);
            }
        });
    }
    while had.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for round in 0..5 {
        let before = had.load(SeqCst);
        let lease = other.acquire(wish(&bench.name, LONG, SOON)).await.expect("it answers").expect("its turn comes");
        let between = had.load(SeqCst) - before;
        assert!(between <= 64, "{between} grants to the other host before round {round}");
        assert_eq!(lease.release().await, Ok(true));
    }
    greedy.shutdown().await;
}

async fn who_holds_what_is_listed_and_can_be_ended_by_others(bench: LockBench<'_>) {
    let names = ["a", "b"].map(|end| format!("{}:{end}", bench.name));
    let holder = |n: usize| Owner { host: format!("höst {n}"), handler: "charge \"it\"".into(), message: format!("id/{n} \n") };
    let mut leases = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let wish = Wish { holder: holder(n), ..wish(name, LONG, Duration::ZERO) };
        leases.push(bench.locks.acquire(wish).await.expect("it answers").expect("it is free"));
    }
    let other = bench.elsewhere().await;
    let mut listed = all(&*other, &format!("{}:*", bench.name)).await;
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(listed.len(), 2, "{listed:?}");
    for (n, held) in listed.iter().enumerate() {
        assert_eq!((&held.name, &held.holder, held.fence), (&names[n], &holder(n), leases[n].fence()));
        assert!(held.left <= LONG && held.left > LONG - SOON && held.age < SOON, "{held:?}");
        let alone = other.held(&held.name).await.expect("it answers").expect("it is held");
        assert_eq!((&alone.holder, alone.fence), (&held.holder, held.fence));
    }
    assert_eq!(leases[0].renew(LONG * 2).await, Ok(true));
    let held = other.held(&names[0]).await.expect("it answers").expect("it is held");
    assert!(held.left > LONG && held.fence == leases[0].fence() && held.holder == holder(0), "{held:?}");
    assert_eq!(other.evict(&names[0], leases[0].fence() + 1).await, Ok(false), "that is another grant");
    assert_eq!(other.evict(&names[0], leases[0].fence()).await, Ok(true));
    assert_eq!(other.evict(&names[0], leases[0].fence()).await, Ok(false));
    assert_eq!(leases[0].renew(LONG).await, Ok(false));
    assert_eq!(all(&*other, &format!("{}:*", bench.name)).await.len(), 1);
    assert!(matches!(other.list(&KeyPattern::new("*"), Some("no cursor")).await, Err(StoreError::Invalid(_))));
}

async fn a_lease_can_be_ended_by_others_while_it_is_renewed(bench: LockBench<'_>) {
    let other = bench.elsewhere().await;
    for round in 0..20 {
        let lease = bench.take(LONG).await;
        let renewing = async { while lease.renew(LONG).await == Ok(true) {} };
        let (ended, ()) = futures::join!(other.evict(&bench.name, lease.fence()), renewing);
        assert_eq!(ended, Ok(true), "in round {round}");
        assert!(!lease.is_ours());
    }
}

async fn many_locks_are_listed_by_pages(bench: LockBench<'_>) {
    let mut taking = JoinSet::new();
    for n in 0..1100 {
        let (locks, name) = (bench.locks.clone(), format!("{}/{n}", bench.name));
        taking.spawn(async move { locks.acquire(wish(&name, LONG, Duration::ZERO)).await.expect("it answers").expect("it is free") });
    }
    let leases = taking.join_all().await;
    let mut names: Vec<String> = all(&*bench.locks, &format!("{}/*", bench.name)).await.into_iter().map(|held| held.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), leases.len());
}

async fn names_of_locks_are_any_text(bench: LockBench<'_>) {
    let names = ["a b", "ä/ö", "a*b?[c]", "\\", "a:b", "..", "a.", "=41", "{x}", ">", "🦀"].map(|end| format!("{}{end}", bench.name));
    let mut leases = Vec::new();
    for name in &names {
        leases.push(bench.locks.acquire(wish(name, LONG, Duration::ZERO)).await.expect("it answers").expect("it is free"));
    }
    for name in &names {
        let held = bench.locks.held(name).await.expect("it answers").expect("it is held");
        assert_eq!(&held.name, name);
    }
    let mut listed: Vec<String> = all(&*bench.locks, &format!("{}*", bench.name)).await.into_iter().map(|held| held.name).collect();
    listed.sort();
    let mut expected = names.to_vec();
    expected.sort();
    assert_eq!(listed, expected);
}

async fn leases_and_fences_outlive_a_crash(bench: LockBench<'_>) -> Verdict {
    let mut last = 0;
    for _ in 0..5 {
        let lease = bench.take(LONG).await;
        last = lease.fence();
        assert_eq!(lease.release().await, Ok(true));
    }
    let stays = format!("{}/stays", bench.name);
    let lease = bench.locks.acquire(wish(&stays, LONG, Duration::ZERO)).await.expect("it answers").expect("it is free");
    let before = last.max(lease.fence());
    let LockBench { subject, roles, name, locks } = bench;
    // Nothing of the dead host releases it.
    std::mem::forget(lease);
    drop(locks);
    let Some(roles) = subject.restart(roles).await else { return Verdict::Unsupported };
    let locks = of(&roles);
    assert!(locks.acquire(wish(&stays, LONG, Duration::ZERO)).await.expect("it answers").is_none(), "the lease is not over");
    let held = locks.held(&stays).await.expect("it answers").expect("it is held");
    assert_eq!(held.holder.handler, "h");
    let lease = locks.acquire(wish(&name, LONG, Duration::ZERO)).await.expect("it answers").expect("it is free");
    assert!(lease.fence() > before, "{} after {before}", lease.fence());
    // And where none is held, so that nothing tells of the last fence but the store.
    let before = lease.fence();
    assert_eq!(lease.release().await, Ok(true));
    assert_eq!(locks.evict(&stays, held.fence).await, Ok(true));
    drop(locks);
    let Some(roles) = subject.restart(roles).await else { return Verdict::Unsupported };
    let lease = of(&roles).acquire(wish(&name, LONG, Duration::ZERO)).await.expect("it answers").expect("it is free");
    assert!(lease.fence() > before, "{} after {before}", lease.fence());
    Verdict::Passed
}

/// All locks that match.
async fn all(locks: &dyn Locks, pattern: &str) -> Vec<longshore_core::Held> {
    let (pattern, mut cursor, mut held) = (KeyPattern::new(pattern), None, Vec::new());
    loop {
        let page = locks.list(&pattern, cursor.as_deref()).await.expect("a page");
        held.extend(page.held);
        match page.next {
            Some(next) => cursor = Some(next),
            None => return held,
        }
    }
}
