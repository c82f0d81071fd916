//! Values in and out.

use tokio::task::JoinSet;

use super::bench::{Bench, Kind};
use super::{Test, suite};

pub(super) const TESTS: &[Test] = suite!(Kind::BOTH =>
    a_missing_value_is_not_an_empty_one,
    many_values_come_in_the_order_of_their_keys,
    keys_are_any_text_and_values_any_bytes,
    a_large_value_comes_back_as_it_was,
    setting_replaces_what_was_there,
    deleting_says_how_many_were_there,
    a_swap_needs_what_it_expects,
    of_many_who_add_one_wins,
    buckets_and_kinds_are_apart,
    what_one_host_writes_another_reads,
);

async fn a_missing_value_is_not_an_empty_one(bench: Bench<'_>) {
    assert_eq!(bench.get("k").await, None);
    bench.set("k", "", None).await;
    assert_eq!(bench.get("k").await.as_deref(), Some(&b""[..]));
}

async fn many_values_come_in_the_order_of_their_keys(bench: Bench<'_>) {
    let entries: Vec<_> = (0..300).map(|n| (format!("k{n}"), format!("v{n}").into_bytes())).collect();
    bench.bucket.set(&entries, None).await.expect("all are set");
    let keys: Vec<String> = (0..301).rev().map(|n| format!("k{n}")).chain(["k7".to_owned()]).collect();
    let values = bench.bucket.get(&keys).await.expect("all are read");
    let expected: Vec<_> = (0..301).rev().map(|n| (n < 300).then(|| format!("v{n}").into_bytes())).chain([Some(b"v7".to_vec())]).collect();
    assert_eq!(values, expected);
    assert_eq!(bench.bucket.get(&[]).await, Ok(Vec::new()), "none at all is no error");
    assert_eq!(bench.bucket.set(&[], None).await, Ok(()));
}

async fn keys_are_any_text_and_values_any_bytes(bench: Bench<'_>) {
    let bytes: Vec<u8> = (0..=255).collect();
    let strange = ["a b", "ä/ö", "a*b?[c]", "\\", "a:b", "..", ".", "a.", "=41", "\u{0}\n", "{x}", ">", "$", "🦀"];
    for key in strange {
        bench.set(key, [key.as_bytes(), &bytes].concat(), None).await;
    }
    for key in strange {
        assert_eq!(bench.get(key).await, Some([key.as_bytes(), &bytes].concat()), "{key:?}");
    }
    let mut keys = bench.keys("*").await;
    keys.sort();
    let mut expected = strange.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(keys, expected);
}

async fn a_large_value_comes_back_as_it_was(bench: Bench<'_>) {
    let value: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
    bench.set("large", &value, None).await;
    assert!(bench.get("large").await.as_ref() == Some(&value));
    assert_eq!(bench.bucket.swap("large", Some(&value), b"small", None).await, Ok(true));
    assert_eq!(bench.get("large").await.as_deref(), Some(&b"small"[..]));
}

async fn setting_replaces_what_was_there(bench: Bench<'_>) {
    bench.set("k", "first", None).await;
    bench.set("k", "second", None).await;
    assert_eq!(bench.get("k").await.as_deref(), Some(&b"second"[..]));
    let twice = [("k".to_owned(), b"third".to_vec()), ("k".to_owned(), b"fourth".to_vec())];
    bench.bucket.set(&twice, None).await.expect("it is set");
    assert_eq!(bench.get("k").await.as_deref(), Some(&b"fourth"[..]), "of two in one call the later one");
}

async fn deleting_says_how_many_were_there(bench: Bench<'_>) {
    bench.set("a", "1", None).await;
    bench.set("b", "2", None).await;
    let keys = ["a", "none", "b"].map(str::to_owned);
    assert_eq!(bench.bucket.delete(&keys).await, Ok(2));
    assert_eq!(bench.bucket.delete(&keys).await, Ok(0));
    assert_eq!(bench.bucket.delete(&[]).await, Ok(0));
    assert_eq!(bench.get("a").await, None);
}

async fn a_swap_needs_what_it_expects(bench: Bench<'_>) {
    assert!(!bench.swap("k", Some(""), "x").await, "what is missing is not empty");
    assert!(bench.swap("k", None, "first").await, "nothing is there, as expected");
    assert!(!bench.swap("k", None, "x").await, "something is");
    assert!(!bench.swap("k", Some("other"), "x").await);
    assert_eq!(bench.get("k").await.as_deref(), Some(&b"first"[..]));
    assert!(bench.swap("k", Some("first"), "").await);
    assert!(bench.swap("k", Some(""), "second").await, "an empty value is a value");
    assert_eq!(bench.get("k").await.as_deref(), Some(&b"second"[..]));
    bench.bucket.delete(&["k".to_owned()]).await.expect("it was there");
    assert!(bench.swap("k", None, "again").await, "what was deleted is missing");
}

async fn of_many_who_add_one_wins(bench: Bench<'_>) {
    let other = bench.elsewhere().await;
    for round in 0..10 {
        let key = format!("k{round}");
        let mut tries = JoinSet::new();
        for n in 0..16_u8 {
            let (bucket, key) = (if n % 2 == 0 { bench.bucket.clone() } else { other.clone() }, key.clone());
            tries.spawn(async move { bucket.swap(&key, None, &[n], None).await.expect("it answers").then_some(n) });
        }
        let won: Vec<u8> = tries.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "{won:?} won in round {round}");
        assert_eq!(bench.get(&key).await, Some(won), "the winner's value stands");
    }
}

async fn buckets_and_kinds_are_apart(bench: Bench<'_>) {
    let next = format!("{}x", bench.name);
    let others = [bench.kind.bucket(&bench.roles, &next), {
        let other = if bench.kind == Kind::Cache { Kind::KeyValue } else { Kind::Cache };
        other.bucket(&bench.roles, &bench.name)
    }];
    bench.set("k", "mine", None).await;
    for other in others {
        other.set(&[("k".to_owned(), b"other".to_vec())], None).await.expect("it is set");
        assert_eq!(bench.keys("*").await, ["k"]);
        assert_eq!(other.delete_matching(&longshore_core::KeyPattern::new("*")).await, Ok(1));
        assert_eq!(bench.get("k").await.as_deref(), Some(&b"mine"[..]));
    }
}

async fn what_one_host_writes_another_reads(bench: Bench<'_>) {
    let other = bench.elsewhere().await;
    bench.set("k", "here", None).await;
    assert_eq!(other.get(&["k".to_owned()]).await, Ok(vec![Some(b"here".to_vec())]));
    assert_eq!(other.swap("k", Some(b"here"), b"there", None).await, Ok(true));
    assert_eq!(bench.get("k").await.as_deref(), Some(&b"there"[..]));
}
