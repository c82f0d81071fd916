//! What guests may and may not do: publishing, configuration, stores, the sandbox.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{Bucket, GrantedBucket, GrantedBuckets, GrantedStores, KeyPage, KeyPattern, Left, StoreAnswer, StoreError};
use longshore_testkit::guests::Guest;
use support::{call, handle, handler, keyed_outputs, outputs};
use tokio::sync::Barrier;

#[tokio::test]
async fn a_sandboxed_guest_gets_no_environment_files_or_sockets() {
    let handler = handler(Guest::Env, |_| {});
    let done = handle(&handler, call(&["look"])).await.expect("an answer");
    let saw = keyed_outputs(&done);
    assert_eq!(saw.len(), 7, "{saw:?}");
    for (tried, came) in saw {
        match tried.as_str() {
            "environment" | "arguments" => assert_eq!(came, "[]", "{tried}"),
            _ => assert!(came.starts_with("refused: "), "{tried}: {came}"),
        }
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_granted_is_denied_with_the_line_to_add() {
    let handler = handler(Guest::Stores, |settings| settings.stores = granted(&Arc::new(Kept::default())));
    let done = handle(&handler, call(&["cache carts", "key-value sessions"])).await.expect("an answer");
    let denied = outputs(&done);
    assert!(denied[0].contains(r#"add it to its stores = { cache = ["carts"] }"#), "{denied:?}");
    assert!(denied[1].contains(r#"add it to its stores = { key-value = ["sessions"] }"#), "{denied:?}");
}

#[tokio::test]
async fn what_a_guest_asks_of_a_bucket_reaches_it_and_comes_back() {
    let kept = Arc::new(Kept::default());
    let handler = handler(Guest::Stores, |settings| settings.stores = granted(&kept));
    let done = handle(&handler, call(&["cache sessions", "key-value carts"])).await.expect("an answer");
    assert_eq!(outputs(&done), ["ok", "ok"]);
    let asked = kept.asked.lock().expect("fine").clone();
    assert_eq!(asked, ["set touched 1s", "get touched", "set touched", "get touched"]);
}

#[tokio::test]
async fn trouble_of_a_store_is_an_answer_and_never_a_trap() {
    let kept = Arc::new(Kept { down: true, ..Kept::default() });
    let handler = handler(Guest::Stores, |settings| settings.stores = granted(&kept));
    let done = handle(&handler, call(&["cache sessions", "key-value carts"])).await.expect("an answer");
    assert_eq!(outputs(&done), ["unavailable: connection refused", "unavailable: connection refused"]);
}

/// A guest that waits for a store keeps no thread: with one thread, as many wait at once as there are instances.
#[tokio::test]
async fn a_call_that_waits_for_its_store_blocks_no_thread_and_no_other_message() {
    let kept = Arc::new(Kept { meet: Some(Barrier::new(4)), ..Kept::default() });
    let handler = handler(Guest::Stores, |settings| settings.stores = granted(&kept));
    let calls = (0..4).map(|_| handle(&handler, call(&["key-value carts"])));
    for done in futures::future::join_all(calls).await {
        assert_eq!(outputs(&done.expect("all met in the store")), ["ok"]);
    }
}

fn granted(kept: &Arc<Kept>) -> GrantedStores {
    let bucket = |name: &str| GrantedBuckets::new(vec![GrantedBucket { name: name.into(), bucket: kept.clone() }]);
    GrantedStores { cache: bucket("sessions"), key_value: bucket("carts"), ..GrantedStores::default() }
}

/// A bucket that keeps one value and what it was asked.
#[derive(Default)]
struct Kept {
    asked: Mutex<Vec<String>>,
    value: Mutex<Option<Vec<u8>>>,
    down: bool,
    /// Where readers wait for one another.
    meet: Option<Barrier>,
}

impl Bucket for Kept {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        self.asked.lock().expect("fine").push(format!("get {}", keys[0]));
        Box::pin(async {
            if let Some(meet) = &self.meet {
                meet.wait().await;
            }
            Ok(vec![self.value.lock().expect("fine").clone()])
        })
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        let span = ttl.map(|ttl| format!(" {ttl:?}")).unwrap_or_default();
        self.asked.lock().expect("fine").push(format!("set {}{span}", entries[0].0));
        *self.value.lock().expect("fine") = Some(entries[0].1.clone());
        let answer = if self.down { Err(StoreError::Unavailable("connection refused".into())) } else { Ok(()) };
        Box::pin(std::future::ready(answer))
    }

    fn swap<'a>(&'a self, _: &'a str, _: Option<&'a [u8]>, _: &'a [u8], _: Option<Duration>) -> StoreAnswer<'a, bool> {
        unreachable!("the guest does not ask for this")
    }

    fn increment<'a>(&'a self, _: &'a str, _: i64, _: Option<Duration>) -> StoreAnswer<'a, i64> {
        unreachable!("the guest does not ask for this")
    }

    fn delete<'a>(&'a self, _: &'a [String]) -> StoreAnswer<'a, u64> {
        unreachable!("the guest does not ask for this")
    }

    fn left<'a>(&'a self, _: &'a str) -> StoreAnswer<'a, Left> {
        unreachable!("the guest does not ask for this")
    }

    fn keys<'a>(&'a self, _: &'a KeyPattern, _: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        unreachable!("the guest does not ask for this")
    }
}
