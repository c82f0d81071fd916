//! What is given up, and how.

use std::time::Duration;

use longshore_core::{Failure, Order, headers};
use longshore_testkit::scripted::{Broker, NewMessage, Settling, UNDECODABLE};

use crate::support::{DEAD_LETTERS, Host, policy};
use crate::{again, answer, at_once, broker, called, ended, message, retry};

fn reject(n: u32, which: u32) -> Option<Failure> {
    (n == which).then(|| Failure::Reject("cannot ever".into()))
}

#[tokio::test(start_paused = true)]
async fn a_failed_dead_letter_write_keeps_the_source_open() {
    for settling in [Settling::Transaction, Settling::Mark] {
        let broker = broker(settling);
        broker.set_dead_letters_down(true);
        broker.append(&message("", "bad"));
        let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| answer(call, |n| reject(n, 1))));
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(broker.unfinished(), [1], "{settling:?}");
        assert_eq!(called(&broker), [(1, 1)], "it is not handled again for that");
        broker.set_dead_letters_down(false);
        assert!(broker.finished_within(60).await);
        assert_eq!(broker.published(DEAD_LETTERS).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_the_original_with_facts_in_added_headers() {
    let broker = broker(Settling::Mark);
    let original = NewMessage {
        key: Some("k".into()),
        payload: vec![0, 159, 146, 150],
        headers: vec![("trace".into(), vec![1, 2, 255])],
        ..NewMessage::default()
    };
    broker.append(&original);
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| answer(call, |_| retry())));
    assert!(broker.finished_within(60).await);
    let dead = dead_letter(&broker);
    assert_eq!((dead.id.as_str(), dead.key, dead.payload), ("orders/1", Some(b"k".to_vec()), Some(original.payload)));
    assert_eq!(dead.headers[0], original.headers[0]);
    assert_eq!(dead.headers.iter().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX)).count(), 1);
}

fn dead_letter(broker: &Broker) -> longshore_testkit::scripted::Stored {
    let mut all = broker.published(DEAD_LETTERS);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test(start_paused = true)]
async fn attempts_count_one_two_three_and_then_it_is_dead() {
    let broker = broker(Settling::Transaction);
    broker.append(&message("", "m"));
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| answer(call, |_| retry())));
    assert!(broker.finished_within(60).await);
    assert_eq!(called(&broker), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(again(&broker), [(1, 2), (1, 3)]);
    assert_eq!(ended(&broker), [1]);
    let dead = dead_letter(&broker);
    assert_eq!(dead.header(headers::DEAD_REASON), Some("exhausted"));
    assert_eq!(dead.header(headers::DEAD_ATTEMPTS), Some("3"));
    assert_eq!(dead.header(headers::DEAD_CLASS), Some("retry"));
}

#[tokio::test(start_paused = true)]
async fn without_a_destination_a_dead_letter_is_gone_and_counted() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "bad"));
    let mut policy = policy(&broker, None, Order::None);
    policy.dead_letter.topic = None;
    let host = Host::start(0, &broker, policy, at_once(|call, _| answer(call, |n| reject(n, 1))));
    assert!(broker.finished_within(10).await);
    assert!(broker.until(1, |_| host.status.dead() == 1).await);
    assert!(broker.all_published().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_a_dead_letter_without_a_call_and_holds_nobody_up() {
    let lease = Settling::Lease { lease: Duration::from_secs(30), copies: false };
    for (order, settling) in [(Order::None, lease), (Order::Key, Settling::Transaction), (Order::Lane, Settling::Mark)] {
        let broker = broker(settling);
        broker.append(&message("k", "good"));
        broker.append(&NewMessage { headers: vec![(UNDECODABLE.into(), Vec::new())], ..message("k", "raw") });
        broker.append(&message("k", "good too"));
        let _host = Host::start(0, &broker, policy(&broker, None, order), at_once(|call, _| answer(call, |_| None)));
        assert!(broker.finished_within(60).await, "{settling:?}");
        assert_eq!(called(&broker), [(1, 1), (3, 1)], "{settling:?}");
        let dead = broker.published(DEAD_LETTERS);
        assert_eq!(
            dead.iter().map(|d| (d.id.as_str(), d.header(headers::DEAD_REASON))).collect::<Vec<_>>(),
            [("orders/2", Some("undecodable"))]
        );
    }
}
