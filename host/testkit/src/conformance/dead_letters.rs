//! Flag `dead-letter-queue`: dead letters go back to the group that failed, or away.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_core::{DeadLetters, Flag, Outbox, Page, headers};

use super::bench::push_with;
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::DeadLetterQueue =>
    dead_letters_are_found_newest_first,
    a_redriven_message_goes_to_the_failing_group_alone_as_it_was,
    a_dead_letter_is_redriven_once,
    what_is_no_dead_letter_stays_and_keeps_no_other_back,
    redriven_messages_never_share_a_position,
    removed_dead_letters_are_gone,
);

fn dead_letters<'a>(bench: &'a Bench<'_>) -> &'a dyn DeadLetters {
    bench.roles.dead_letters.as_deref().expect("a broker with dead letters has the role")
}

/// Publishes a dead letter of a topic and group.
async fn bury(bench: &Bench<'_>, topic: &str, group: &str, id: &str, payload: &str) -> String {
    let graveyard = format!("{topic}.{group}.dlq");
    let source = format!("default/{topic}/1");
    let facts: [(&str, &[u8]); 8] = [
        ("mine", b"1"),
        (headers::DEAD_REASON, b"exhausted"),
        (headers::DEAD_ATTEMPTS, b"5"),
        (headers::DEAD_TOPIC, topic.as_bytes()),
        (headers::DEAD_GROUP, group.as_bytes()),
        (headers::DEAD_ID, id.as_bytes()),
        (headers::DEAD_SOURCE, source.as_bytes()),
        (headers::DEAD_REDRIVES, b"1"),
    ];
    let mut outbox = Outbox::default();
    push_with(&mut outbox, &graveyard, Some("k"), payload, &facts, 0);
    bench.publish_all(&outbox).await.remove(0).expect("taken");
    graveyard
}

async fn positions(bench: &Bench<'_>, topic: &str) -> Vec<u64> {
    let batch = bench.topics().browse(topic, Page::Before(u64::MAX, 100)).await.expect("browsed");
    batch.receipts().positions().to_vec()
}

async fn dead_letters_are_found_newest_first(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bury(&bench, &topic, "g", "1", "a").await;
    let graveyard = bury(&bench, &topic, "g", "2", "b").await;
    let batch = bench.topics().browse(&graveyard, Page::Before(u64::MAX, 10)).await.expect("browsed");
    assert_eq!((batch.get(0).payload, batch.get(1).payload), (Some(&b"b"[..]), Some(&b"a"[..])));
    let older = Page::Before(batch.receipt(0).position, 10);
    let page = bench.topics().browse(&graveyard, older).await.expect("browsed");
    assert_eq!((page.len(), page.get(0).payload), (1, Some(&b"a"[..])));
    let none = bench.topics().browse(&bench.topic("none"), Page::Before(u64::MAX, 10)).await.expect("empty is no error");
    assert!(none.is_empty());
}

async fn a_redriven_message_goes_to_the_failing_group_alone_as_it_was(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["original"]).await;
    let mut failing = bench.hand(&topic, "failing").await;
    // A queue has nobody else.
    let mut other = if bench.subject.is_queue() { None } else { Some(bench.hand(&topic, "other").await) };
    failing.fetch(1).await;
    failing.done(0).settle().await;
    if let Some(other) = &mut other {
        other.fetch(1).await;
    }
    let graveyard = bury(&bench, &topic, "failing", "the-id", "dead").await;
    let there = positions(&bench, &graveyard).await;
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &there).await.expect("redriven"), 1);
    let again = failing.fetch(1).await;
    let (message, facts) = (failing.got.get(again), failing.got.facts(again));
    assert_eq!((message.id, message.topic, message.attempt), ("the-id", &*topic, 1));
    assert_eq!((message.key, message.payload), (Some(&b"k"[..]), Some(&b"dead"[..])));
    assert_eq!(message.headers.collect::<Vec<_>>(), [("mine", &b"1"[..])]);
    assert_eq!((facts.redrives, facts.deliveries, facts.first_failed_at), (2, 1, 0));
    failing.done(again).settle().await;
    bench.publish(&topic, &["next"]).await;
    let first = failing.fetch(1).await;
    assert_eq!(failing.payloads_from(first), ["next"], "a redriven message that is done is over");
    if let Some(other) = &mut other {
        other.fetch(1).await;
        assert_eq!(other.payloads(), ["original", "next"]);
    }
}

async fn a_dead_letter_is_redriven_once(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    bury(&bench, &topic, "g", "1", "a").await;
    let graveyard = bury(&bench, &topic, "g", "2", "b").await;
    let there = positions(&bench, &graveyard).await;
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &[there[0], there[0]]).await.expect("one, named twice"), 1);
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &there).await.expect("the other"), 1);
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &there).await.expect("none is left"), 0);
    assert!(positions(&bench, &graveyard).await.is_empty());
    hand.fetch(2).await;
    let mut got = hand.payloads();
    got.sort();
    assert_eq!(got, ["a", "b"]);
}

async fn what_is_no_dead_letter_stays_and_keeps_no_other_back(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut hand = bench.hand(&topic, "g").await;
    let graveyard = bury(&bench, &topic, "g", "1", "a").await;
    bench.publish(&graveyard, &["plain"]).await;
    bury(&bench, &topic, "g", "2", "b").await;
    let there = positions(&bench, &graveyard).await;
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &there).await.expect("the others go"), 2);
    assert_eq!(positions(&bench, &graveyard).await, there[1..2], "what has no group to go to stays");
    assert_eq!(dead_letters(&bench).redrive(&graveyard, &there).await.expect("asked again"), 0);
    assert_eq!(dead_letters(&bench).redrive(&bench.topic("none"), &[1]).await.expect("nothing there"), 0);
    hand.fetch(2).await;
}

async fn redriven_messages_never_share_a_position(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bench.publish(&topic, &["1", "2", "3", "4"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(4).await;
    // All letters say that they come from the first message; the second waits for a retry.
    hand.again(1, Duration::from_secs(3600), 2, 1).done(0).done(2).done(3).settle().await;
    let mut graveyard = String::new();
    for id in 0..10 {
        graveyard = bury(&bench, &topic, "g", &id.to_string(), "dead").await;
    }
    let there = positions(&bench, &graveyard).await;
    for step in there.chunks(4) {
        assert_eq!(dead_letters(&bench).redrive(&graveyard, step).await.expect("redriven"), step.len() as u64);
    }
    bench.publish(&topic, &["fresh"]).await;
    let first = hand.fetch(11).await;
    let places: BTreeSet<u64> = (first..hand.got.len()).map(|i| hand.got.receipt(i).position).collect();
    assert_eq!(places.len(), 11, "two messages have one position among {:?}", hand.got.receipts().positions());
    assert!(!places.contains(&hand.got.receipt(1).position), "a message that waits was joined by another");
    hand.all_done(first).settle().await;
    bench.publish(&topic, &["last"]).await;
    let last = hand.fetch(1).await;
    assert_eq!(hand.payloads_from(last), ["last"], "nothing is lost, and nothing comes again");
}

async fn removed_dead_letters_are_gone(bench: Bench<'_>) {
    let topic = bench.topic("t");
    bury(&bench, &topic, "g", "1", "a").await;
    let graveyard = bury(&bench, &topic, "g", "2", "b").await;
    let there = positions(&bench, &graveyard).await;
    assert_eq!(dead_letters(&bench).remove(&graveyard, &there[..1]).await.expect("removed"), 1);
    assert_eq!(dead_letters(&bench).remove(&graveyard, &there[..1]).await.expect("gone"), 0);
    assert_eq!(positions(&bench, &graveyard).await, there[1..]);
    let info = bench.topics().list().await.expect("listed").into_iter().find(|info| info.name == graveyard).expect("there");
    assert_eq!(info.messages, 1);
}
