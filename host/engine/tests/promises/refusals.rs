//! What a broker refuses for good: outputs, what follows them in their key, and dead letters.

use std::sync::Mutex;
use std::time::Duration;

use longshore_core::{Call, Crash, Delivery, Destination, Done, Failure, NewOutput, Order, Outputs, headers};
use longshore_testkit::scripted::{Broker, Event, History, NewMessage, Personality, Random, Settling, closure};

use crate::outputs::death;
use crate::support::{DEAD_LETTERS, FAR, Host, OUT, policy};
use crate::{again, all_done, answer, append, at_once, broker, called, ended, message, numbers};

/// Every message of the call answers one output to `to` with these headers.
fn answering(call: &Call, to: Destination<'_>, headers: &[(&str, &[u8])]) -> Result<Done, Crash> {
    let handled = u32::try_from(call.len()).expect("few");
    let mut rows = Vec::new();
    for origin in 0..handled {
        let headers = headers.iter().copied();
        NewOutput { origin, destination: to, key: None, payload: Some(b"p"), headers, delay: 0 }.append(&mut rows);
    }
    Ok(Done { handled, failures: Vec::new(), outputs: Outputs::check(rows, handled).expect("just packed") })
}

#[tokio::test(start_paused = true)]
async fn an_output_with_a_header_of_dead_letters_fails_its_message_with_class_output() {
    let broker = broker(Settling::Transaction);
    broker.append(&message("", "m"));
    let forges = at_once(|call, _| answering(call, Destination::Topic(OUT), &[(headers::DEAD_GROUP, b"another")]));
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), forges);
    assert!(broker.finished_within(60).await);
    let (class, what) = death(&broker);
    assert_eq!(class, "output");
    assert!(what.contains(headers::DEAD_GROUP), "{what}");
    assert!(broker.published(OUT).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_output_may_pass_any_other_header_of_ours_on() {
    let broker = broker(Settling::Transaction);
    broker.append(&message("", "m"));
    let forwards = at_once(|call, _| answering(call, Destination::Topic(OUT), &[(headers::REPLY_TO, b"_inbox.7")]));
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), forwards);
    assert!(broker.finished_within(60).await);
    assert_eq!(broker.published(OUT)[0].header(headers::REPLY_TO), Some("_inbox.7"));
}

#[tokio::test(start_paused = true)]
async fn a_reply_goes_to_an_address_of_the_broker_and_nowhere_else() {
    let broker = broker(Settling::Mark);
    let asking = |to: &str| NewMessage { headers: vec![(headers::REPLY_TO.into(), to.into())], ..message("", "m") };
    broker.append(&asking("_inbox.7"));
    broker.append(&asking("payroll"));
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| answering(call, Destination::Reply, &[])));
    assert!(broker.finished_within(60).await);
    assert_eq!(broker.published("_inbox.7").len(), 1);
    assert!(broker.published("payroll").is_empty(), "a header grants nothing");
    let (class, what) = death(&broker);
    assert!(class == "output" && what.contains("payroll"), "{class}: {what}");
}

#[tokio::test(start_paused = true)]
async fn outputs_to_another_broker_leave_once_though_their_own_broker_refuses_others() {
    let history = History::default();
    let home = Broker::new("home", Personality::plain(Settling::Transaction), &history, Random::new(1));
    let far = Broker::new("away", Personality::plain(Settling::Mark), &history, Random::new(2));
    append(&home, 3, |_| message("", "m"));
    home.refuse("orders/2/0");
    let mut policy = policy(&home, Some(&far), Order::None);
    policy.retry.max_attempts = 1;
    policy.batching = longshore_core::Batching::Fixed { max_messages: 3, max_wait: Duration::from_millis(5) };
    let both = at_once(|call, _| {
        let handled = u32::try_from(call.len()).expect("few");
        let mut rows = Vec::new();
        for origin in 0..handled {
            for topic in [OUT, FAR] {
                let headers: [(&str, &[u8]); 0] = [];
                let destination = Destination::Topic(topic);
                NewOutput { origin, destination, key: None, payload: Some(b"p"), headers, delay: 0 }.append(&mut rows);
            }
        }
        Ok(Done { handled, failures: Vec::new(), outputs: Outputs::check(rows, handled).expect("just packed") })
    });
    let _host = Host::start(0, &home, policy, both);
    assert!(home.finished_within(60).await);
    let mut out: Vec<String> = far.published(FAR).into_iter().map(|m| m.id).collect();
    out.sort();
    assert_eq!(out, ["orders/1/1", "orders/2/1", "orders/3/1"]);
}

/// Message 1 answers an output, the others none; calls but the first take so many seconds.
fn first_publishes(seconds: u64) -> impl longshore_core::Handler {
    closure(move |call: Call| async move {
        if numbers(&call) == [1] {
            return answering(&call, Destination::Topic(OUT), &[]);
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        all_done(&call)
    })
}

/// Order in which messages were done after the output of message 1 was refused once, when each later call takes so many seconds.
async fn order_after_a_refusal(order: Order, settling: Settling, seconds: u64) -> Vec<u32> {
    // Latencies are drawn, so that later messages are called while the first is with the broker.
    let personality = Personality { instant: false, ..Personality::plain(settling) };
    let broker = Broker::new("home", personality, &History::default(), Random::new(3));
    append(&broker, 4, |_| message("a", "m"));
    broker.refuse("orders/1/0");
    let mut policy = policy(&broker, None, order);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 1, max_wait: Duration::ZERO };
    policy.retry.max_attempts = 3;
    policy.retry.initial_delay = Duration::from_secs(60);
    let _host = Host::start(0, &broker, policy, first_publishes(seconds));
    assert!(broker.finished_within(3600).await);
    assert!(again(&broker).iter().all(|(n, attempt)| *n == 1 || *attempt == 1), "those behind it are not charged");
    ended(&broker)
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_refused_output_in_its_key_comes_again_behind_it() {
    for settling in [Settling::Transaction, Settling::Mark] {
        for order in [Order::Key, Order::Lane] {
            for seconds in [0, 5] {
                assert_eq!(order_after_a_refusal(order, settling, seconds).await, [1, 2, 3, 4], "{settling:?} {order:?} {seconds} s");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_too_large_with_its_facts_is_written_with_fewer() {
    for settling in [Settling::Transaction, Settling::Mark] {
        let broker = broker(settling);
        let large = NewMessage { payload: vec![7; 1000], ..message("k", "") };
        broker.append(&large);
        broker.append(&message("", "good"));
        broker.refuse_above(Some(1400));
        let long = "because ".repeat(60);
        let rejects = at_once(move |call, _| answer(call, |n| (n == 1).then(|| Failure::Reject(long.clone()))));
        let _host = Host::start(0, &broker, policy(&broker, None, Order::None), rejects);
        assert!(broker.finished_within(60).await, "{settling:?}: {}", broker.history().render());
        let dead = broker.published(DEAD_LETTERS);
        assert_eq!(dead.len(), 1, "{settling:?}");
        assert_eq!(dead[0].payload, Some(large.payload), "the original is whole");
        let names: Vec<&str> = dead[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [headers::DEAD_REASON, headers::DEAD_CLASS, headers::DEAD_TOPIC, headers::DEAD_GROUP, headers::DEAD_ID]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_for_good_is_shown_and_loses_nothing() {
    for settling in [Settling::Transaction, Settling::Mark] {
        let broker = broker(settling);
        broker.append(&NewMessage { payload: vec![7; 1000], ..message("", "") });
        append(&broker, 5, |_| message("", "good"));
        broker.refuse_above(Some(900));
        let rejects = || at_once(|call, _| answer(call, |n| (n == 1).then(|| Failure::Reject("bad".into()))));
        let host = Host::start(0, &broker, policy(&broker, None, Order::None), rejects());
        assert!(broker.until(600, |_| host.status.trouble().is_some()).await);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let (_, what) = host.status.trouble().expect("it stays in trouble");
        assert!(what.contains(DEAD_LETTERS) && what.contains("orders/1") && what.contains("`dead-letter`"), "{what}");
        assert!(broker.unfinished().contains(&1), "never dropped");
        assert!(host.status.oldest_open_since().is_some(), "and seen to be open");
        broker.refuse_above(None);
        assert!(broker.finished_within(60).await);
        assert_eq!((ended(&broker).len(), broker.published(DEAD_LETTERS).len()), (6, 1), "{settling:?}");
        assert!(broker.until(60, |_| host.status.trouble().is_none()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_several_is_not_called_again_at_most_once() {
    let broker = broker(Settling::Transaction);
    append(&broker, 3, |_| message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.delivery = Delivery::AtMostOnce;
    policy.batching = longshore_core::Batching::Fixed { max_messages: 3, max_wait: Duration::from_millis(5) };
    let _host = Host::start(0, &broker, policy, at_once(|_, _| Err(Crash::Trap("unreachable".into()))));
    assert!(broker.until(60, |b| b.published(DEAD_LETTERS).len() == 3).await);
    assert_eq!(called(&broker), [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_endless_snooze_ends_with_the_messages_age() {
    let broker = broker(Settling::Mark);
    broker.append(&message("a", "m"));
    let mut policy = policy(&broker, None, Order::Key);
    policy.retry.max_age = Duration::from_secs(3600);
    let _host =
        Host::start(0, &broker, policy, at_once(|call, _| answer(call, |_| Some(Failure::Snooze(Duration::from_millis(u64::MAX))))));
    assert!(broker.finished_within(3700).await, "it is dead when it is an hour old");
    assert_eq!(broker.published(DEAD_LETTERS)[0].header(headers::DEAD_REASON), Some("expired"));
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_held_back_is_not_expired_by_its_age() {
    let broker = broker(Settling::Transaction);
    append(&broker, 3, |_| message("a", "m"));
    // An old backlog: everything is older than it may be when it is handled first.
    tokio::time::sleep(Duration::from_secs(7200)).await;
    let mut policy = policy(&broker, None, Order::Key);
    (policy.retry.max_age, policy.retry.max_attempts) = (Duration::from_secs(3600), 1);
    policy.batching = longshore_core::Batching::Fixed { max_messages: 3, max_wait: Duration::from_millis(5) };
    // As an SDK does: what follows a failed message of its key is not tried.
    let calls = Mutex::new(0);
    let held_back = at_once(move |call, _| {
        *calls.lock().expect("no panic") += 1;
        answer(call, |n| match n {
            1 => Some(Failure::Retry("flaky".into())),
            _ if numbers(call).contains(&1) => Some(Failure::Snooze(Duration::ZERO)),
            _ => None,
        })
    });
    let _host = Host::start(0, &broker, policy, held_back);
    assert!(broker.finished_within(60).await);
    let dead: Vec<String> = broker.published(DEAD_LETTERS).into_iter().map(|d| d.id).collect();
    assert_eq!(dead, ["orders/1"], "the exhausted head alone");
    assert!(broker.history().events().iter().any(|(_, e)| matches!(e, Event::Called { messages, .. } if messages.len() == 3)));
}

#[tokio::test(start_paused = true)]
async fn what_left_is_counted_once_by_the_broker_it_left_through() {
    for settling in [Settling::Transaction, Settling::Mark] {
        let history = History::default();
        let home = Broker::new("home", Personality::plain(settling), &history, Random::new(1));
        let far = Broker::new("away", Personality::plain(Settling::Mark), &history, Random::new(2));
        append(&home, 3, |_| message("", "m"));
        // Message 1 publishes to each broker, 2 fails with an output that is dropped, 3 is dead.
        let handler = at_once(|call, time| {
            let mut done = answer(call, |n| match n {
                2 if time(n) == 1 => Some(Failure::Retry("flaky".into())),
                3 => Some(Failure::Reject("bad".into())),
                _ => None,
            })?;
            let mut rows = Vec::new();
            for (origin, _) in (0..).zip(numbers(call)).filter(|(_, n)| *n == 1 || (*n == 2 && time(2) == 1)) {
                for topic in [OUT, FAR, FAR] {
                    let headers: [(&str, &[u8]); 0] = [];
                    let destination = Destination::Topic(topic);
                    NewOutput { origin, destination, key: None, payload: Some(b"p"), headers, delay: 0 }.append(&mut rows);
                }
            }
            done.outputs = Outputs::check(rows, done.handled).expect("just packed");
            Ok(done)
        });
        let mut host = Host::start(0, &home, policy(&home, Some(&far), Order::None), handler);
        assert!(home.finished_within(60).await);
        host.drain();
        assert_eq!(host.ended(5).await, Some(Ok(())));
        let mut registry = prometheus_client::registry::Registry::default();
        host.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes everything");
        let mut counts: Vec<&str> = text.lines().filter(|l| l.starts_with("messaging_messages_published_total{")).collect();
        counts.sort_unstable();
        let line = |broker, n| format!("messaging_messages_published_total{{broker=\"{broker}\",handler=\"test\",outcome=\"ok\"}} {n}");
        assert_eq!(counts, [line("away", 2), line("home", 2)], "{settling:?}: an output and a dead letter at home");
    }
}
