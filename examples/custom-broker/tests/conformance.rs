//! The spool under the conformance suite: what it declares works, what it does not declare is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use custom_broker::Spool;
use longshore_core::{Adapter, BoxFuture, Capabilities, Clock, Connect, Flag, Roles};
use longshore_testkit::conformance::{self, Subject};
use serde_json::json;
use tempfile::TempDir;

/// How the suite gets a spool. Each test has a folder of its own, which goes with the subject.
#[derive(Default)]
struct SpoolSubject {
    folders: Mutex<Vec<TempDir>>,
}

impl Subject for SpoolSubject {
    fn capabilities(&self) -> Capabilities {
        Spool::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::from_value(json!({ "folder": "spool", "poll-interval": "5ms" })).unwrap();
        let path = folder.path().to_owned();
        self.folders.lock().unwrap().push(folder);
        let connect = Connect { name: "default".into(), folder: path, clock: Clock::system(), admin: None, topics: Vec::new() };
        Box::pin(async move { Spool::connect(config, connect).await.unwrap() })
    }

    /// Only brokers that declare `durable` are restarted.
    fn restart(&self, _: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(std::future::ready(None))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spool_does_what_it_declares() {
    let matrix = conformance::run(&SpoolSubject::default()).await;
    println!("{matrix}");
    matrix.assert_passed();
    let untested: Vec<Flag> = matrix.untested().into_iter().filter(|flag| Spool::CAPABILITIES.has(*flag)).collect();
    assert!(untested.is_empty(), "declared, and no test of it was run: {untested:?}");
}
