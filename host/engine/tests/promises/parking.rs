//! Room for what can run, without bounds for nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::Order;
use longshore_testkit::scripted::{Broker, Event, Settling};

use crate::support::{Host, policy};
use crate::{answer, append, at_once, broker, ended, message, retry};

/// Messages that wait at the broker to come again, the failed first one aside.
fn parked(broker: &Broker) -> usize {
    let mut away = BTreeSet::new();
    for (_, event) in broker.history().events() {
        match event {
            Event::Settled { again, .. } => away.extend(again.into_iter().map(|(n, _, _)| n)),
            Event::Fetched { message, .. } => drop(away.remove(&message)),
            _ => {}
        }
    }
    away.remove(&1);
    away.len()
}

#[tokio::test(start_paused = true)]
async fn a_held_key_parks_so_many_messages_and_no_more() {
    let broker = broker(Settling::Transaction);
    append(&broker, 200, |_| message("a", "m"));
    let mut policy = policy(&broker, None, Order::Key);
    policy.subscribe.max_in_flight = 3;
    policy.retry.initial_delay = Duration::from_secs(3600);
    policy.retry.max_delay = Duration::from_secs(3600);
    let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    let host = Host::start(0, &broker, policy, fails_once);
    tokio::time::sleep(Duration::from_secs(3500)).await;
    let waiting = parked(&broker);
    assert!((30..=33).contains(&waiting), "{waiting} are parked, ten times what may be held");
    assert_eq!(host.status.in_flight(), 3, "it rests with what it may hold");
    assert!(broker.finished_within(7200).await, "{} are left", broker.unfinished().len());
    assert_eq!(ended(&broker), (1..=200).collect::<Vec<_>>());
}
