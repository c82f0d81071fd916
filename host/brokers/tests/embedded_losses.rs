//! The losses of the field, by name. That a failed handler has published nothing is the engine's: an adapter publishes what it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use longshore_core::Clock;
use serde_json::json;
use support::work::{hand, publish};
use support::{crash, open};

#[tokio::test]
async fn a_success_after_a_failure_does_not_commit_past_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let roles = open(folder.path(), json!({})).await.expect("a new folder");
    publish(&roles, "t", &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, "t", "g").await;
    first.fetch(3).await;
    first.done(1).settle().await;
    first.done(2).settle().await;
    let left = crash(folder.path());
    let roles = open(left.path(), json!({})).await.expect("what the crash left");
    let mut next = hand(&roles, "t", "g").await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.facts(0).unanswered), (vec!["a".into()], 1));
    next.done(0).settle().await;
    publish(&roles, "t", &["d"]).await.expect("published");
    next.fetch(1).await;
    assert_eq!(next.payloads(), ["a", "d"], "b and c are finished");
}

#[tokio::test]
async fn a_late_ack_after_revocation_does_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let roles = open(folder.path(), json!({})).await.expect("a new folder");
    publish(&roles, "t", &["a"]).await.expect("published");
    let mut first = hand(&roles, "t", "g").await;
    first.fetch(1).await;
    roles.topics.as_ref().expect("it has topics").purge("t").await.expect("purged");
    tokio::time::timeout(Duration::from_secs(10), &mut first.lane.revoked).await.expect("the lane is revoked");
    publish(&roles, "t", &["b"]).await.expect("published");
    // Whether it is told or ignored, it changes nothing.
    drop(first.done(0).try_settle().await);
    drop(first);
    let mut next = hand(&roles, "t", "g").await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.facts(0).unanswered), (vec!["b".into()], 0));
}

#[tokio::test]
async fn retry_count_and_due_time_survive_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let roles = open(folder.path(), json!({})).await.expect("a new folder");
    publish(&roles, "t", &["a"]).await.expect("published");
    let mut first = hand(&roles, "t", "g").await;
    first.fetch(1).await;
    let before = Clock::system().now();
    first.again(0, Duration::from_millis(1500), 4, 77).settle().await;
    // What a process leaves that is killed now.
    let left = crash(folder.path());
    let roles = open(left.path(), json!({})).await.expect("what the crash left");
    let mut next = hand(&roles, "t", "g").await;
    next.fetch(1).await;
    let waited = Clock::system().now() - before;
    assert!(waited >= 1500, "it was to wait 1500 ms and came after {waited}");
    assert_eq!((next.payloads(), next.got.get(0).attempt, next.got.facts(0).first_failed_at), (vec!["a".into()], 4, 77));
}
