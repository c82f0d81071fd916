//! Numbers.

use longshore_core::{MAX_COUNT, StoreError};
use tokio::task::JoinSet;

use super::bench::{Bench, Kind};
use super::{Test, suite};

pub(super) const TESTS: &[Test] = suite!(Kind::BOTH =>
    counting_begins_at_nothing,
    no_count_is_lost_between_hosts,
    what_is_no_number_is_not_counted,
    no_swap_is_lost_between_hosts,
);

async fn counting_begins_at_nothing(bench: Bench<'_>) {
    let count = async |by| bench.bucket.increment("n", by, None).await.expect("it counts");
    assert_eq!((count(2).await, count(2).await, count(-2).await, count(0).await, count(-5).await), (2, 4, 2, 2, -3));
    assert_eq!(bench.get("n").await.as_deref(), Some(&b"-3"[..]), "as decimal text");
    bench.bucket.delete(&["n".to_owned()]).await.expect("it was there");
    assert_eq!(count(7).await, 7);
    bench.set("m", "40", None).await;
    assert_eq!(bench.bucket.increment("m", 2, None).await, Ok(42));
}

async fn no_count_is_lost_between_hosts(bench: Bench<'_>) {
    let other = bench.elsewhere().await;
    let mut counts = JoinSet::new();
    for n in 0..16 {
        let bucket = if n % 2 == 0 { bench.bucket.clone() } else { other.clone() };
        counts.spawn(async move {
            for _ in 0..10 {
                bucket.increment("n", 1, None).await.expect("it counts");
            }
        });
    }
    counts.join_all().await;
    assert_eq!(bench.bucket.increment("n", 0, None).await, Ok(160));
}

async fn what_is_no_number_is_not_counted(bench: Bench<'_>) {
    for value in ["", "x", "1.5", "+1", " 1", "-", "9007199254740993", "99999999999999999999"] {
        bench.set("n", value, None).await;
        let refused = bench.bucket.increment("n", 1, None).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{value:?}: {refused:?}");
        assert_eq!(bench.get("n").await.as_deref(), Some(value.as_bytes()), "and it stays");
    }
    let most = i64::try_from(MAX_COUNT).expect("it fits");
    for (value, by) in [(most, 1), (-most, -1), (0, i64::MAX), (0, i64::MIN), (1, most)] {
        bench.set("n", value.to_string(), None).await;
        let refused = bench.bucket.increment("n", by, None).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{value} and {by}: {refused:?}");
    }
    bench.set("n", (most - 1).to_string(), None).await;
    assert_eq!(bench.bucket.increment("n", 1, None).await, Ok(most));
    assert_eq!(bench.bucket.increment("n", -most, None).await, Ok(0));
    assert_eq!(bench.bucket.increment("n", -most, None).await, Ok(-most));
}

async fn no_swap_is_lost_between_hosts(bench: Bench<'_>) {
    let other = bench.elsewhere().await;
    bench.set("n", [0], None).await;
    let mut swaps = JoinSet::new();
    for n in 0..6 {
        let bucket = if n % 2 == 0 { bench.bucket.clone() } else { other.clone() };
        swaps.spawn(async move {
            let keys = ["n".to_owned()];
            for _ in 0..5 {
                loop {
                    let value = bucket.get(&keys).await.expect("it reads").remove(0).expect("it is there");
                    if bucket.swap("n", Some(&value), &[value[0] + 1], None).await.expect("it answers") {
                        break;
                    }
                }
            }
        });
    }
    swaps.join_all().await;
    assert_eq!(bench.get("n").await, Some(vec![30]));
}
