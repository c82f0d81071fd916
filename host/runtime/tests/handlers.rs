//! Handlers of both worlds, called as the engine calls them.

mod support;

use std::time::Duration;

use longshore_core::{Call, Crash, Failure, Order};
use longshore_runtime::{HandlerSettings, Reuse, Runtime, Settings, SetupError, WasmHandler, World};
use longshore_testkit::guests::{self, Guest};
use support::{Mood, call, handle, handler, keyed_outputs, module, ordered, outlets, outputs, runtime};

const BOTH: [Guest; 2] = [Guest::Echo, Guest::Single];

#[tokio::test]
async fn a_batch_is_handled_and_its_outputs_come_back() {
    for guest in BOTH {
        let handler = handler(guest, |_| {});
        let done = handle(&handler, call(&["one", "", "three"])).await.expect("an answer");
        assert_eq!((done.handled, done.failures.len()), (3, 0), "{guest:?}");
        assert_eq!(outputs(&done), ["one", "", "three"], "{guest:?}");
        assert_eq!(done.outputs.iter().map(|o| o.origin()).collect::<Vec<_>>(), [0, 1, 2], "{guest:?}");
    }
}

#[tokio::test]
async fn a_run_in_the_middle_of_a_batch_is_what_the_guest_sees() {
    for guest in BOTH {
        let handler = handler(guest, |_| {});
        let middle = Call { from: 1, to: 3, ..call(&["one", "two", "three", "four"]) };
        assert_eq!(outputs(&handle(&handler, middle).await.expect("an answer")), ["two", "three"], "{guest:?}");
    }
}

#[tokio::test]
async fn every_outcome_comes_back_as_it_was_said() {
    for guest in BOTH {
        let handler = handler(guest, |_| {});
        let done = handle(&handler, call(&["fail", "good", "reject", "discard", "snooze", "fail-until:2"])).await.expect("an answer");
        let said = "asked to".to_owned();
        let expected = [
            (0, Failure::Retry(said.clone())),
            (2, Failure::Reject(said.clone())),
            (3, Failure::Discard(said)),
            (4, Failure::Snooze(Duration::from_millis(50))),
            (5, Failure::Retry("attempt 1 of 2".into())),
        ];
        assert_eq!(done.failures, expected, "{guest:?}");
        assert_eq!(outputs(&done), ["good"], "{guest:?}");
    }
}

#[tokio::test]
async fn order_decides_what_is_still_handled_after_a_failure() {
    for guest in BOTH {
        let handler = handler(guest, |_| {});
        let messages = [(Some("a"), "1"), (Some("b"), "fail"), (Some("b"), "2"), (Some("a"), "3")];
        let done = handle(&handler, ordered(Order::Lane, &messages)).await.expect("an answer");
        assert_eq!((done.handled, outputs(&done)), (2, vec!["1".to_owned()]), "{guest:?}");
        let done = handle(&handler, ordered(Order::Key, &messages)).await.expect("an answer");
        assert_eq!(done.handled, 4, "{guest:?}");
        // An SDK cannot say that a message was not tried: the engine takes this for it.
        let held_back = if guest == Guest::Single { Failure::NotTried } else { Failure::Snooze(Duration::ZERO) };
        assert_eq!(done.failures[1], (2, held_back), "{guest:?}");
        assert_eq!(keyed_outputs(&done), [("a".into(), "1".into()), ("a".into(), "3".into())], "{guest:?}");
    }
}

#[tokio::test]
async fn a_panic_crashes_its_call_and_the_next_call_works() {
    for guest in BOTH {
        let handler = handler(guest, |_| {});
        let crash = handle(&handler, call(&["panic"])).await.expect_err("a crash");
        assert!(matches!(&crash, Crash::Trap(why) if why.contains("abort")), "{guest:?}: {crash}");
        assert_eq!(outputs(&handle(&handler, call(&["after"])).await.expect("an answer")), ["after"], "{guest:?}");
        assert_eq!(handler.stats().traps, 1);
    }
}

#[tokio::test]
async fn a_panic_in_the_middle_leaves_the_finished_messages_of_a_single_guest_done() {
    let single = handler(Guest::Single, |_| {});
    let done = handle(&single, call(&["one", "two", "panic", "four"])).await.expect("an answer");
    assert_eq!((done.handled, outputs(&done)), (2, vec!["one".to_owned(), "two".into()]));
    assert_eq!(outputs(&handle(&single, call(&["four"])).await.expect("an answer")), ["four"]);
    assert_eq!(single.stats().created, 2, "the instance was replaced");
}

#[tokio::test]
async fn an_instance_is_replaced_after_its_calls() {
    for (reuse, created) in [(Reuse::Fresh, 6), (Reuse::Calls(3), 2), (Reuse::Calls(100), 1)] {
        let handler = handler(Guest::Echo, |s| s.reuse = reuse);
        for _ in 0..6 {
            handle(&handler, call(&["x"])).await.expect("an answer");
        }
        assert_eq!(handler.stats().created, created, "{reuse:?}");
    }
}

#[tokio::test]
async fn instances_grow_up_to_the_concurrency_and_not_beyond() {
    let handler = handler(Guest::Hostile, |s| {
        s.concurrency = 4;
        s.limits.deadline = 2 * support::PATIENCE;
        s.outlets = outlets(Mood::Fine).0;
    });
    for _ in 0..3 {
        handle(&handler, call(&["fine"])).await.expect("an answer");
    }
    assert_eq!(handler.stats().created, 1, "one call after another needs one instance");
    let parked = futures::future::join_all((0..6).map(|_| handle(&handler, call(&["park"]))));
    let grown = async {
        while handler.stats().busy < 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        handler.stats()
    };
    let stats = tokio::select! {
        done = parked => panic!("they are parked for longer: {done:?}"),
        stats = grown => stats,
    };
    assert_eq!((stats.busy, stats.created, stats.waits.iter().sum::<u64>()), (4, 4, 7), "two calls wait: {stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_on_many_threads_are_all_answered() {
    let handler = handler(Guest::Echo, |s| s.concurrency = 4);
    let done = futures::future::join_all((0..64).map(|_| handle(&handler, call(&["x"])))).await;
    assert!(done.iter().all(Result::is_ok) && done.len() == 64);
    let stats = handler.stats();
    assert!((1..=4).contains(&stats.created), "{stats:?}");
    assert_eq!((stats.busy, stats.waits.iter().sum::<u64>()), (0, 64), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_goes_and_comes_back_when_it_is_needed() {
    let handler = handler(Guest::Echo, |s| s.limits.deadline = Duration::from_secs(3600));
    for created in [1, 2] {
        longshore_core::Handler::handle(&handler, call(&["x"])).await.expect("an answer");
        assert_eq!((handler.stats().idle, handler.stats().created), (1, created));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(handler.stats().idle, 0, "it was idle for an hour");
    }
}

#[tokio::test]
async fn an_abandoned_call_is_interrupted_and_the_next_call_works() {
    let hostile = handler(Guest::Hostile, |s| s.concurrency = 1);
    let abandoned = tokio::time::timeout(Duration::from_millis(50), longshore_core::Handler::handle(&hostile, call(&["spin"]))).await;
    assert!(abandoned.is_err(), "it spins");
    handle(&hostile, call(&["good"])).await.expect("the only worker is free again");
    assert_eq!(hostile.stats().timeouts, 0);
}

#[tokio::test]
async fn no_room_for_another_instance_is_nobodys_fault_and_passes() {
    let runtime = Runtime::new(&Settings { instances: 1, ..Settings::default() }).expect("starts");
    let set_up = |guest, name: &str| {
        let module = runtime.load(&guests::path(guest)).expect("loads");
        let mut settings = HandlerSettings::new(name);
        (settings.reuse, settings.limits.deadline) = (Reuse::Fresh, Duration::from_millis(300));
        settings.outlets = outlets(Mood::Fine).0;
        WasmHandler::new(&runtime, &module, settings).expect("is set up")
    };
    let (parked, echo) = (set_up(Guest::Hostile, "parked"), set_up(Guest::Echo, "echo"));
    let refused = async {
        while parked.stats().busy == 0 {
            tokio::task::yield_now().await;
        }
        handle(&echo, call(&["x"])).await.expect_err("the only instance is taken")
    };
    let (timeout, refused) = tokio::join!(handle(&parked, call(&["park"])), refused);
    assert!(matches!(timeout, Err(Crash::Timeout(_))), "{timeout:?}");
    assert!(matches!(&refused, Crash::Host(why) if why.contains("no room")), "{refused}");
    let again = async {
        loop {
            match handle(&echo, call(&["x"])).await {
                Ok(done) => return done,
                Err(crash) => assert_eq!(crash.class(), "host"),
            }
        }
    };
    assert_eq!(outputs(&tokio::time::timeout(support::PATIENCE, again).await.expect("room again")), ["x"]);
}

#[tokio::test]
async fn idle_instances_make_room_for_others_and_the_longest_idle_goes_first() {
    let runtime = Runtime::new(&Settings { instances: 2, ..Settings::default() }).expect("starts");
    let module = runtime.load(&guests::path(Guest::Echo)).expect("loads");
    let [a, b, c] = ["a", "b", "c"].map(|name| WasmHandler::new(&runtime, &module, HandlerSettings::new(name)).expect("is set up"));
    let idle = || [&a, &b, &c].map(|handler| handler.stats().idle);
    for handler in [&a, &b, &a] {
        handle(handler, call(&["x"])).await.expect("an answer");
    }
    assert_eq!(idle(), [1, 1, 0]);
    for (handler, left) in [(&c, [1, 0, 1]), (&b, [0, 1, 1]), (&b, [0, 1, 1]), (&a, [1, 1, 0])] {
        assert_eq!(outputs(&handle(handler, call(&["x"])).await.expect("room is made")), ["x"]);
        assert_eq!(idle(), left);
    }
    assert_eq!([&a, &b, &c].map(|handler| handler.stats().created), [2, 2, 1]);
    drop(a);
    tokio::task::yield_now().await;
    handle(&c, call(&["x"])).await.expect("room");
    assert_eq!((b.stats().idle, c.stats().idle), (1, 1), "what a dropped handler had was free");
}

#[tokio::test]
async fn limits_without_end_do_not_overflow() {
    let handler = handler(Guest::Echo, |s| (s.limits.deadline, s.limits.cpu) = (Duration::MAX, Duration::MAX));
    assert_eq!(outputs(&handle(&handler, call(&["x"])).await.expect("an answer")), ["x"]);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let refused = |guest, change: fn(&mut HandlerSettings)| {
        let mut settings = HandlerSettings::new("billing");
        change(&mut settings);
        WasmHandler::new(&runtime(), &module(guest), settings).expect_err("refused")
    };
    assert!(matches!(refused(Guest::PullJob, |_| {}), SetupError::World { world: World::Job, .. }));
    assert!(matches!(refused(Guest::Echo, |s| s.concurrency = 0), SetupError::Zero { key: "concurrency", .. }));
    assert!(matches!(refused(Guest::Echo, |s| s.reuse = Reuse::Calls(0)), SetupError::Zero { key: "reuse", .. }));
    let memory = refused(Guest::Echo, |s| s.limits.memory = 2 << 30);
    assert!(memory.to_string().contains("billing"), "{memory}");
}
