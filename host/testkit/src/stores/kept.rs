//! What stays.

use longshore_core::Left;

use super::bench::{Bench, Kind};
use super::{Test, suite};
use crate::conformance::Verdict;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "what_is_kept_outlives_a_crash",
        kinds: &[Kind::KeyValue],
        run: |subject, kind| Box::pin(async move { what_is_kept_outlives_a_crash(Bench::new(subject, kind).await).await }),
    },
    suite!(&[Kind::KeyValue] => what_is_kept_has_no_time)[0],
];

async fn what_is_kept_outlives_a_crash(bench: Bench<'_>) -> Verdict {
    bench.set("k", "x", None).await;
    assert_eq!(bench.bucket.increment("n", 3, None).await, Ok(3));
    let Bench { subject, kind, roles, name, bucket } = bench;
    drop(bucket);
    let Some(roles) = subject.restart(roles).await else { return Verdict::Unsupported };
    let bucket = kind.bucket(&roles, &name);
    assert_eq!(bucket.get(&["k".to_owned()]).await, Ok(vec![Some(b"x".to_vec())]));
    assert_eq!(bucket.increment("n", 1, None).await, Ok(4));
    Verdict::Passed
}

async fn what_is_kept_has_no_time(bench: Bench<'_>) {
    bench.set("k", "x", None).await;
    assert_eq!(bench.left("k").await, Left::Forever);
    assert_eq!(bench.left("none").await, Left::Missing);
}
