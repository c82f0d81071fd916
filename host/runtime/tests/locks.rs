//! Locks that guests take: what they ask for reaches the store, and nothing is left of it when their call is over, however that ends.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{Crash, GrantedLocks, GrantedStores, Held, HeldPage, KeyPattern, Lease, Locks, Owner, StoreAnswer, StoreError, Wish};
use longshore_runtime::WasmHandler;
use longshore_testkit::guests::Guest;
use support::{call, handle, handler, outputs};

/// Locks that note what is asked of them. `held` is another's, `down` cannot be reached.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl Noted {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().expect("fine").push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("fine").clone()
    }

    fn handler(&self, deadline: Duration) -> WasmHandler {
        handler(Guest::Stores, |settings| {
            settings.limits.deadline = deadline;
            let locks = GrantedLocks::new(vec![
                (KeyPattern::new("charge:*"), Arc::new(self.clone())),
                (KeyPattern::new("down"), Arc::new(self.clone())),
            ]);
            settings.stores = GrantedStores { locks, ..GrantedStores::default() };
        })
    }
}

fn answer<'a, T: Send + 'a>(answer: T) -> StoreAnswer<'a, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

impl Locks for Noted {
    fn acquire<'a>(&'a self, wish: Wish) -> StoreAnswer<'a, Option<Arc<dyn Lease>>> {
        let Wish { name, ttl, wait, holder: Owner { host, handler, message } } = wish;
        self.note(format!("acquire {name} {ttl:?} {wait:?} for {host:?} {handler} {message}"));
        match name.as_str() {
            "down" => Box::pin(std::future::ready(Err(StoreError::Unavailable("connection refused".into())))),
            "charge:held" if wait.is_zero() => answer(None),
            // Cut off before that.
            "charge:held" => Box::pin(std::future::pending()),
            _ => answer(Some(Arc::new(NotedLease { notes: self.clone(), name }) as Arc<dyn Lease>)),
        }
    }

    fn held<'a>(&'a self, name: &'a str) -> StoreAnswer<'a, Option<Held>> {
        self.note(format!("held {name}"));
        answer(None)
    }

    fn list<'a>(&'a self, _: &'a KeyPattern, _: Option<&'a str>) -> StoreAnswer<'a, HeldPage> {
        unreachable!("no guest can ask for this")
    }

    fn evict<'a>(&'a self, _: &'a str, _: u64) -> StoreAnswer<'a, bool> {
        unreachable!("no guest can ask for this")
    }
}

struct NotedLease {
    notes: Noted,
    name: String,
}

impl Lease for NotedLease {
    fn fence(&self) -> u64 {
        7
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn renew<'a>(&'a self, ttl: Duration) -> StoreAnswer<'a, bool> {
        self.notes.note(format!("renew {} {ttl:?}", self.name));
        answer(self.name != "charge:lost")
    }

    fn keep(&self) -> bool {
        self.notes.note(format!("keep {}", self.name));
        true
    }

    fn release<'a>(&'a self) -> StoreAnswer<'a, bool> {
        self.notes.note(format!("release {}", self.name));
        answer(true)
    }
}

impl Drop for NotedLease {
    fn drop(&mut self) {
        self.notes.note(format!("drop {}", self.name));
    }
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_a_guest_asks_of_a_lock_reaches_it_and_says_for_whom() {
    let notes = Noted::default();
    let handler = notes.handler(LONG);
    let done = handle(&handler, call(&["lock charge:1"])).await.expect("an answer");
    assert_eq!(outputs(&done), ["ok"]);
    let noted = notes.all();
    assert!(noted[0].starts_with("acquire charge:1 1s 0ns for \"\" "), "{noted:?}");
    assert!(!noted[0].ends_with(' '), "the message has an id: {noted:?}");
    assert_eq!(noted[1..], ["renew charge:1 1s", "keep charge:1", "release charge:1", "drop charge:1"], "once each");
}

#[tokio::test]
async fn refusals_are_answers_and_never_traps() {
    let notes = Noted::default();
    let handler = notes.handler(LONG);
    let touches = ["lock stock", "lock charge:held", "lock down", "lock charge:lost"];
    let done = handle(&handler, call(&touches)).await.expect("an answer");
    let told = outputs(&done);
    assert!(told[0].contains(r#"add it to its stores = { locks = ["stock"] }"#), "{told:?}");
    let conflict = "somebody else holds it or changed it first";
    assert_eq!(told[1..], [conflict, "unavailable: connection refused", conflict]);
}

#[tokio::test]
async fn a_guard_that_a_guest_forgets_is_released_at_the_end_of_its_call() {
    let notes = Noted::default();
    let handler = notes.handler(LONG);
    for round in 1..3 {
        let done = handle(&handler, call(&["leak charge:1"])).await.expect("an answer");
        assert_eq!(outputs(&done), ["ok"]);
        let dropped = notes.all().iter().filter(|note| *note == "drop charge:1").count();
        assert_eq!(dropped, round, "before the answer is told: {:?}", notes.all());
    }
}

/// Ten thousand handles are all that an instance may have.
#[tokio::test]
async fn a_guest_that_forgets_every_guard_goes_on_in_a_new_instance() {
    let notes = Noted::default();
    let handler = notes.handler(LONG);
    for round in 0..4 {
        let done = handle(&handler, call(&["leak charge:1"; 3000])).await.expect("an answer");
        assert!(outputs(&done).iter().all(|went| went == "ok"), "in round {round}: {:?}", outputs(&done).last());
    }
}

#[tokio::test]
async fn a_trap_releases_what_the_guest_held() {
    let notes = Noted::default();
    let handler = notes.handler(LONG);
    let trapped = handle(&handler, call(&["trap charge:1"])).await;
    assert!(matches!(trapped, Err(Crash::Trap(_))), "{trapped:?}");
    assert_eq!(notes.all().last().map(String::as_str), Some("drop charge:1"));
}

#[tokio::test]
async fn a_guest_that_is_cut_off_while_it_waits_releases_what_it_held() {
    let notes = Noted::default();
    let handler = notes.handler(Duration::from_millis(200));
    let cut = handle(&handler, call(&["wait charge:1"])).await;
    assert!(matches!(cut, Err(Crash::Timeout(_))), "{cut:?}");
    let noted = notes.all();
    assert!(noted.iter().any(|note| note.starts_with("acquire charge:held")), "{noted:?}");
    assert_eq!(noted.last().map(String::as_str), Some("drop charge:1"));
}
