//! Whose the file is, and what state it is in: a clear error each, nothing recreated, nothing lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use longshore_core::{BrokerError, Fix, Message, Order, Outbox, headers};
use longshore_testkit::conformance::Hand;
use serde_json::json;
use support::work::{hand, lane, publish, push};
use support::{connect_in, crash, open, until};
use tempfile::tempdir;

/// The database is refused with an error that says so, and not a byte of it has changed.
async fn refused(folder: &Path, words: &[&str]) -> BrokerError {
    let before = fs::read(folder.join("longshore.db")).ok();
    let error = open(folder, json!({})).await.err().expect("it is refused");
    assert!(error.fix.is_human(), "only a human mends it: {error}");
    for word in words {
        assert!(error.what.contains(word), "{error} does not say {word:?}");
    }
    assert_eq!(fs::read(folder.join("longshore.db")).ok(), before, "the file was changed");
    error
}

/// A database with something in it, closed.
async fn used() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &vec!["x".repeat(3000); 200]).await.unwrap();
    roles.connection.close().await.unwrap();
    folder
}

#[tokio::test]
async fn a_second_user_of_the_file_is_refused_and_the_first_goes_on() {
    let folder = tempdir().unwrap();
    let first = open(folder.path(), json!({})).await.unwrap();
    refused(folder.path(), &["in use by this process", "longshore.db"]).await;
    publish(&first, "t", &["a"]).await.unwrap();
    first.connection.close().await.unwrap();
    open(folder.path(), json!({})).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("longshore.db"), "my thesis, chapter one ".repeat(100)).unwrap();
    refused(folder.path(), &["longshore.db", "not a database"]).await;
}

#[tokio::test]
async fn the_database_of_another_application_is_refused() {
    let folder = tempdir().unwrap();
    let foreign = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    foreign.execute_batch("CREATE TABLE topics(id INTEGER)").unwrap();
    drop(foreign);
    refused(folder.path(), &["another application"]).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_naming_both_versions() {
    let folder = used().await;
    let newer = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    refused(folder.path(), &["99", "newer longshore"]).await;
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = used().await;
    let older = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    older.execute_batch("DROP TABLE inbox; DROP INDEX retries_position; PRAGMA user_version = 1").unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    older.execute_batch("SELECT 1 FROM retries INDEXED BY retries_position WHERE lane = 1 AND position = 1").unwrap();
    older.execute_batch("SELECT 1 FROM inbox WHERE until > 0").unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(200).await;
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_what_to_do() {
    let folder = used().await;
    let path = folder.path().join("longshore.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100..8192].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = refused(folder.path(), &["damaged", "backup"]).await;
    assert_eq!(error.fix, Fix::Repair, "no other configuration helps");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    // `/proc` is a folder that nobody writes to, whoever the test runs as.
    let error = open(Path::new("/proc"), json!({})).await.err().unwrap();
    assert!(error.fix == Fix::GiveUp && error.what.contains("/proc/longshore.db"), "{error}");
    let error = open(Path::new("/nowhere"), json!({})).await.err().unwrap();
    assert!(error.what.contains("no folder /nowhere"), "{error}");
}

#[tokio::test]
async fn a_clean_end_leaves_one_file_and_counts_no_delivery() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    roles.connection.close().await.unwrap();
    drop((held, roles));
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(files.iter().all(|name| name == "longshore.db" || name == "longshore.db.lock"), "{files:?}");
    let roles = open(folder.path(), json!({})).await.unwrap();
    let mut next = hand(&roles, "t", "g").await;
    next.fetch(1).await;
    assert_eq!((next.got.facts(0).deliveries, next.got.facts(0).unanswered), (1, 0));
}

#[tokio::test]
async fn each_crash_counts_a_delivery_until_there_is_an_outcome() {
    let mut folder = tempdir().unwrap();
    for crashes in 0..3 {
        let roles = open(folder.path(), json!({})).await.unwrap();
        if crashes == 0 {
            publish(&roles, "t", &["a", "b"]).await.unwrap();
        }
        let mut held = hand(&roles, "t", "g").await;
        held.fetch(2).await;
        let facts = held.got.facts(0);
        assert_eq!((facts.deliveries, facts.unanswered, held.got.get(0).attempt), (crashes + 1, crashes, 1));
        folder = crash(folder.path());
    }
    let roles = open(folder.path(), json!({})).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(2).await;
    held.done(1).again(0, Duration::ZERO, 2, 1).settle().await;
    let again = held.fetch(1).await;
    assert_eq!((held.got.facts(again).deliveries, held.got.facts(again).unanswered), (5, 0), "an outcome ends the row");
    let folder = crash(folder.path());
    let roles = open(folder.path(), json!({})).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    assert_eq!((held.got.facts(0).deliveries, held.got.facts(0).unanswered), (6, 1), "a retry that was held counts too");
}

#[tokio::test]
async fn a_lane_that_nobody_reads_counts_no_crash() {
    let mut folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    hand(&roles, "t", "g").await.fetch(1).await;
    roles.connection.close().await.unwrap();
    for _ in 0..25 {
        let roles = open(folder.path(), json!({})).await.unwrap();
        let left = crash(folder.path());
        drop(roles);
        folder = left;
    }
    let roles = open(folder.path(), json!({})).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    assert_eq!((held.got.facts(0).deliveries, held.got.facts(0).unanswered), (1, 0));
}

#[tokio::test]
async fn a_lane_that_was_left_counts_no_crash() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"tidy-interval": "5ms"})).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    hand(&roles, "t", "g").await.fetch(1).await;
    let looking = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    until(async || looking.query_row("SELECT held FROM lanes", [], |row| row.get::<_, u32>(0)).unwrap() == 0).await;
    let left = crash(folder.path());
    let roles = open(left.path(), json!({})).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    assert_eq!(held.got.facts(0).unanswered, 0);
}

#[tokio::test]
async fn a_broker_that_nobody_has_any_more_leaves_its_file_clean() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    drop((held, roles));
    let roles = open(folder.path(), json!({})).await.expect("the file is free once the last user is gone");
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    assert_eq!(held.got.facts(0).unanswered, 0, "it was given back, and no crash took it");
}

#[tokio::test]
async fn a_damaged_message_is_set_aside_and_the_others_come() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &["a", "b"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(2).await;
    held.again(0, Duration::ZERO, 2, 1).again(1, Duration::ZERO, 2, 1).settle().await;
    let mut outbox = Outbox::default();
    ["c", "d"].iter().for_each(|payload| push(&mut outbox, "later", payload, 300));
    roles.publisher.as_ref().unwrap().publish(&outbox).await.unwrap();
    roles.connection.close().await.unwrap();
    let file = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    let damage = "UPDATE retries SET row = x'00' WHERE position = 1; UPDATE delayed SET row = x'00' WHERE id = 1";
    file.execute_batch(damage).unwrap();
    drop(file);

    let roles = open(folder.path(), json!({})).await.unwrap();
    let mut held = Hand::new(lane(&roles, "t", "g", Order::Lane).await, None);
    assert_eq!(held.lane.waiting.iter().map(|w| w.position).collect::<Vec<_>>(), [2], "nothing waits for what cannot come");
    held.fetch(1).await;
    assert_eq!(held.payloads(), ["b"]);
    let mut later = hand(&roles, "later", "g").await;
    later.fetch(1).await;
    assert_eq!(later.payloads(), ["d"]);
}

#[tokio::test]
async fn a_retry_whose_time_could_not_be_read_comes_all_the_same() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    held.again(0, Duration::ZERO, 2, 1).settle().await;
    drop(held);
    let file = rusqlite::Connection::open(folder.path().join("longshore.db")).unwrap();
    file.execute_batch("ALTER TABLE retries RENAME TO away").unwrap();
    let mut held = Hand::new(lane(&roles, "t", "g", Order::None).await, None);
    file.execute_batch("ALTER TABLE away RENAME TO retries").unwrap();
    held.fetch(1).await;
    assert_eq!(held.payloads(), ["a"]);
}

#[tokio::test]
async fn topics_that_nobody_made_are_refused_where_they_must_be_made() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"auto-create-topics": false})).await.unwrap();
    let error = publish(&roles, "t", &["a"]).await.unwrap_err();
    assert!(error.to_string().contains("longshore topics create t"), "{error}");
    roles.topics.as_ref().unwrap().create("t", &Default::default()).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_makes_its_topic_whatever_else_may() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"auto-create-topics": false})).await.unwrap();
    roles.topics.as_ref().unwrap().create("t", &Default::default()).await.unwrap();
    publish(&roles, "t", &["a"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(1).await;
    let round = |headers: &[(&str, &[u8])]| {
        let mut outbox = Outbox::default();
        let (headers, payload) = (headers.iter().copied(), Some(&b"a"[..]));
        outbox.push(&Message { id: "t/1", topic: "t.g.dlq", key: None, payload, headers, timestamp: 1, attempt: 1 }, 0, 1);
        outbox
    };
    held.done(0).outputs(round(&[("mine", b"1")]));
    let error = held.try_settle().await.unwrap_err().to_string();
    assert!(error.contains("auto-create-topics"), "any other output is refused: {error}");
    held.outputs(round(&[(headers::DEAD_REASON, b"rejected")])).settle().await;
    assert_eq!(roles.topics.as_ref().unwrap().list().await.unwrap()[1].name, "t.g.dlq");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_both_sizes() {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({"max-message-size": "1KiB"})).await.unwrap();
    let error = publish(&roles, "t", &["x".repeat(2000)]).await.unwrap_err().to_string();
    assert!(error.contains("20") && error.contains("max-message-size = 1KiB"), "{error}");
    publish(&roles, "t", &["x".repeat(900)]).await.unwrap();
}

#[test]
fn an_unknown_key_is_an_error() {
    let registration = longshore_brokers::ADAPTERS.iter().find(|adapter| adapter.name == "embedded").unwrap();
    let error = (registration.connect)(json!({"paht": "x"}), connect_in(".".as_ref())).err().unwrap();
    assert!(error.to_string().contains("paht"), "{error}");
}
