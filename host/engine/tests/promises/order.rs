//! Order by key and by lane.

use std::time::Duration;

use longshore_core::{Call, Order};
use longshore_testkit::scripted::{Event, Settling, closure};

use crate::support::{Host, policy};
use crate::{again, all_done, answer, append, at_once, broker, called, ended, message, retry};

#[tokio::test(start_paused = true)]
async fn a_waiting_retry_holds_its_key_and_nothing_else() {
    let broker = broker(Settling::Transaction);
    for key in ["a", "a", "b", "", "b"] {
        broker.append(&message(key, "m"));
    }
    let mut policy = policy(&broker, None, Order::Key);
    policy.retry.initial_delay = Duration::from_secs(10);
    let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, fails_once);
    assert!(broker.until(5, |b| ended(b).len() == 3).await);
    assert_eq!(broker.unfinished(), [1, 2], "the second of its key waits with it");
    assert!(!called(&broker).contains(&(2, 1)) || again(&broker).contains(&(2, 1)));
    assert!(broker.finished_within(30).await);
    let order: Vec<u32> = ended(&broker).into_iter().filter(|n| *n <= 2).collect();
    assert_eq!(order, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_retry_holds_its_key_over_a_restart() {
    let broker = broker(Settling::Mark);
    broker.append(&message("a", "m"));
    let mut policy = policy(&broker, None, Order::Key);
    policy.retry.initial_delay = Duration::from_secs(20);
    let host = Host::start(0, &broker, policy.clone(), at_once(|call, _| answer(call, |_| retry())));
    assert!(broker.until(5, |b| again(b) == [(1, 2)]).await);
    host.kill().await;
    broker.append(&message("a", "later"));
    let _host = Host::start(0, &broker, policy, at_once(|call, _| all_done(call)));
    assert!(broker.finished_within(60).await);
    assert_eq!(called(&broker), [(1, 1), (1, 2), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_behind_a_held_key_parks_and_goes_on() {
    let broker = broker(Settling::Transaction);
    append(&broker, 6, |_| message("a", "m"));
    append(&broker, 3, |_| message("b", "m"));
    let mut policy = policy(&broker, None, Order::Key);
    policy.subscribe.max_in_flight = 3;
    policy.retry.initial_delay = Duration::from_secs(30);
    let fails_once = at_once(|call, time| answer(call, |n| if n == 1 && time(n) == 1 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, fails_once);
    assert!(broker.until(20, |b| [7, 8, 9].iter().all(|n| ended(b).contains(n))).await, "the other key went on");
    assert!(broker.unfinished().contains(&1));
    assert!(broker.finished_within(120).await);
    let order: Vec<u32> = ended(&broker).into_iter().filter(|n| *n <= 6).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 6]);
    assert!(again(&broker).iter().all(|(n, attempt)| *n == 1 || *attempt == 1), "parking uses no attempt");
}

#[tokio::test(start_paused = true)]
async fn a_full_ordered_lane_gets_its_retry_all_the_same() {
    let broker = broker(Settling::Mark);
    append(&broker, 8, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::Lane);
    policy.subscribe.max_in_flight = 2;
    let fails_once = at_once(|call, time| answer(call, |n| if time(n) == 1 { retry() } else { None }));
    let _host = Host::start(0, &broker, policy, fails_once);
    assert!(broker.finished_within(120).await);
    assert_eq!(ended(&broker), (1..=8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn keys_run_in_parallel_and_a_key_is_in_one_call_at_a_time() {
    let broker = broker(Settling::Transaction);
    for i in 0..12 {
        broker.append(&message(["a", "b", "c"][i % 3], "m"));
    }
    let slow = closure(|call: Call| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        all_done(&call)
    });
    let mut policy = policy(&broker, None, Order::Key);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 1, max_wait: Duration::ZERO };
    let _host = Host::start(0, &broker, policy, slow);
    assert!(broker.finished_within(60).await);
    let (mut running, mut most) = (Vec::new(), 0);
    for (_, event) in broker.history().events() {
        match event {
            Event::Called { call, messages, .. } => {
                let key = messages[0].0 % 3;
                assert!(running.iter().all(|(_, k)| *k != key), "key {key} is in two calls");
                running.push((call, key));
                most = most.max(running.len());
            }
            Event::Answered { call, .. } => running.retain(|(c, _)| *c != call),
            _ => {}
        }
    }
    assert_eq!(most, 3);
}
