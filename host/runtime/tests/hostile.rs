//! A guest that breaks every rule it can: the host survives, says which rule, and the next call works.

mod support;

use std::time::Duration;

use longshore_core::{Crash, Handler, Limits};
use longshore_runtime::{HandlerSettings, WasmHandler};
use longshore_testkit::guests::Guest;
use support::{Mood, call, handle, handler, outlets};
use tokio::time::Instant;

fn limits() -> Limits {
    Limits { deadline: Duration::from_secs(20), cpu: Duration::from_secs(10), ..Limits::default() }
}

fn hostile(change: impl FnOnce(&mut HandlerSettings)) -> WasmHandler {
    handler(Guest::Hostile, |settings| {
        settings.limits = limits();
        change(settings);
    })
}

/// Misbehaves once, then checks that the same handler still works.
async fn crash(handler: &WasmHandler, word: &str) -> Crash {
    let crash = handle(handler, call(&["fine", word])).await.expect_err(word);
    let done = handle(handler, call(&["fine"])).await.unwrap_or_else(|e| panic!("after {word}: {e}"));
    assert_eq!(done.handled, 1);
    crash
}

fn is_timeout(crash: &Crash, of: &str) -> bool {
    matches!(crash, Crash::Timeout(what) if what.contains(of))
}

fn is_trap(crash: &Crash, why: &str) -> bool {
    matches!(crash, Crash::Trap(what) if what.contains(why))
}

#[tokio::test]
async fn a_spinning_guest_is_stopped_when_its_computing_time_is_over() {
    let handler = hostile(|s| s.limits.cpu = Duration::from_millis(100));
    let begun = Instant::now();
    let crash = crash(&handler, "spin").await;
    assert!(is_timeout(&crash, "computing"), "{crash}");
    assert!(begun.elapsed() >= Duration::from_millis(100), "not before its budget");
    assert_eq!(handler.stats().timeouts, 1);
}

#[tokio::test]
async fn a_spinning_guest_is_stopped_at_the_deadline() {
    let handler = hostile(|s| s.limits.deadline = Duration::from_millis(100));
    let crash = crash(&handler, "spin").await;
    assert!(is_timeout(&crash, "wall time"), "{crash}");
}

#[tokio::test]
async fn a_spinning_guest_does_not_hold_up_another_handler_on_its_thread() {
    // Far more time than the other handler's calls take: unless they get their turns, it is all used up before them.
    let spinning = hostile(|s| (s.limits.cpu, s.limits.deadline) = (support::PATIENCE / 4, support::PATIENCE));
    let other = handler(Guest::Echo, |_| {});
    handle(&other, call(&["warm"])).await.expect("an answer");
    let others = async {
        while spinning.stats().busy == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            handle(&other, call(&["x"])).await.expect("an answer");
        }
        (spinning.stats().busy, spinning.stats().timeouts)
    };
    tokio::select! {
        spun = spinning.handle(call(&["spin"])) => panic!("it spins for longer: {spun:?}"),
        spins = others => assert_eq!(spins, (1, 0), "the calls got through while it span"),
    }
}

#[tokio::test]
async fn a_guest_parked_in_a_host_call_is_woken_by_the_deadline_and_not_charged_for_waiting() {
    let handler = hostile(|s| {
        s.limits.deadline = Duration::from_millis(400);
        s.limits.cpu = Duration::from_millis(50);
        s.outlets = outlets(Mood::Fine).0;
    });
    let crash = crash(&handler, "park").await;
    assert!(is_timeout(&crash, "wall time"), "{crash}");
}

#[tokio::test]
async fn endless_allocation_ends_as_a_memory_failure() {
    let handler = hostile(|s| s.limits.memory = 32 << 20);
    let crash = crash(&handler, "allocate").await;
    assert!(matches!(&crash, Crash::Memory(what) if what.contains("32 MiB")), "{crash}");
    assert_eq!(handler.stats().memory, 1);
}

#[tokio::test]
async fn a_component_that_cannot_even_start_within_its_memory_says_so() {
    let handler = hostile(|s| s.limits.memory = 64 << 10);
    assert!(handler.smoke().await.is_err());
    let crash = handle(&handler, call(&["fine"])).await.expect_err("no room");
    assert!(matches!(crash, Crash::Memory(_)), "{crash}");
}

#[tokio::test]
async fn traps_exits_and_deep_recursion_are_told_apart() {
    let handler = hostile(|_| {});
    for (word, why) in [("trap", "unreachable"), ("exit", "exit("), ("recurse", "recursed too deeply")] {
        let crash = crash(&handler, word).await;
        assert!(is_trap(&crash, why), "{word}: {crash}");
    }
}

#[tokio::test]
async fn a_lying_answer_is_not_believed() {
    let handler = hostile(|_| {});
    for (word, why) in [
        ("count-zero", "0 messages of a call of 2"),
        ("count-too-many", "3 messages of a call of 2"),
        ("bad-index", "failure of message 2"),
        ("descending", "behind one of"),
        ("bad-utf8", "not UTF-8"),
        ("bad-destination", "destination 7"),
        ("bad-origin", "origin 2"),
        ("bad-size", "size"),
        ("bad-length", "lengths"),
    ] {
        let crash = crash(&handler, word).await;
        assert!(is_trap(&crash, "malformed answer") && is_trap(&crash, why), "{word}: {crash}");
    }
}

#[tokio::test]
async fn an_answer_larger_than_the_host_takes_is_a_crash() {
    let handler = hostile(|s| {
        s.limits.memory = 128 << 20;
        s.limits.output_size = 1 << 20;
    });
    let crash = crash(&handler, "huge-answer").await;
    assert!(matches!(crash, Crash::Trap(_)), "{crash}");
}

#[tokio::test]
async fn a_flood_of_outputs_comes_back_when_its_bytes_fit_and_crashes_when_not() {
    let fits = hostile(|_| {});
    let done = handle(&fits, call(&["output-flood"])).await.expect("the engine fails the message, not the runtime");
    assert!(done.outputs.len() > fits_limit(), "{}", done.outputs.len());
    let small = hostile(|s| s.limits.output_size = 1 << 20);
    let crash = crash(&small, "output-flood").await;
    assert!(matches!(crash, Crash::Trap(_)), "{crash}");
}

fn fits_limit() -> usize {
    Limits::default().outputs
}

#[tokio::test]
async fn a_poison_message_alone_is_poison_and_the_others_are_not() {
    let handler = hostile(|_| {});
    for word in ["fine", "trap", "fine"] {
        assert_eq!(handle(&handler, call(&[word])).await.is_err(), word == "trap");
    }
}
