use std::sync::Arc;

use longshore_core::{Batch, Facts, Message, Outputs, Receipt};
use proptest::prelude::*;

use super::*;
use crate::order::Queue;

const NOW: u64 = 1_000_000;

/// A call of messages given as (key, attempt).
fn call(messages: &[(&str, u32)]) -> Picked {
    let mut batch = Batch::default();
    for (i, (key, attempt)) in messages.iter().enumerate() {
        let key = (!key.is_empty()).then_some(key.as_bytes());
        let headers: [(&str, &[u8]); 0] = [];
        let message = Message { id: "id", topic: "t", key, payload: Some(b"p"), headers, timestamp: NOW - 10, attempt: *attempt };
        batch.push(&message, Receipt { position: i as u64 + 1, token: &[] }, Facts::default());
    }
    let mut queue = Queue::new(Order::None, &[]);
    queue.push(&Arc::new(batch), 0, messages.len(), 0, false);
    queue.pick(usize::MAX).expect("there are messages")
}

fn judge(picked: &Picked, order: Order, result: Result<Done, Crash>) -> Verdicts {
    let retry = RetryPolicy { max_attempts: 3, jitter: 0.0, ..RetryPolicy::default() };
    let mut random = Random::new(1);
    Judge { retry: &retry, order, once: false, now: NOW, random: &mut random }.call(picked, &result, &[])
}

fn done(handled: u32, failures: &[(u32, Failure)]) -> Result<Done, Crash> {
    Ok(Done { handled, failures: failures.to_vec(), outputs: Outputs::default() })
}

fn short(verdicts: Verdicts) -> Vec<&'static str> {
    let Verdicts::Each(each) = verdicts else { return vec!["all"] };
    each.iter()
        .map(|v| match v {
            Verdict::Done => "done",
            Verdict::Duplicate => "duplicate",
            Verdict::Discard(_) => "discard",
            Verdict::Again { counted: true, .. } => "again",
            Verdict::Again { .. } => "later",
            Verdict::Dead(reason, _) => reason.name(),
            Verdict::Requeue { alone: true } => "alone",
            Verdict::Requeue { .. } => "requeue",
        })
        .collect()
}

#[test]
fn every_outcome_has_its_verdict() {
    let picked = call(&[("", 1), ("", 1), ("", 3), ("", 1), ("", 1), ("", 1)]);
    let failures = [
        (1, Failure::Retry("r".into())),
        (2, Failure::Retry("r".into())),
        (3, Failure::Reject("r".into())),
        (4, Failure::Discard("d".into())),
        (5, Failure::Snooze(Duration::from_secs(1))),
    ];
    assert_eq!(short(judge(&picked, Order::None, done(6, &failures))), ["done", "again", "exhausted", "rejected", "discard", "later"]);
}

#[test]
fn untried_messages_come_again_with_no_attempt_used() {
    let picked = call(&[("", 1), ("", 1), ("", 1)]);
    assert_eq!(short(judge(&picked, Order::None, done(1, &[]))), ["done", "requeue", "requeue"]);
}

#[test]
fn a_later_message_of_a_failed_ones_key_runs_again_with_it() {
    let picked = call(&[("a", 1), ("b", 1), ("a", 1), ("b", 1)]);
    let failures = [(0, Failure::Retry("r".into()))];
    assert_eq!(short(judge(&picked, Order::Key, done(4, &failures))), ["again", "done", "requeue", "done"]);
    assert_eq!(short(judge(&picked, Order::Lane, done(4, &failures))), ["again", "requeue", "requeue", "requeue"]);
}

#[test]
fn a_dead_letter_does_not_hold_its_key() {
    let picked = call(&[("a", 3), ("a", 1)]);
    assert_eq!(short(judge(&picked, Order::Key, done(2, &[(0, Failure::Retry("r".into()))]))), ["exhausted", "done"]);
}

#[test]
fn a_crash_of_several_charges_none_of_them() {
    let picked = call(&[("", 1), ("", 3)]);
    assert_eq!(short(judge(&picked, Order::None, Err(Crash::Trap("t".into())))), ["alone", "alone"]);
}

#[test]
fn a_crash_alone_uses_an_attempt() {
    assert_eq!(short(judge(&call(&[("", 1)]), Order::None, Err(Crash::Trap("t".into())))), ["again"]);
    assert_eq!(short(judge(&call(&[("", 3)]), Order::None, Err(Crash::Memory("m".into())))), ["exhausted"]);
}

#[test]
fn host_trouble_costs_nobody_an_attempt() {
    let verdicts = judge(&call(&[("", 3)]), Order::None, Err(Crash::Host("store".into())));
    assert_eq!(verdicts, Verdicts::Host("store".into()));
}

#[test]
fn what_failed_and_is_too_old_is_dead() {
    let picked = call(&[("", 1)]);
    let retry = RetryPolicy { max_age: Duration::from_millis(10), ..RetryPolicy::default() };
    let mut random = Random::new(1);
    let mut judge = Judge { retry: &retry, order: Order::None, once: false, now: NOW, random: &mut random };
    for failure in [Failure::Retry("r".into()), Failure::Snooze(Duration::ZERO)] {
        assert_eq!(short(judge.call(&picked, &done(1, &[(0, failure)]), &[])), ["expired"]);
    }
}

#[test]
fn a_handler_may_ask_for_a_longer_wait_than_the_policys_and_not_for_a_shorter() {
    let picked = call(&[("", 1), ("", 1)]);
    let failures = [1, 300_000].map(|ms| Failure::RetryAfter(Duration::from_millis(ms), "r".into()));
    let failures: Vec<_> = (0..).zip(failures).collect();
    let Verdicts::Each(each) = judge(&picked, Order::None, done(2, &failures)) else { panic!("both failed") };
    let delays: Vec<_> = each.iter().map(|v| if let Verdict::Again { delay, .. } = v { delay.as_millis() } else { 0 }).collect();
    assert_eq!(delays, [200, 300_000]);
}

#[test]
fn at_most_once_calls_nothing_again_that_was_answered_for() {
    let picked = call(&[("a", 1), ("a", 1), ("a", 1)]);
    let (retry, mut random) = (RetryPolicy::default(), Random::new(1));
    let mut judge = Judge { retry: &retry, order: Order::Key, once: true, now: NOW, random: &mut random };
    let failures = [(0, Failure::Retry("r".into())), (2, Failure::Snooze(Duration::from_millis(1)))];
    assert_eq!(short(judge.call(&picked, &done(3, &failures), &[])), ["exhausted", "done", "exhausted"]);
    let crash = Err(Crash::Trap("t".into()));
    assert_eq!(short(judge.call(&picked, &crash, &[])), ["exhausted", "exhausted", "exhausted"]);
}

#[test]
fn what_was_not_tried_waits_again_however_old_it_is() {
    let picked = call(&[("a", 3), ("a", 1), ("b", 1), ("", 1)]);
    let retry = RetryPolicy { max_attempts: 3, max_age: Duration::from_millis(1), ..RetryPolicy::default() };
    let mut random = Random::new(1);
    let mut judge = |order, failures: &[(u32, Failure)]| {
        let mut judge = Judge { retry: &retry, order, once: false, now: NOW, random: &mut random };
        short(judge.call(&picked, &done(4, failures), &[]))
    };
    let zero = || Failure::Snooze(Duration::ZERO);
    let behind_a_dead_one = [(0, Failure::Retry("r".into())), (1, zero()), (2, Failure::NotTried), (3, zero())];
    assert_eq!(judge(Order::Key, &behind_a_dead_one), ["exhausted", "requeue", "requeue", "expired"]);
    assert_eq!(judge(Order::Lane, &behind_a_dead_one), ["exhausted", "requeue", "requeue", "requeue"]);
    let behind_a_discarded_one = [(0, Failure::Discard("d".into())), (1, zero())];
    assert_eq!(judge(Order::Key, &behind_a_discarded_one), ["discard", "requeue", "done", "done"]);
    assert_eq!(judge(Order::Key, &[(1, zero())]), ["done", "expired", "done", "done"], "behind a success it is the guest's own word");
}

#[test]
fn a_wait_that_a_handler_asks_for_ends_with_the_messages_age() {
    let picked = call(&[("", 1), ("", 1)]);
    let retry = RetryPolicy { max_age: Duration::from_secs(60), jitter: 0.0, ..RetryPolicy::default() };
    let mut random = Random::new(1);
    let mut judge = Judge { retry: &retry, order: Order::None, once: false, now: NOW, random: &mut random };
    let endless = Duration::from_millis(u64::MAX);
    let failures = [(0, Failure::Snooze(endless)), (1, Failure::RetryAfter(endless, "r".into()))];
    let Verdicts::Each(each) = judge.call(&picked, &done(2, &failures), &[]) else { panic!("both failed") };
    let delays: Vec<_> = each.iter().map(|v| if let Verdict::Again { delay, .. } = v { delay.as_millis() } else { 0 }).collect();
    assert_eq!(delays, [59_990, 59_990], "it is 10 ms old");
}

proptest! {
    #[test]
    fn every_message_gets_one_verdict_and_none_overtakes_its_key(
        keys in proptest::collection::vec(0u8..3, 1..12),
        kinds in proptest::collection::vec(0u8..6, 12),
        handled in any::<prop::sample::Index>(),
    ) {
        let names = ["a", "b", "c"];
        let messages: Vec<(&str, u32)> = keys.iter().map(|k| (names[*k as usize], 1)).collect();
        let picked = call(&messages);
        let handled = handled.index(messages.len()) as u32 + 1;
        let failures: Vec<(u32, Failure)> = (0..handled)
            .filter_map(|i| Some((i, match kinds[i as usize] {
                0 => Failure::Retry("r".into()),
                1 => Failure::Reject("r".into()),
                2 => Failure::Snooze(Duration::ZERO),
                _ => return None,
            })))
            .collect();
        if let Verdicts::Each(each) = judge(&picked, Order::Key, done(handled, &failures)) {
            prop_assert_eq!(each.len(), messages.len());
            for (i, later) in each.iter().enumerate() {
                let overtakes = matches!(later, Verdict::Done | Verdict::Again { .. } | Verdict::Dead(..));
                let held = (0..i).any(|e| keys[e] == keys[i] && matches!(each[e], Verdict::Again { .. } | Verdict::Requeue { .. }));
                prop_assert!(!(overtakes && held), "message {} overtook its key", i);
            }
        }
    }
}
