//! Flag `consumer-groups`: each group gets everything, its members divide it.

use std::collections::BTreeSet;

use longshore_core::{Flag, GroupInfo};

use super::bench::next;
use super::{Bench, Hand, Test, forgetful, suite};

pub(super) const SEVERAL: &[Test] = suite!(Flag::ConsumerGroups, not of Queue => every_group_gets_every_message);
pub(super) const TESTS: &[Test] = suite!(Flag::ConsumerGroups =>
    a_member_that_leaves_is_followed_by_another,
);
pub(super) const LISTED: &[Test] = suite!(Flag::ConsumerGroups, not of Forgetful => groups_are_listed_with_what_is_left_for_them);

/// A time that no group is older than, milliseconds since the Unix epoch: the summer of 2023.
const LONG_AGO: u64 = 1_690_000_000_000;

async fn every_group_gets_every_message(bench: Bench<'_>) {
    let topic = bench.shared_topic("t").await;
    let (mut fast, mut slow) = (bench.shared_hand(&topic, "fast").await, bench.shared_hand(&topic, "slow").await);
    bench.publish(&topic, &["a", "b", "c"]).await;
    let first = fast.fetch(3).await;
    fast.all_done(first).settle().await;
    slow.fetch(3).await;
    assert_eq!((fast.payloads(), slow.payloads()), (vec!["a".into(), "b".into(), "c".into()], vec!["a".into(), "b".into(), "c".into()]));
}

async fn a_member_that_leaves_is_followed_by_another(bench: Bench<'_>) {
    if bench.subject.forgets() {
        return forgetful::a_member_that_leaves_is_followed_by_another(bench).await;
    }
    let topic = bench.topic("t");
    bench.publish(&topic, &["a", "b", "c", "d"]).await;
    let mut first = bench.hand(&topic, "g").await;
    let mut others = bench.subscribe(&[&topic], Some("g")).await;
    first.fetch(2).await;
    first.done(0).done(1).settle().await;
    let taken: BTreeSet<String> = first.payloads().into_iter().collect();
    first.close().await;
    let mut second = Hand::new(next(&mut others).await, Some(others));
    second.fetch(2).await;
    let rest: BTreeSet<String> = second.payloads().into_iter().collect();
    assert!(taken.is_disjoint(&rest), "{taken:?} were settled, and yet came again among {rest:?}");
    assert_eq!(taken.union(&rest).count(), 4);
}

async fn groups_are_listed_with_what_is_left_for_them(bench: Bench<'_>) {
    let topic = bench.topic("t");
    let groups = bench.roles.groups.as_deref().expect("a broker with groups lists them");
    let mut hand = bench.hand(&topic, "g").await;
    let find = async || {
        let infos = groups.list().await.expect("listed");
        infos.into_iter().find(|info| info.topic == topic && info.group == "g").expect("the group is listed")
    };
    // A broker that cannot tell says so; it does not guess.
    let left = |info: &GroupInfo, count| info.lag.is_none_or(|lag| lag == count);
    let before = find().await;
    assert!(left(&before, 0) && before.members == 1, "before the first message: {before:?}");
    assert!(before.created_at.is_none_or(|at| at > LONG_AGO), "when it was made is told, or it is not known: {before:?}");
    bench.publish(&topic, &["a", "b", "c", "d"]).await;
    assert!(left(&find().await, 4), "all are left: {:?}", find().await);
    hand.fetch(3).await;
    hand.done(0).done(2).settle().await;
    assert!(left(&find().await, 2), "the second and the fourth are left: {:?}", find().await);
    assert_eq!(find().await, find().await, "an idle group is listed alike twice");
    hand.close().await;
    assert_eq!(find().await.members, 0);
}
