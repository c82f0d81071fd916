//! What is settled, when, and what is not.

use std::time::Duration;

use longshore_core::{Call, Delivery, Order};
use longshore_testkit::scripted::{Broker, Event, Faults, History, Personality, Random, Settling, closure};

use crate::support::{Host, policy};
use crate::{again, all_done, answer, append, at_once, broker, called, ended, message, retry};

#[tokio::test(start_paused = true)]
async fn a_later_success_never_commits_past_an_earlier_failure() {
    let broker = broker(Settling::Mark);
    append(&broker, 5, |_| message("", "m"));
    let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    // The first message is stuck while the others are done.
    let mut host = Host::start(0, &broker, policy(&broker, None, Order::None), slow_first(fails_once));
    assert!(broker.until(5, |b| ended(b) == [2, 3, 4, 5]).await, "{}", broker.history().render());
    assert_eq!(broker.unfinished(), [1], "the mark did not pass it");
    assert!(broker.finished_within(60).await);
    assert_eq!(again(&broker), [(1, 2)]);
    host.drain();
    assert_eq!(host.ended(5).await, Some(Ok(())));
}

/// Message 1 takes ten seconds the first time.
fn slow_first(handler: impl longshore_core::Handler) -> impl longshore_core::Handler {
    let handler = std::sync::Arc::new(handler);
    closure(move |call: Call| {
        let handler = std::sync::Arc::clone(&handler);
        async move {
            if call.batch.row(call.from).attempt() == 1 && crate::numbers(&call).contains(&1) {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            handler.handle(call).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn host_trouble_uses_no_attempt() {
    let broker = broker(Settling::Transaction);
    append(&broker, 3, |_| message("", "m"));
    let troubled = at_once(|call, time| {
        let first = crate::numbers(call)[0];
        if time(first) < 4 { Err(longshore_core::Crash::Host("the store is away".into())) } else { all_done(call) }
    });
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), troubled);
    assert!(broker.finished_within(60).await);
    assert!(called(&broker).len() > 3);
    assert!(called(&broker).iter().all(|(_, attempt)| *attempt == 1));
    assert!(again(&broker).is_empty(), "nothing went back to the broker for it");
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_took_effect_and_failed_is_settled_again_without_harm() {
    for settling in [Settling::Transaction, Settling::Mark] {
        let broker = broker(settling);
        broker.set_faults(Faults { settle: 60, ..Faults::default() });
        append(&broker, 20, |_| message("", "m"));
        let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
        assert!(broker.finished_within(600).await);
        let mut each = ended(&broker);
        each.sort_unstable();
        assert_eq!(each, (1..=20).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn leases_of_everything_held_are_extended() {
    let lease = Duration::from_secs(3);
    let broker = broker(Settling::Lease { lease, copies: false });
    append(&broker, 5, |_| message("", "m"));
    let slow = closure(|call: Call| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        all_done(&call)
    });
    let mut policy = policy(&broker, None, Order::None);
    policy.concurrency = 1;
    let _host = Host::start(0, &broker, policy, slow);
    assert!(broker.finished_within(200).await);
    let events = broker.history().events();
    assert!(!events.iter().any(|(_, e)| matches!(e, Event::LeaseExpired { .. })), "started or only buffered, nothing ran out");
    assert_eq!(called(&broker).len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_idle_lane_still_settles_after_many_leases() {
    let lease = Duration::from_secs(3);
    let broker = broker(Settling::Lease { lease, copies: false });
    let policy = policy(&broker, None, Order::None);
    let _host = Host::start(0, &broker, policy, at_once(|call, _| all_done(call)));
    tokio::time::sleep(lease * 10).await;
    broker.append(&message("", "m"));
    assert!(broker.finished_within(2).await);
    let lost = broker.history().events().into_iter().filter(|(_, e)| matches!(e, Event::LaneEnded { .. })).count();
    assert_eq!(lost, 0, "it has its acks all the time");
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_settled_keeps_its_lease() {
    let lease = Duration::from_secs(3);
    let broker = broker(Settling::Lease { lease, copies: false });
    broker.append(&message("", "m"));
    broker.set_dead_letters_down(true);
    let policy = policy(&broker, None, Order::None);
    let rejects = at_once(|call, _| answer(call, |_| Some(longshore_core::Failure::Reject("bad".into()))));
    let _host = Host::start(0, &broker, policy, rejects);
    tokio::time::sleep(Duration::from_secs(60)).await;
    broker.set_dead_letters_down(false);
    assert!(broker.finished_within(60).await);
    assert_eq!(called(&broker), [(1, 1)], "nobody else got it meanwhile");
}

#[tokio::test(start_paused = true)]
async fn at_most_once_calls_nothing_that_became_anothers_before_it_was_settled() {
    // Answers take longer than the lease, so that most settlements come too late.
    let personality =
        Personality { instant: false, ..Personality::plain(Settling::Lease { lease: Duration::from_secs(2), copies: false }) };
    let broker = Broker::new("home", personality, &History::default(), Random::new(7));
    broker.set_faults(Faults { slow: 60, ..Faults::default() });
    append(&broker, 40, |_| message("", "m"));
    let mut hosts = Vec::new();
    for number in 0..2 {
        let mut policy = policy(&broker, None, Order::None);
        (policy.delivery, policy.subscribe.max_in_flight) = (Delivery::AtMostOnce, 5);
        hosts.push(Host::start(number, &broker, policy, at_once(|call, _| all_done(call))));
    }
    assert!(broker.finished_within(600).await);
    for host in &mut hosts {
        host.drain();
        assert_eq!(host.ended(60).await, Some(Ok(())));
        assert_eq!(host.status.in_flight(), 0);
    }
    let late = broker.history().events().into_iter().filter(|(_, e)| matches!(e, Event::Settled { stale: 1.., .. })).count();
    assert!(late > 0, "none came too late, and nothing is shown");
    let mut calls = called(&broker);
    calls.sort_unstable();
    assert_eq!(calls, (1..=40).map(|n| (n, 1)).collect::<Vec<_>>(), "each by the one who settled it");
}

#[tokio::test(start_paused = true)]
async fn at_most_once_settles_before_it_calls_and_calls_what_is_settled_to_the_end() {
    let broker = broker(Settling::Mark);
    append(&broker, 10, |_| message("", "m"));
    let slow = closure(|call: Call| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        answer(&call, |n| if n % 2 == 0 { retry() } else { None })
    });
    let mut policy = policy(&broker, None, Order::None);
    (policy.delivery, policy.concurrency) = (Delivery::AtMostOnce, 2);
    let mut host = Host::start(0, &broker, policy, slow);
    assert!(broker.until(10, |b| !called(b).is_empty()).await);
    assert_eq!(ended(&broker).len(), 10);
    host.drain();
    assert_eq!(host.ended(20).await, Some(Ok(())));
    let mut calls = called(&broker);
    calls.sort_unstable();
    assert_eq!(calls, (1..=10).map(|n| (n, 1)).collect::<Vec<_>>(), "each once, none lost to the drain");
    assert_eq!(broker.published(crate::support::DEAD_LETTERS).len(), 5, "what failed is given up");
}
