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
    for seed in 0..20 {
        let personality = Personality { partitions: 2, instant: false, ..Personality::plain(Settling::Mark) };
        let broker = Broker::new("home", personality, &History::default(), Random::new(seed));
        append(&broker, 2, |i| NewMessage { partition: i, ..message("", "m") });
        let slow = closure(|call: Call| async move {
            tokio::time::sleep(Duration::from_secs(if call.partition == Some(0) { 1 } else { 30 })).await;
            all_done(&call)
        });
        let _host = Host::start(0, &broker, policy(&broker, None, Order::None), slow);
        assert!(broker.until(1, |b| called(b).len() == 2).await);
        let lane = assigned(&broker).into_iter().position(|partition| partition == 0).expect("both are assigned");
        // The lane is lost while its settlement is on its way; what is wrong from now on is wrong for good.
        broker.set_faults(Faults { reconnect: 100, slow: 100, ..Faults::default() });
        let answered = |b: &Broker| b.history().events().iter().any(|(_, e)| matches!(e, Event::Answered { .. }));
        assert!(broker.until(5, answered).await);
        broker.revoke(lane, true);
        tokio::time::sleep(Duration::from_secs(6)).await;
        broker.set_faults(Faults::default());
        assert!(broker.finished_within(120).await);
        assert_eq!(assigned(&broker).len(), 3, "seed {seed}: the lost partition once more, and nothing else");
    }
}

/// Partitions, as lanes of them were assigned.
fn assigned(broker: &Broker) -> Vec<usize> {
    let events = broker.history().events().into_iter();
    events.filter_map(|(_, e)| if let Event::Assigned { partition, .. } = e { Some(partition as usize) } else { None }).collect()
}
