//! Jobs: a program that pulls what the engine offers.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use longshore_core::{Crash, Done, Failure, Handler};
use longshore_runtime::{Inbox, Job, JobSettings, Outlook, SetupError, World, inbox};
use longshore_testkit::guests::Guest;
use support::{Mood, call, module, outlets, outputs, runtime};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn job(change: impl FnOnce(&mut JobSettings)) -> Job {
    let mut settings = JobSettings::new("puller");
    settings.config = HashMap::from([("subscription".into(), "orders".into()), ("to".into(), "out".into())]);
    settings.outlets = outlets(Mood::Fine).0;
    change(&mut settings);
    Job::new(&runtime(), &module(Guest::PullJob), settings).expect("is set up")
}

fn pulling(outlook: Outlook) -> impl FnOnce(&mut JobSettings) {
    |settings| settings.subscriptions = HashMap::from([("orders".into(), outlook)])
}

/// Offers a call, but does not wait for ever.
async fn offer(inbox: &Inbox, payloads: &[&str]) -> Result<Done, Crash> {
    timeout(support::PATIENCE, inbox.handle(call(payloads))).await.expect("an answer in time")
}

async fn run(job: &Job) -> Result<Result<(), String>, Crash> {
    timeout(support::PATIENCE, job.run(CancellationToken::new())).await.expect("the job ends")
}

#[tokio::test]
async fn a_job_pulls_settles_and_publishes() {
    let (inbox, outlook) = inbox("orders");
    let job = job(pulling(outlook));
    let (ran, first, second) = tokio::join!(run(&job), offer(&inbox, &["one", "two"]), offer(&inbox, &["three"]));
    assert_eq!(ran, Ok(Ok(())));
    let first = first.expect("an answer");
    assert_eq!((first.handled, outputs(&first)), (2, vec!["ONE".to_owned(), "TWO".into()]));
    assert_eq!(outputs(&second.expect("an answer")), ["THREE"]);
}

#[tokio::test]
async fn a_subscription_that_is_not_granted_is_denied() {
    let ran = run(&job(|_| {})).await.expect("no crash");
    assert!(ran.as_ref().is_err_and(|text| text.contains("may not pull from")), "{ran:?}");
}

#[tokio::test]
async fn a_delivery_whose_output_is_not_granted_stays_unsettled_and_comes_again() {
    let (inbox, outlook) = inbox("orders");
    let job = job(|settings| {
        pulling(outlook)(settings);
        settings.outlets.grants.clear();
    });
    let (ran, done) = tokio::join!(run(&job), offer(&inbox, &["one", "two"]));
    let ran = ran.expect("no crash");
    assert!(ran.as_ref().is_err_and(|text| text.contains("may not publish")), "{ran:?}");
    assert_eq!(done.expect("an answer").failures, [(0, Failure::NotTried), (1, Failure::NotTried)]);
}

#[tokio::test]
async fn what_a_job_leaves_when_it_ends_was_not_tried_whether_it_received_it_or_not() {
    let (inbox, outlook) = inbox("orders");
    let job = job(|settings| {
        pulling(outlook)(settings);
        settings.outlets.grants.clear();
    });
    // More than the guest receives at once: it fails over the first, and the last have never left the inbox.
    let (ran, done) = tokio::join!(run(&job), offer(&inbox, &["x"; 150]));
    assert!(ran.expect("no crash").is_err());
    let failures = done.expect("an answer").failures;
    assert_eq!(failures.len(), 150);
    assert!(failures.iter().all(|(_, failure)| *failure == Failure::NotTried), "{failures:?}");
}

#[tokio::test]
async fn a_job_is_ended_over_outputs_by_its_own_limit() {
    let payload = "x".repeat(8 << 20);
    for (output_size, ends_well) in [(16 << 20, true), (1 << 20, false)] {
        let (inbox, outlook) = inbox("orders");
        let job = job(|settings| {
            pulling(outlook)(settings);
            settings.output_size = output_size;
            settings.outlets.brokers[0].max_message_size = usize::MAX;
        });
        let payloads = [payload.as_str()];
        let (ran, done) = tokio::join!(run(&job), offer(&inbox, &payloads));
        assert_eq!(ran.is_ok(), ends_well, "{output_size}: {ran:?}");
        assert_eq!(done.expect("an answer").failures.is_empty(), ends_well, "{output_size}");
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_job_ends_with_the_job() {
    let (inbox, outlook) = inbox("orders");
    let job = job(pulling(outlook));
    let ends = async {
        tokio::task::yield_now().await;
        drop(job);
    };
    let (crash, ()) = tokio::join!(offer(&inbox, &["one"]), ends);
    assert!(matches!(crash, Err(Crash::Host(_))), "{crash:?}");
}

#[tokio::test]
async fn a_job_that_is_gone_uses_no_attempt() {
    let (inbox, outlook) = inbox("orders");
    drop(job(pulling(outlook)));
    let crash = offer(&inbox, &["one"]).await.expect_err("nobody is there");
    assert!(matches!(&crash, Crash::Host(what) if what.contains("orders")), "{crash}");
}

#[tokio::test]
async fn a_stopping_job_ends_although_it_waits_for_messages() {
    let (_inbox, outlook) = inbox("orders");
    let job = job(pulling(outlook));
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(timeout(support::PATIENCE, job.run(stop)).await.expect("ends"), Ok(Ok(())));
}

#[tokio::test]
async fn a_message_that_the_engine_took_back_is_not_given_to_a_job() {
    let (inbox, outlook) = inbox("orders");
    let abandoned = timeout(Duration::from_millis(1), inbox.handle(call(&["gone"]))).await;
    assert!(abandoned.is_err());
    let job = job(pulling(outlook));
    let (ran, done) = tokio::join!(run(&job), offer(&inbox, &["here"]));
    assert_eq!(ran, Ok(Ok(())));
    assert_eq!(outputs(&done.expect("an answer")), ["HERE"]);
}

#[test]
fn a_handler_is_no_job() {
    let error = Job::new(&runtime(), &module(Guest::Echo), JobSettings::new("puller")).err().expect("refused");
    assert!(matches!(error, SetupError::World { world: World::Batched, .. }), "{error}");
}
