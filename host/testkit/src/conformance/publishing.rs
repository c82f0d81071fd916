//! Flags `publish` and `subscribe`: what goes in comes out.

use longshore_core::{Flag, Message, Outbox, PublishError, TopicSettings};

use super::bench::push;
use super::{Bench, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Publish =>
    publishing_answers_the_id_that_readers_see,
    each_message_of_a_batch_is_answered_for,
    payload_key_and_headers_arrive_byte_for_byte,
    a_message_without_timestamp_gets_one,
);
pub(super) const TOPICS: &[Test] = suite!(Flag::Publish, |roles| roles.topics.is_some() => topics_are_made_listed_emptied_and_removed);

async fn publishing_answers_the_id_that_readers_see(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let (mut hand, ids) = bench.hand_with(&topic, &["a", "b"]).await;
    hand.fetch(2).await;
    assert_eq!([hand.got.get(0).id, hand.got.get(1).id], [&*ids[0], &*ids[1]]);
    assert!(!ids[0].is_empty() && ids[0] != ids[1], "ids are text of their own: {ids:?}");
}

async fn each_message_of_a_batch_is_answered_for(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let mut outbox = Outbox::default();
    for name in [&*topic, "not a topic*", &*topic] {
        push(&mut outbox, name, None, "x", 0);
    }
    let (mut hand, answers) = bench.hand_after(&topic, &outbox).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert!(matches!(answers[1], Err(PublishError::Invalid(_))), "{answers:?}");
    hand.fetch(2).await;
}

async fn payload_key_and_headers_arrive_byte_for_byte(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let all: Vec<u8> = (0..=255).collect();
    let headers = [("b", &all[..]), ("a", b""), ("b", b"again")];
    let cases: [(Option<&[u8]>, &[u8]); 3] = [(Some(&all), &all), (None, b""), (Some(b""), b"x")];
    let mut outbox = Outbox::default();
    for (key, payload) in cases {
        let headers = headers.iter().copied();
        let message = Message { id: "", topic: &topic, key, payload: Some(payload), headers, timestamp: 12, attempt: 1 };
        outbox.push(&message, 0, 0);
    }
    let (mut hand, answers) = bench.hand_after(&topic, &outbox).await;
    answers.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    hand.fetch(cases.len()).await;
    for (i, (key, payload)) in cases.into_iter().enumerate() {
        let message = hand.got.get(i);
        assert_eq!((message.topic, message.key, message.payload, message.timestamp), (&*topic, key, Some(payload), 12));
        assert_eq!(message.headers.collect::<Vec<_>>(), headers);
    }
}

async fn a_message_without_timestamp_gets_one(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let before = super::bench::now();
    let (mut hand, _) = bench.hand_with(&topic, &["a"]).await;
    hand.fetch(1).await;
    let timestamp = hand.got.get(0).timestamp;
    assert!((before..before + 60_000).contains(&timestamp), "{timestamp} is not about {before}");
}

async fn topics_are_made_listed_emptied_and_removed(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let topics = bench.topics();
    assert!(topics.create(&topic, &TopicSettings::default()).await.expect("made"));
    assert!(!topics.create(&topic, &TopicSettings::default()).await.expect("there"), "it is there already");
    bench.publish(&topic, &["a", "b"]).await;
    let find = async || topics.list().await.expect("listed").into_iter().find(|info| info.name == topic);
    assert_eq!(find().await.expect("listed").messages, 2);
    assert_eq!(topics.purge(&topic).await.expect("emptied"), Some(2));
    assert_eq!(find().await.expect("listed").messages, 0);
    let ids = bench.publish(&topic, &["c"]).await;
    let mut hand = bench.hand(&topic, "g").await;
    hand.fetch(1).await;
    assert_eq!((hand.payloads(), hand.got.get(0).id), (vec!["c".into()], &*ids[0]));
    drop(hand);
    assert!(topics.delete(&topic).await.expect("removed"));
    assert!(!topics.delete(&topic).await.expect("gone"));
    assert_eq!(topics.purge(&topic).await.expect("gone"), None);
    assert!(find().await.is_none());
}
