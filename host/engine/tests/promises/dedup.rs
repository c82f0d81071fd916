//! The dedup inbox: what was done is not handled again, and nothing else is taken for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Call, Claimant, Claimed, DedupKey, DedupTimes, Failure, Inbox, InboxClaim, InboxKey, Order};
use longshore_engine::{Dedup, Policy};
use longshore_testkit::scripted::{Broker, Settling, closure};
use tokio::time::Instant;

use crate::support::{DEAD_LETTERS, Host, OUT, policy};
use crate::{again, all_done, answer, append, at_once, broker, called, message, retry};

const TIMES: DedupTimes = DedupTimes { window: Duration::from_secs(3600), lease: Duration::from_secs(30) };

enum Held {
    Done,
    By(Claimant, Instant),
}

/// A store that several hosts share.
#[derive(Default)]
struct Store {
    held: Mutex<HashMap<InboxKey, Held>>,
    down: AtomicBool,
}

impl Store {
    fn answer<'a, T: Send + 'a>(&self, work: impl FnOnce(&mut HashMap<InboxKey, Held>) -> T) -> BoxFuture<'a, Result<T, BrokerError>> {
        let down = self.down.load(Ordering::Relaxed);
        let answer = if down { Err(BrokerError::retry("the store is away")) } else { Ok(work(&mut self.held.lock().expect("no panic"))) };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer
        })
    }
}

impl Inbox for Store {
    fn claim<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<Claimed>, BrokerError>> {
        self.answer(|held| {
            let mut one = |claim: &InboxClaim| match held.get(&claim.key) {
                Some(Held::Done) => Claimed::Done,
                Some(Held::By(_, until)) if *until > Instant::now() => Claimed::Taken,
                _ => {
                    held.insert(claim.key, Held::By(claim.claimant, Instant::now() + TIMES.lease));
                    Claimed::Ours
                }
            };
            claims.iter().map(&mut one).collect()
        })
    }

    fn extend<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<Vec<bool>, BrokerError>> {
        self.answer(|held| {
            let mut one = |claim: &InboxClaim| match held.get_mut(&claim.key) {
                Some(Held::By(claimant, until)) if *claimant == claim.claimant => {
                    *until = Instant::now() + TIMES.lease;
                    true
                }
                _ => false,
            };
            claims.iter().map(&mut one).collect()
        })
    }

    fn remember<'a>(&'a self, keys: &'a [InboxKey]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.answer(|held| {
            for key in keys {
                held.insert(*key, Held::Done);
            }
        })
    }

    fn release<'a>(&'a self, claims: &'a [InboxClaim]) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.answer(|held| {
            for claim in claims {
                if matches!(held.get(&claim.key), Some(Held::By(claimant, _)) if *claimant == claim.claimant) {
                    held.remove(&claim.key);
                }
            }
        })
    }
}

/// A policy whose host is number `process`: payloads tell messages apart.
fn with(store: &Arc<Store>, broker: &Broker, order: Order, process: u64) -> Policy {
    let inbox: Arc<dyn Inbox> = store.clone();
    let dedup = Dedup { key: DedupKey::Payload, times: TIMES, inbox: Some(inbox), process };
    Policy { dedup: Some(dedup), ..policy(broker, None, order) }
}

fn numbers_called(broker: &Broker) -> Vec<u32> {
    called(broker).into_iter().map(|(number, _)| number).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_done_is_acknowledged_and_not_called_again() {
    for order in [Order::None, Order::Key, Order::Lane] {
        let (broker, store) = (broker(Settling::Mark), Arc::default());
        append(&broker, 10, |i| message("k", if i % 2 == 0 { "even" } else { "odd" }));
        let host = Host::start(0, &broker, with(&store, &broker, order, 0), at_once(|call, _| all_done(call)));
        assert!(broker.finished_within(60).await, "{order:?}: {}", broker.history().render());
        let mut called = numbers_called(&broker);
        called.sort_unstable();
        assert_eq!(called, [1, 2], "{order:?}");
        // The last answer of the broker may be on its way.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut text = String::new();
        let mut registry = prometheus_client::registry::Registry::default();
        host.metrics.register(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("it encodes");
        assert!(text.contains("longshore_duplicates_total{subscription=\"test/orders\"} 8"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_first_try_is_retried_and_never_taken_for_a_duplicate() {
    for settling in [Settling::Mark, Settling::Transaction] {
        let (broker, store) = (broker(settling), Arc::default());
        broker.append(&message("", "m"));
        let fails_once = at_once(|call, time| answer(call, |n| if time(n) == 1 { retry() } else { None }));
        let _host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), fails_once);
        assert!(broker.finished_within(60).await, "{}", broker.history().render());
        assert_eq!(called(&broker), [(1, 1), (1, 2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_not_remembered() {
    let (broker, store) = (broker(Settling::Mark), Arc::default());
    broker.append(&message("", "m"));
    let rejects_first = at_once(|call, _| answer(call, |n| (n == 1).then(|| Failure::Reject("no".into()))));
    let _host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), rejects_first);
    assert!(broker.finished_within(60).await);
    broker.append(&message("", "m"));
    assert!(broker.finished_within(60).await);
    assert_eq!((numbers_called(&broker), broker.published(DEAD_LETTERS).len()), (vec![1, 2], 1));
}

#[tokio::test(start_paused = true)]
async fn of_copies_that_come_at_once_to_two_hosts_one_is_called() {
    let (one, other, store) = (broker(Settling::Mark), broker(Settling::Mark), Arc::default());
    let slow = || {
        closure(|call: Call| async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            all_done(&call)
        })
    };
    append(&one, 1, |_| message("", "m"));
    append(&other, 1, |_| message("", "m"));
    let _hosts = [
        Host::start(0, &one, with(&store, &one, Order::None, 0), slow()),
        Host::start(1, &other, with(&store, &other, Order::None, 1), slow()),
    ];
    assert!(one.finished_within(300).await && other.finished_within(300).await);
    assert_eq!(called(&one).len() + called(&other).len(), 1, "longer than a lease, which is extended");
    assert!(again(&one).is_empty() && again(&other).is_empty(), "the other waits where it is, and no hand-over is used");
}

#[tokio::test(start_paused = true)]
async fn an_inbox_that_cannot_be_asked_uses_no_attempt_and_nothing_is_called() {
    let (broker, store) = (broker(Settling::Mark), Arc::<Store>::default());
    store.down.store(true, Ordering::Relaxed);
    append(&broker, 5, |i| message("", ["a", "b", "c", "d", "e"][i]));
    let host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), at_once(|call, _| all_done(call)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(called(&broker).is_empty());
    let trouble = host.status.trouble().expect("it is told");
    assert!(trouble.1.contains("the store is away"), "{trouble:?}");
    store.down.store(false, Ordering::Relaxed);
    assert!(broker.finished_within(60).await);
    assert!(called(&broker).iter().all(|(_, attempt)| *attempt == 1));
    assert_eq!(called(&broker).len(), 5);
}

/// A claim that could not be given back while the store was away is given back once it is there, and not only when its lease is over.
#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_delays_nothing_by_claims_of_before() {
    for lasts in [1, 10] {
        let (broker, store) = (broker(Settling::Mark), Arc::<Store>::default());
        append(&broker, 5, |i| message("", ["a", "b", "c", "d", "e"][i]));
        let fails_as_the_store_goes = {
            let (store, stays) = (store.clone(), AtomicBool::new(true));
            at_once(move |call, time| {
                if stays.swap(false, Ordering::Relaxed) {
                    store.down.store(true, Ordering::Relaxed);
                }
                answer(call, |n| if time(n) == 1 { retry() } else { None })
            })
        };
        let _host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), fails_as_the_store_goes);
        tokio::time::sleep(Duration::from_secs(lasts)).await;
        store.down.store(false, Ordering::Relaxed);
        assert!(broker.finished_within(lasts + 2).await, "after {lasts} s: {}", broker.history().render());
    }
}

/// Also where outputs could leave with the acknowledgement: such a broker does not tell what of it came too late, so they are out before.
#[tokio::test(start_paused = true)]
async fn what_is_done_and_cannot_be_remembered_is_not_acknowledged() {
    for settling in [Settling::Mark, Settling::Transaction] {
        let (broker, store) = (broker(settling), Arc::<Store>::default());
        broker.append(&message("", "m"));
        let goes_away = {
            let store = store.clone();
            at_once(move |call, _| {
                store.down.store(true, Ordering::Relaxed);
                crate::outputs::publishing(call, &[(OUT, b"1")])
            })
        };
        let _host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), goes_away);
        tokio::time::sleep(Duration::from_secs(20)).await;
        let so_far = (called(&broker).len(), broker.published(OUT).len(), broker.unfinished().len());
        assert_eq!(so_far, (1, 1, 1), "{}", broker.history().render());
        store.down.store(false, Ordering::Relaxed);
        assert!(broker.finished_within(60).await);
        assert_eq!((called(&broker).len(), broker.published(OUT).len()), (1, 1), "it is not called again for that");
    }
}

#[tokio::test(start_paused = true)]
async fn copies_under_one_key_do_not_wait_for_each_other_for_ever() {
    for order in [Order::Key, Order::Lane] {
        let (broker, store) = (broker(Settling::Mark), Arc::default());
        for payload in ["a", "a", "b", "a"] {
            broker.append(&message("k", payload));
        }
        let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
        let _host = Host::start(0, &broker, with(&store, &broker, order, 0), fails_once);
        assert!(broker.finished_within(60).await, "{}", broker.history().render());
        assert_eq!(called(&broker), [(1, 1), (1, 2), (3, 1)], "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_message_under_its_key_waits_while_another_host_has_it() {
    let (broker, store) = (broker(Settling::Mark), Arc::<Store>::default());
    let key = {
        let mut batch = longshore_core::Batch::default();
        let headers: [(&str, &[u8]); 0] = [];
        let message =
            longshore_core::Message { id: "x", topic: "orders", key: None, payload: Some(b"a"), headers, timestamp: 0, attempt: 1 };
        let receipt = longshore_core::Receipt { position: 1, token: &[] };
        batch.push(&message, receipt, longshore_core::Facts::default());
        DedupKey::Payload.of(batch.row(0)).expect("it has a payload")
    };
    let other = InboxClaim { key, claimant: Claimant::new(9, 9, 9) };
    store.claim(&[other]).await.expect("it is there");
    for payload in ["a", "b"] {
        broker.append(&message("k", payload));
    }
    let _host = Host::start(0, &broker, with(&store, &broker, Order::Key, 0), at_once(|call, _| all_done(call)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(called(&broker).is_empty(), "{}", broker.history().render());
    store.release(&[other]).await.expect("it is there");
    assert!(broker.finished_within(60).await);
    assert_eq!(numbers_called(&broker), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_claims_of_a_host_that_stops_are_free_at_once() {
    let (broker, store) = (broker(Settling::Mark), Arc::<Store>::default());
    broker.append(&message("", "m"));
    let never = closure(|_: Call| std::future::pending());
    let mut host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), never);
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.abort();
    host.ended(10).await.expect("it ends").expect("without an error");
    assert!(store.held.lock().expect("no panic").is_empty());
}

/// A key that waits behind what failed holds nothing that others wait for: neither in its own line nor in another's.
#[tokio::test(start_paused = true)]
async fn what_waits_again_has_no_claim() {
    for settling in [Settling::Mark, Settling::Transaction] {
        let (broker, store) = (broker(settling), Arc::<Store>::default());
        for (key, payload) in [("1", "a"), ("1", "b"), ("2", "b"), ("2", "a")] {
            broker.append(&message(key, payload));
        }
        let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
        let _host = Host::start(0, &broker, with(&store, &broker, Order::Key, 0), fails_once);
        assert!(broker.finished_within(20).await, "{}", broker.history().render());
        let mut called = numbers_called(&broker);
        called.sort_unstable();
        assert_eq!(called.len(), 3, "a twice, since it failed, and b once: {called:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(store.held.lock().expect("no panic").values().all(|held| matches!(held, Held::Done)));
    }
}

/// A lane that is full parks what waits: that is let go as well.
#[tokio::test(start_paused = true)]
async fn what_is_parked_has_no_claim() {
    let (broker, store) = (broker(Settling::Transaction), Arc::<Store>::default());
    append(&broker, 12, |i| message("", ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"][i]));
    let mut policy = with(&store, &broker, Order::Lane, 0);
    policy.subscribe.max_in_flight = 4;
    let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, fails_once);
    assert!(broker.finished_within(20).await, "{}", broker.history().render());
    assert_eq!(called(&broker).len(), 13);
}

/// Where outputs leave with the settlement, what is done is remembered once they are out: a message whose output is refused is tried again.
#[tokio::test(start_paused = true)]
async fn what_is_remembered_has_published_its_outputs() {
    let (broker, store) = (broker(Settling::Transaction), Arc::<Store>::default());
    broker.append(&message("", "m"));
    broker.refuse("orders/1/0");
    let publishes = at_once(|call, _| crate::outputs::publishing(call, &[(OUT, b"1")]));
    let _host = Host::start(0, &broker, with(&store, &broker, Order::None, 0), publishes);
    assert!(broker.finished_within(60).await, "{}", broker.history().render());
    assert_eq!((called(&broker).len(), broker.published(DEAD_LETTERS).len()), (3, 1), "{}", broker.history().render());
    // The last answer of the broker, and the claim that is given back after it, may be on their way.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(store.held.lock().expect("no panic").is_empty(), "it was never done");
}
