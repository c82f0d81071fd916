//! Flag `patterns`: one subscription, many topics, also later ones.

use longshore_core::Flag;

use super::bench::next;
use super::{Bench, Hand, Test, suite};

pub(super) const TESTS: &[Test] = suite!(Flag::Patterns =>
    a_pattern_means_topics_that_are_there_and_those_that_come,
    a_star_means_one_level,
);

async fn a_pattern_means_topics_that_are_there_and_those_that_come(bench: Bench<'_>) {
    let (early, late, foreign) = (bench.topic("p.early"), bench.topic("p.late"), bench.topic("q.late"));
    bench.publish(&early, &["a"]).await;
    let mut lanes = bench.subscribe(&[&bench.topic("p.**")], Some("g")).await;
    let mut first = Hand::new(next(&mut lanes).await, None);
    first.fetch(1).await;
    bench.publish(&foreign, &["x"]).await;
    bench.publish(&late, &["b"]).await;
    let mut second = Hand::new(next(&mut lanes).await, None);
    second.fetch(1).await;
    assert_eq!((first.got.get(0).topic, second.got.get(0).topic), (&*early, &*late));
    assert_eq!((first.payloads(), second.payloads()), (vec!["a".into()], vec!["b".into()]));
    assert_ne!(first.lane.id, second.lane.id);
}

async fn a_star_means_one_level(bench: Bench<'_>) {
    let (one, two) = (bench.topic("p.one"), bench.topic("p.one.two"));
    bench.publish(&two, &["deeper"]).await;
    bench.publish(&one, &["a"]).await;
    let mut lanes = bench.subscribe(&[&bench.topic("p.*")], Some("g")).await;
    let mut hand = Hand::new(next(&mut lanes).await, None);
    hand.fetch(1).await;
    assert_eq!(hand.got.get(0).topic, one);
    let fence = bench.topic("p.three");
    bench.publish(&fence, &["b"]).await;
    let mut hand = Hand::new(next(&mut lanes).await, None);
    hand.fetch(1).await;
    assert_eq!(hand.got.get(0).topic, fence, "the deeper topic is not meant");
}
