//! Lanes that come and go, and hosts that stop.

use std::time::Duration;

use longshore_core::{Call, Order};
use longshore_testkit::scripted::{Broker, Event, History, NewMessage, Personality, Random, Settling, closure};

use crate::support::{Host, policy};
use crate::{all_done, append, at_once, broker, called, ended, message, numbers};

fn partitions(count: usize) -> Broker {
    let personality = Personality { partitions: count, ..Personality::plain(Settling::Mark) };
    Broker::new("home", personality, &History::default(), Random::new(1))
}

fn slow(seconds: u64) -> impl longshore_core::Handler {
    closure(move |call: Call| async move {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        all_done(&call)
    })
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lane_settles_nothing_any_more() {
    let broker = partitions(1);
    append(&broker, 3, |_| message("", "m"));
    let _one = Host::start(0, &broker, policy(&broker, None, Order::None), slow(10));
    assert!(broker.until(5, |b| called(b).len() == 3).await);
    broker.revoke(0, true);
    let _two = Host::start(1, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
    assert!(broker.finished_within(60).await);
    let lost = broker.history().events().into_iter().find_map(|(_, e)| if let Event::Revoked { lane, .. } = e { Some(lane) } else { None });
    let by_lost = broker
        .history()
        .events()
        .into_iter()
        .filter(|(_, e)| matches!(e, Event::Settled { lane, ended, .. } if Some(*lane) == lost && !ended.is_empty()));
    assert_eq!(by_lost.count(), 0);
    let let_go = broker.history().events().into_iter().filter(|(_, e)| matches!(e, Event::Abandoned { .. })).count();
    assert_eq!(let_go, 3, "its calls were let go");
    assert_eq!(ended(&broker).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lane_gives_back_what_it_has_and_the_next_owner_starts_at_once() {
    let broker = partitions(2);
    append(&broker, 6, |i| NewMessage { partition: i, ..message("", "m") });
    let _one = Host::start(0, &broker, policy(&broker, None, Order::None), slow(100));
    assert!(broker.until(5, |b| !called(b).is_empty()).await);
    let _two = Host::start(1, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
    assert!(broker.until(3, |b| ended(b).len() == 3).await, "half of the partitions moved: {}", broker.history().render());
}

#[tokio::test(start_paused = true)]
async fn draining_hands_back_what_was_not_started() {
    let broker = broker(Settling::Transaction);
    append(&broker, 10, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.concurrency = 2;
    let mut host = Host::start(0, &broker, policy, slow(5));
    assert!(broker.until(3, |b| called(b).len() == 2).await);
    host.drain();
    assert_eq!(host.ended(10).await, Some(Ok(())));
    assert_eq!(called(&broker).len(), 2, "nothing new was started");
    assert_eq!(ended(&broker), [1, 2], "what ran was settled");
    assert!(broker.held().is_empty(), "the rest was handed back");
    assert!(broker.history().events().iter().any(|(_, e)| matches!(e, Event::LaneEnded { closed: true, .. })));
}

#[tokio::test(start_paused = true)]
async fn an_abort_lets_go_and_uses_no_attempt() {
    let broker = broker(Settling::Transaction);
    append(&broker, 4, |_| message("", "m"));
    let mut host = Host::start(0, &broker, policy(&broker, None, Order::None), slow(1_000));
    assert!(broker.until(3, |b| called(b).len() == 4).await);
    host.abort();
    assert_eq!(host.ended(5).await, Some(Ok(())));
    let _next = Host::start(1, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
    assert!(broker.finished_within(5).await);
    assert!(called(&broker).iter().all(|(_, attempt)| *attempt == 1));
}

#[tokio::test(start_paused = true)]
async fn one_slow_lane_does_not_starve_another() {
    let broker = partitions(2);
    let stuck_on_first = || {
        closure(|call: Call| async move {
            if call.partition == Some(0) {
                tokio::time::sleep(Duration::from_secs(3_600)).await;
            }
            all_done(&call)
        })
    };
    append(&broker, 40, |_| message("", "slow"));
    let mut policy = policy(&broker, None, Order::Lane);
    policy.subscribe.max_in_flight = 10;
    let _host = Host::start(0, &broker, policy, stuck_on_first());
    assert!(broker.until(5, |b| !called(b).is_empty()).await);
    append(&broker, 40, |_| NewMessage { partition: 1, ..message("", "fast") });
    assert!(broker.until(30, |b| ended(b).len() == 40).await, "only {:?} ended", ended(&broker));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_stays_within_its_bounds() {
    let broker = broker(Settling::Mark);
    append(&broker, 50, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    (policy.concurrency, policy.subscribe.max_in_flight) = (3, 7);
    let host = Host::start(0, &broker, policy, slow(1));
    let (mut most_held, mut most_calls) = (0, 0);
    while !broker.unfinished().is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most_held = most_held.max(host.status.in_flight());
        let (calls, answers) = broker.history().events().iter().fold((0, 0), |(c, a), (_, e)| match e {
            Event::Called { .. } => (c + 1, a),
            Event::Answered { .. } => (c, a + 1),
            _ => (c, a),
        });
        most_calls = most_calls.max(calls - answers);
    }
    assert_eq!((most_held, most_calls), (7, 3));
    assert_eq!(numbers_in_order(&broker), (1..=50).collect::<Vec<_>>());
}

fn numbers_in_order(broker: &Broker) -> Vec<u32> {
    let mut all = ended(broker);
    all.sort_unstable();
    all
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_gets_one_message_a_call_and_all_its_concurrency() {
    let broker = broker(Settling::Mark);
    append(&broker, 40, |_| message("", "m"));
    let _host = Host::start(
        0,
        &broker,
        policy(&broker, None, Order::None),
        closure(|call: Call| async move {
            assert_eq!(numbers(&call).len(), 1);
            tokio::time::sleep(Duration::from_millis(50)).await;
            all_done(&call)
        }),
    );
    assert!(broker.finished_within(1).await, "40 messages by four at once in half a second");
}
