//! Calls that bring no answer, and hosts that die.

use std::time::Duration;

use longshore_core::{Call, Crash, Order, headers};
use longshore_testkit::scripted::{Event, Settling, closure};

use crate::support::{DEAD_LETTERS, Host, policy};
use crate::{all_done, append, at_once, broker, called, ended, message, numbers};

#[tokio::test(start_paused = true)]
async fn a_poison_message_in_a_batch_harms_only_itself() {
    let broker = broker(Settling::Transaction);
    append(&broker, 9, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 9, max_wait: Duration::from_millis(5) };
    let traps = at_once(|call, _| if numbers(call).contains(&4) { Err(Crash::Trap("unreachable".into())) } else { all_done(call) });
    let _host = Host::start(0, &broker, policy, traps);
    assert!(broker.finished_within(60).await);
    assert_eq!(called(&broker).iter().filter(|(n, attempt)| *n != 4 && *attempt != 1).count(), 0, "no other was charged");
    assert_eq!(called(&broker).iter().filter(|(n, _)| *n == 4).map(|(_, a)| *a).collect::<Vec<_>>(), [1, 1, 2, 3]);
    let dead = broker.published(DEAD_LETTERS);
    assert_eq!(dead.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["orders/4"]);
    assert_eq!(dead[0].header(headers::DEAD_CLASS), Some("trap"));
}

#[tokio::test(start_paused = true)]
async fn a_partial_answer_charges_nobody_who_was_not_tried() {
    let broker = broker(Settling::Mark);
    append(&broker, 9, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 9, max_wait: Duration::from_millis(5) };
    let one_each = at_once(|call, _| all_done(call).map(|done| longshore_core::Done { handled: 1, ..done }));
    let _host = Host::start(0, &broker, policy, one_each);
    assert!(broker.finished_within(60).await);
    assert!(called(&broker).iter().all(|(_, attempt)| *attempt == 1));
    assert_eq!(ended(&broker), (1..=9).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_kills_hosts_ends_as_crashed_and_harms_no_other() {
    let broker = broker(Settling::Transaction);
    append(&broker, 6, |_| message("", "m"));
    // A call with the deadly message never comes back; its host is killed over it.
    let handler = || {
        closure(|call: Call| async move {
            if numbers(&call).contains(&3) {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            all_done(&call)
        })
    };
    let mut policy = policy(&broker, None, Order::None);
    (policy.concurrency, policy.max_deliveries) = (1, 2);
    for _ in 0..12 {
        let host = Host::start(0, &broker, policy.clone(), handler());
        if broker.finished_within(10).await {
            break;
        }
        host.kill().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(broker.unfinished().is_empty(), "{}", broker.history().render());
    let dead = broker.published(DEAD_LETTERS);
    assert_eq!(dead.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["orders/3"]);
    assert_eq!(dead[0].header(headers::DEAD_REASON), Some("crashed"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_survives_the_death_of_its_host() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "m"));
    let fails = || at_once(|call, _| crate::answer(call, |_| crate::retry()));
    let host = Host::start(0, &broker, policy(&broker, None, Order::None), fails());
    assert!(broker.until(5, |b| crate::again(b) == [(1, 2)]).await);
    host.kill().await;
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), fails());
    assert!(broker.finished_within(60).await);
    assert_eq!(called(&broker).into_iter().map(|(_, a)| a).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_never_early() {
    let broker = broker(Settling::Transaction);
    broker.append(&message("", "m"));
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| crate::answer(call, |_| crate::retry())));
    assert!(broker.finished_within(60).await);
    let events = broker.history().events().into_iter();
    let times: Vec<u64> = events.filter(|(_, e)| matches!(e, Event::Called { .. })).map(|(t, _)| t).collect();
    assert!(times[1] - times[0] >= 200 && times[2] - times[1] >= 400, "{times:?}");
}
