//! The circuit breaker, and the switch that pauses.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::{Breaker, Call, Order};
use longshore_testkit::scripted::{Event, Settling, closure};

use crate::support::{Host, policy};
use crate::{all_done, answer, append, at_once, broker, called, message, retry};

#[tokio::test(start_paused = true)]
async fn an_open_breaker_pauses_consumption_and_uses_no_attempt() {
    let broker = broker(Settling::Transaction);
    append(&broker, 20, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.breaker = Some(Breaker { threshold: 3, reset_after: Duration::from_secs(60) });
    (policy.concurrency, policy.retry.max_attempts) = (1, 100);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 1, max_wait: Duration::ZERO };
    let down = at_once(|call, time| answer(call, |n| if time(n) == 1 && n <= 3 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, down);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(called(&broker).len(), 3, "open: nobody is called, nobody is charged");
    assert!(broker.published(crate::support::DEAD_LETTERS).is_empty());
    assert!(broker.finished_within(60).await, "half open: one comes through, and then all");
}

#[tokio::test(start_paused = true)]
async fn a_half_open_breaker_lets_one_message_through() {
    let broker = broker(Settling::Transaction);
    append(&broker, 20, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.breaker = Some(Breaker { threshold: 1, reset_after: Duration::from_secs(10) });
    (policy.concurrency, policy.retry.max_attempts) = (8, 100);
    let _host = Host::start(0, &broker, policy, at_once(|call, _| answer(call, |_| retry())));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = called(&broker).len();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(called(&broker).len() - before, 5, "one in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn every_lane_goes_on_when_another_ones_probe_closes_the_breaker() {
    let personality =
        longshore_testkit::scripted::Personality { partitions: 3, ..longshore_testkit::scripted::Personality::plain(Settling::Mark) };
    let history = longshore_testkit::scripted::History::default();
    let broker = longshore_testkit::scripted::Broker::new("home", personality, &history, longshore_testkit::scripted::Random::new(1));
    for partition in 0..3 {
        append(&broker, 4, |_| longshore_testkit::scripted::NewMessage { partition, ..message("", "m") });
    }
    let mut policy = policy(&broker, None, Order::None);
    policy.breaker = Some(Breaker { threshold: 1, reset_after: Duration::from_secs(5) });
    let fails_first = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, fails_first);
    assert!(broker.finished_within(20).await, "{:?} are left", broker.unfinished());
}

#[tokio::test(start_paused = true)]
async fn what_was_called_before_the_breaker_opened_decides_nothing() {
    let broker = broker(Settling::Transaction);
    append(&broker, 10, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.breaker = Some(Breaker { threshold: 1, reset_after: Duration::from_secs(5) });
    policy.concurrency = 2;
    policy.batching = longshore_core::Batching::Fixed { max_messages: 1, max_wait: Duration::ZERO };
    // Message 1 opens it while 2 runs for seven seconds; the probe runs from 5 to 15.
    let handler = closure(|call: Call| async move {
        let row = call.batch.row(call.from);
        if (row.id(), row.attempt()) == ("orders/1", 1) {
            return answer(&call, |_| retry());
        }
        tokio::time::sleep(Duration::from_secs(if row.id() == "orders/2" { 7 } else { 10 })).await;
        all_done(&call)
    });
    let _host = Host::start(0, &broker, policy, handler);
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(called(&broker).len(), 3, "two, and the probe");
    assert!(broker.finished_within(120).await);
}

#[tokio::test(start_paused = true)]
async fn a_paused_subscription_calls_nobody_and_goes_on_where_it_was() {
    let broker = broker(Settling::Mark);
    let host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
    host.gate.pause();
    broker.append(&message("", "m"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!broker.history().events().iter().any(|(_, e)| matches!(e, Event::Called { .. })));
    host.gate.resume();
    assert!(broker.finished_within(1).await);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_let_go_does_not_keep_the_breaker_half_open() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.breaker = Some(Breaker { threshold: 1, reset_after: Duration::from_secs(5) });
    let handler = closure(|call: Call| async move {
        // The first try fails, the second, which is the probe, is stuck until its lane is taken away.
        match call.batch.row(call.from).attempt() {
            1 => answer(&call, |_| retry()),
            2 if STUCK.swap(false, Ordering::Relaxed) => std::future::pending().await,
            _ => all_done(&call),
        }
    });
    let _host = Host::start(0, &broker, policy, handler);
    assert!(broker.until(20, |b| called(b).len() == 2).await);
    broker.revoke(0, true);
    assert!(broker.finished_within(20).await);
}

/// Whether the probe is still to be stuck.
static STUCK: AtomicBool = AtomicBool::new(true);
