//! Times to live. Only caches have them.

use std::time::Duration;

use longshore_core::Left;
use tokio::time::Instant;

use super::bench::{Bench, Kind};
use super::{Test, suite};

pub(super) const TESTS: &[Test] = suite!(&[Kind::Cache] =>
    a_value_goes_when_its_time_is_over_and_not_before,
    setting_again_replaces_the_time,
    a_count_keeps_the_time_of_its_beginning,
    a_swap_sets_the_time,
    what_is_left_of_a_time_is_told,
    what_is_over_is_not_found,
);

const SHORT: Duration = Duration::from_millis(250);
/// A host may know its server's clock only as well as a round trip on a busy machine tells it.
const CLOCK: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(3600);

async fn a_value_goes_when_its_time_is_over_and_not_before(bench: Bench<'_>) {
    let begun = Instant::now();
    bench.set("k", "x", Some(SHORT)).await;
    assert!(bench.get("k").await.is_some() || begun.elapsed() >= SHORT);
    bench.until_gone("k").await;
    // Clocks of stores count in whole milliseconds.
    assert!(begun.elapsed() + Duration::from_millis(2) >= SHORT, "it went after {:?}", begun.elapsed());
    assert_eq!(bench.left("k").await, Left::Missing);
    assert!(bench.swap("k", None, "again").await, "what has gone can be added");
}

async fn setting_again_replaces_the_time(bench: Bench<'_>) {
    bench.set("stays", "old", Some(SHORT)).await;
    bench.set("longer", "old", Some(SHORT)).await;
    bench.set("stays", "new", None).await;
    bench.set("longer", "new", Some(LONG)).await;
    // Set later and gone: so the old times are over.
    bench.set("probe", "x", Some(SHORT)).await;
    bench.until_gone("probe").await;
    assert_eq!(bench.get("stays").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(bench.get("longer").await.as_deref(), Some(&b"new"[..]));
    assert_eq!(bench.left("stays").await, Left::Forever);
    bench.set("longer", "newest", Some(SHORT)).await;
    bench.until_gone("longer").await;
}

async fn a_count_keeps_the_time_of_its_beginning(bench: Bench<'_>) {
    assert_eq!(bench.bucket.increment("n", 1, Some(SHORT)).await, Ok(1));
    // Where the machine is so slow that it is over already, it begins again.
    assert!(matches!(bench.bucket.increment("n", 1, Some(SHORT)).await, Ok(1 | 2)));
    assert!(matches!(bench.left("n").await, Left::Span(left) if left <= SHORT + CLOCK) || bench.get("n").await.is_none());
    bench.until_gone("n").await;
    assert_eq!(bench.bucket.increment("n", 1, None).await, Ok(1), "from nothing again");
    assert_eq!(bench.bucket.increment("n", 1, Some(SHORT)).await, Ok(2));
    assert_eq!(bench.left("n").await, Left::Forever);
}

async fn a_swap_sets_the_time(bench: Bench<'_>) {
    assert_eq!(bench.bucket.swap("k", None, b"a", Some(LONG)).await, Ok(true));
    assert!(matches!(bench.left("k").await, Left::Span(_)));
    assert_eq!(bench.bucket.swap("k", Some(b"a"), b"b", None).await, Ok(true));
    assert_eq!(bench.left("k").await, Left::Forever);
    assert_eq!(bench.bucket.swap("k", Some(b"b"), b"c", Some(SHORT)).await, Ok(true));
    bench.until_gone("k").await;
}

async fn what_is_left_of_a_time_is_told(bench: Bench<'_>) {
    assert_eq!(bench.left("k").await, Left::Missing);
    bench.set("k", "x", None).await;
    assert_eq!(bench.left("k").await, Left::Forever);
    let begun = Instant::now();
    bench.set("k", "x", Some(LONG)).await;
    let Left::Span(left) = bench.left("k").await else { panic!("it has a time") };
    assert!(left <= LONG && left + begun.elapsed() + Duration::from_millis(2) >= LONG, "{left:?}");
}

async fn what_is_over_is_not_found(bench: Bench<'_>) {
    bench.set("over", "x", Some(SHORT)).await;
    bench.set("there", "x", Some(LONG)).await;
    bench.until_gone("over").await;
    assert_eq!(bench.keys("*").await, ["there"]);
    assert_eq!(bench.bucket.delete(&["over", "there"].map(str::to_owned)).await, Ok(1));
}
