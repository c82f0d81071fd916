//! Every test guest is used: a guest that is added and not tried here does not compile.

mod support;

use longshore_runtime::{Job, JobSettings};
use longshore_testkit::guests::Guest;
use support::{call, handle, handler, module, runtime};

#[tokio::test]
async fn every_guest_runs_on_this_host() {
    for guest in Guest::ALL {
        match guest {
            Guest::Echo | Guest::Single | Guest::Hostile | Guest::Env | Guest::Bench => answers(guest, "x").await,
            Guest::Stores => answers(guest, "cache sessions").await,
            Guest::PullJob => {
                Job::new(&runtime(), &module(guest), JobSettings::new("puller")).expect("is set up");
            }
        }
    }
}

async fn answers(guest: Guest, payload: &str) {
    let handler = handler(guest, |_| {});
    handler.smoke().await.expect("starts");
    let done = handle(&handler, call(&[payload])).await.unwrap_or_else(|e| panic!("{guest:?}: {e}"));
    assert_eq!((done.handled, done.failures.len()), (1, 0), "{guest:?}");
}
