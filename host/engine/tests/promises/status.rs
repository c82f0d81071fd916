//! What whoever watches is told, and lanes that do not harm each other on their way out.

use std::time::Duration;

use longshore_core::{Call, Order};
use longshore_testkit::scripted::{Broker, Event, Faults, History, NewMessage, Personality, Random, Settling, closure};

use crate::support::{Host, policy};
use crate::{all_done, append, at_once, broker, called, ended, message};

#[tokio::test(start_paused = true)]
async fn the_oldest_open_message_is_told_until_it_is_settled() {
    let broker = broker(Settling::Mark);
    let handler = closure(|call: Call| async move {
        tokio::time::sleep(Duration::from_secs(if call.batch.row(call.from).id() == "orders/1" { 60 } else { 1 })).await;
        all_done(&call)
    });
    let host = Host::start(0, &broker, policy(&broker, None, Order::None), handler);
    assert_eq!(host.status.oldest_open_since(), None);
    let first = broker.history().now();
    broker.append(&message("", "slow"));
    assert!(broker.until(5, |b| called(b).len() == 1).await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    broker.append(&message("", "m"));
    assert!(broker.until(5, |b| ended(b) == [2]).await);
    assert_eq!(host.status.oldest_open_since(), Some(first), "a later success hides nothing");
    assert!(broker.finished_within(60).await);
    assert!(broker.until(1, |_| host.status.oldest_open_since().is_none()).await);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ended_and_is_not_settled_is_open() {
    let broker = broker(Settling::Mark);
    broker.set_faults(Faults { settle: 100, ..Faults::default() });
    let host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| all_done(call)));
    let first = broker.history().now();
    broker.append(&message("", "m"));
    assert!(broker.until(5, |b| called(b).len() == 1).await);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(host.status.oldest_open_since(), Some(first));
    let (since, what) = host.status.trouble().expect("nothing can be settled");
    assert!(since >= first && what.contains("settlement"), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_taken_away_ends_no_other_when_it_cannot_settle() {
    // Some brokers answer a late settlement with an error, some with nothing: the seeds have both.
    for seed in 0..8 {
        let personality = Personality { partitions: 2, ..Personality::plain(Settling::Mark) };
        let broker = Broker::new("home", personality, &History::default(), Random::new(seed));
        append(&broker, 2, |i| NewMessage { partition: i, ..message("", "m") });
        let slow = closure(|call: Call| async move {
            tokio::time::sleep(Duration::from_secs(if call.partition == Some(0) { 1 } else { 30 })).await;
            all_done(&call)
        });
        let mut policy = policy(&broker, None, Order::None);
        policy.retry.max_attempts = 1;
        let _host = Host::start(0, &broker, policy, slow);
        // Everything that goes wrong now goes wrong for good.
        assert!(broker.until(1, |b| called(b).len() == 2).await);
        broker.set_faults(Faults { reconnect: 100, settle: 100, ..Faults::default() });
        tokio::time::sleep(Duration::from_millis(999)).await;
        let assigned = |b: &Broker| b.history().events().iter().filter(|(_, e)| matches!(e, Event::Assigned { .. })).count();
        broker.revoke(0, true);
        tokio::time::sleep(Duration::from_millis(500)).await;
        broker.set_faults(Faults::default());
        assert!(broker.finished_within(20 + 60).await);
        assert_eq!(assigned(&broker), 3, "seed {seed}: the lost partition once more, and nothing else");
    }
}
