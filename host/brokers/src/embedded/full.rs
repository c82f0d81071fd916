//! Tests of a full disk, as SQLite tells it: the file may have no page more.

use std::time::Duration;

use longshore_core::{Clock, Connect, Fix, PublishError, SettleError};

use super::backend::{Threads, begin};
use super::config::Config;
use super::tables::SqliteTables;
use super::trouble::trouble;
use crate::local::{Broker, Local};

#[allow(dead_code, reason = "shared with the tests of the whole crate")]
#[path = "../../tests/support/work.rs"]
mod work;

use work::{hand, publish, push};

/// Lets the database have so many pages; as many as it has where that is more.
async fn allow_pages(local: &Local<Threads>, pages: u32) {
    let set = move |broker: &mut Broker<SqliteTables>, _| {
        let connection = broker.tables().connection();
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(trouble)
    };
    local.run(set).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_all_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().into();
    let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
    let local = begin(Config::default(), connect).await.unwrap();
    let roles = local.roles();
    publish(&roles, "t", &["a", "b"]).await.unwrap();
    let mut held = hand(&roles, "t", "g").await;
    held.fetch(2).await;
    allow_pages(&local, 1).await;

    let payload = "x".repeat(100_000);
    let error = publish(&roles, "full", &[&payload]).await.unwrap_err();
    assert!(matches!(&error, PublishError::Unavailable(what) if what.contains("no room")), "{error:?}");
    let mut outbox = longshore_core::Outbox::default();
    push(&mut outbox, "out", &payload, 0);
    held.done(0).again(1, Duration::ZERO, 2, 1).outputs(outbox);
    for _ in 0..2 {
        let error = held.try_settle().await.unwrap_err();
        assert!(matches!(&error, SettleError::Broker(e) if e.fix == Fix::Retry && e.what.contains("no room")), "{error:?}");
    }
    let groups = roles.groups.as_ref().unwrap().list().await.unwrap();
    assert_eq!((groups[0].position, groups[0].retries), (0, 0), "nothing of the round stands");

    allow_pages(&local, 1_000_000).await;
    held.settle().await;
    publish(&roles, "t", &["c"]).await.unwrap();
    let first = held.fetch(2).await;
    let mut got = held.payloads_from(first);
    got.sort();
    assert_eq!(got, ["b", "c"]);
    let mut reader = hand(&roles, "out", "g").await;
    reader.fetch(1).await;
    assert_eq!(roles.topics.as_ref().unwrap().list().await.unwrap()[0].messages, 1, "the output is there once");
}
