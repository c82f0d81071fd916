//! Flag `request-reply`: a question finds its answer.

use std::time::Duration;

use longshore_core::{Flag, Outbox, PublishError, TopicSettings, headers};

use super::bench::{SOON, push};
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::RequestReply =>
    a_request_is_answered,
    a_request_that_nobody_answers_times_out,
    a_reply_to_nobody_is_an_error,
);

fn question(topic: &str) -> Outbox {
    let mut outbox = Outbox::default();
    push(&mut outbox, topic, None, "question", 0);
    outbox
}

/// Somebody who listens before the request is made, where a request does not wait for its reader; elsewhere a topic for it to wait on, which a
/// request need not make.
async fn listener(bench: &Bench<'_>, topic: &str) -> Option<Hand> {
    if bench.subject.forgets() {
        return Some(bench.hand(topic, "g").await);
    }
    bench.topics().create(topic, &TopicSettings::default()).await.expect("made");
    None
}

async fn a_request_is_answered(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let outbox = question(&topic);
    for with_the_round in [true, false] {
        let mut listening = listener(&bench, &topic).await;
        let answer = async {
            let mut hand = match listening.take() {
                Some(hand) => hand,
                None => bench.hand(&topic, "g").await,
            };
            hand.fetch(1).await;
            let to = String::from_utf8(hand.got.row(0).header(headers::REPLY_TO).expect("a request says where to").to_vec()).expect("text");
            assert!(bench.publisher().is_reply_address(&to), "{to} is an address of the broker's own");
            assert!(!bench.publisher().is_reply_address(&topic), "{topic} is a topic");
            let mut reply = Outbox::default();
            push(&mut reply, &to, None, "answer", 0);
            if with_the_round && bench.subject.capabilities().has(Flag::Transactions) {
                hand.outputs(reply);
            } else {
                bench.publish_all(&reply).await.remove(0).expect("somebody waits");
            }
            hand.done(0).settle().await;
        };
        let (reply, ()) = futures::join!(bench.publisher().request(&outbox, SOON), answer);
        let reply = reply.expect("answered");
        assert_eq!((reply.len(), reply.get(0).payload), (1, Some(&b"answer"[..])));
    }
}

async fn a_request_that_nobody_answers_times_out(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let outbox = question(&topic);
    let _listening = listener(&bench, &topic).await;
    let answer = bench.publisher().request(&outbox, Duration::from_millis(50)).await;
    assert_eq!(answer.err(), Some(PublishError::Timeout));
}

async fn a_reply_to_nobody_is_an_error(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let outbox = question(&topic);
    let listening = listener(&bench, &topic).await;
    let late = bench.publisher().request(&outbox, Duration::from_millis(500)).await;
    assert_eq!(late.err(), Some(PublishError::Timeout));
    let mut hand = match listening {
        Some(hand) => hand,
        None => bench.hand(&topic, "g").await,
    };
    hand.fetch(1).await;
    let to = String::from_utf8(hand.got.row(0).header(headers::REPLY_TO).expect("where to").to_vec()).expect("text");
    let mut reply = Outbox::default();
    push(&mut reply, &to, None, "too late", 0);
    let answer = bench.publish_all(&reply).await.remove(0);
    assert!(answer.is_err(), "{answer:?}");
    if bench.subject.capabilities().has(Flag::Transactions) {
        // The handler has done its part: its round is not held up by a requester who left.
        hand.done(0).outputs(reply).settle().await;
    }
}
