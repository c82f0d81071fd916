//! Looking for keys, and removing what is found.

use std::collections::BTreeSet;

use longshore_core::{KeyPattern, StoreError};

use super::bench::{Bench, Kind};
use super::{Test, suite};

pub(super) const TESTS: &[Test] = suite!(Kind::BOTH =>
    keys_are_found_by_pattern,
    all_keys_come_page_by_page,
    keys_that_stay_are_found_while_others_come_and_go,
    a_cursor_that_no_page_gave_is_refused,
    what_matches_is_removed_and_nothing_else,
);

async fn fill(bench: &Bench<'_>, keys: impl Iterator<Item = String>) {
    let entries: Vec<_> = keys.map(|key| (key, b"x".to_vec())).collect();
    for some in entries.chunks(500) {
        bench.bucket.set(some, None).await.expect("they are set");
    }
}

async fn keys_are_found_by_pattern(bench: Bench<'_>) {
    assert!(bench.keys("*").await.is_empty(), "an empty bucket has no keys");
    let all = ["a", "a:1", "a:2:x", "b:1", "[ab]:1", "a?1", "ä:1", "a*1"];
    fill(&bench, all.into_iter().map(str::to_owned)).await;
    for (pattern, expected) in [
        ("*", &all[..]),
        ("a", &["a"]),
        ("a:*", &["a:1", "a:2:x"]),
        ("*:1", &["a:1", "b:1", "[ab]:1", "ä:1"]),
        ("*:*:*", &["a:2:x"]),
        ("[ab]:1", &["[ab]:1"]),
        ("a?1", &["a?1"]),
        ("a*1", &["a:1", "a?1", "a*1"]),
        ("none*", &[]),
    ] {
        let found: BTreeSet<String> = bench.keys(pattern).await.into_iter().collect();
        assert_eq!(found, expected.iter().map(|key| (*key).to_owned()).collect(), "{pattern}");
    }
}

async fn all_keys_come_page_by_page(bench: Bench<'_>) {
    fill(&bench, (0..2500).map(|n| format!("config:{n}"))).await;
    fill(&bench, (0..50).map(|n| format!("other:{n}"))).await;
    let keys = bench.keys("config:*").await;
    let different: BTreeSet<&String> = keys.iter().collect();
    assert_eq!((keys.len(), different.len()), (2500, 2500), "each once, as nobody writes");
    let first = bench.page("*", None).await.expect("a page");
    assert!(first.keys.len() < 2500 && first.next.is_some(), "no page has them all");
}

async fn keys_that_stay_are_found_while_others_come_and_go(bench: Bench<'_>) {
    fill(&bench, (0..1500).map(|n| format!("stays:{n}"))).await;
    fill(&bench, (0..1500).map(|n| format!("goes:{n}"))).await;
    let (mut found, mut cursor, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let page = bench.page("*", cursor.as_deref()).await.expect("a page");
        found.extend(page.keys);
        let gone: Vec<String> = (pages * 300..(pages + 1) * 300).map(|n| format!("goes:{n}")).collect();
        bench.bucket.delete(&gone).await.expect("they go");
        fill(&bench, (0..300).map(|n| format!("comes:{pages}:{n}"))).await;
        pages += 1;
        match page.next {
            Some(next) if pages < 1000 => cursor = Some(next),
            next => {
                assert_eq!(next, None, "it ends though keys come all the time");
                break;
            }
        }
    }
    let missed: Vec<String> = (0..1500).map(|n| format!("stays:{n}")).filter(|key| !found.contains(key)).collect();
    assert!(missed.is_empty(), "{} were missed: {:?}", missed.len(), missed.first());
}

async fn a_cursor_that_no_page_gave_is_refused(bench: Bench<'_>) {
    bench.set("k", "x", None).await;
    for cursor in ["", "nonsense", "-1"] {
        let refused = bench.page("*", Some(cursor)).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{cursor:?}: {refused:?}");
    }
}

async fn what_matches_is_removed_and_nothing_else(bench: Bench<'_>) {
    fill(&bench, (0..2200).map(|n| format!("products:{n}"))).await;
    fill(&bench, ["product:1", "xproducts:1", "products", "products?1"].map(str::to_owned).into_iter()).await;
    assert_eq!(bench.bucket.delete_matching(&KeyPattern::new("products:*")).await, Ok(2200));
    let mut keys = bench.keys("*").await;
    keys.sort();
    assert_eq!(keys, ["product:1", "products", "products?1", "xproducts:1"]);
    assert_eq!(bench.bucket.delete_matching(&KeyPattern::new("products:*")).await, Ok(0));
    assert_eq!(bench.bucket.delete_matching(&KeyPattern::new("products?1")).await, Ok(1), "a question mark is itself");
}
