//! Brokers for tests: in folders of their own, and with crashes.

#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod work;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use longshore_brokers::{embedded, memory};
use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Clock, Connect, Connection, Roles};
use longshore_testkit::conformance::Subject;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the host would say to an adapter.
pub(crate) fn connect_in(folder: &Path) -> Connect {
    Connect { name: "default".into(), folder: folder.into(), clock: Clock::system(), admin: None, topics: Vec::new() }
}

/// Opens the embedded broker in a folder.
pub(crate) async fn open(folder: &Path, config: Value) -> Result<Roles, BrokerError> {
    let config = serde_json::from_value(config).expect("a good configuration");
    embedded::Embedded::connect(config, connect_in(folder)).await
}

/// Opens the memory broker.
pub(crate) async fn open_memory(config: Value) -> Roles {
    let config = serde_json::from_value(config).expect("a good configuration");
    memory::Memory::connect(config, connect_in(Path::new("."))).await.expect("memory is always there")
}

/// Waits until `what` is so.
pub(crate) async fn until(mut what: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !what().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("it becomes so in time");
}

/// Copies what a crash would leave of the database in `folder` to a new folder.
pub(crate) fn crash(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for file in ["longshore.db", "longshore.db-wal"] {
        let from = folder.join(file);
        if from.exists() {
            std::fs::copy(from, copy.path().join(file)).expect("copied");
        }
    }
    copy
}

/// The embedded broker under the conformance suite.
#[derive(Default)]
pub(crate) struct EmbeddedSubject {
    folders: Mutex<Vec<(Arc<dyn Connection>, TempDir)>>,
}

impl EmbeddedSubject {
    async fn open(&self, folder: TempDir) -> Roles {
        let roles = open(folder.path(), json!({})).await.expect("a new folder");
        self.folders.lock().expect("no test panics here").push((roles.connection.clone(), folder));
        roles
    }

    fn folder_of(&self, roles: &Roles) -> PathBuf {
        let folders = self.folders.lock().expect("no test panics here");
        let (_, folder) = folders.iter().find(|(c, _)| Arc::ptr_eq(c, &roles.connection)).expect("opened here");
        folder.path().into()
    }
}

impl Subject for EmbeddedSubject {
    fn capabilities(&self) -> Capabilities {
        embedded::Embedded::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(self.open(tempfile::tempdir().expect("a folder")))
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        let copy = crash(&self.folder_of(&roles));
        Box::pin(async move { Some(self.open(copy).await) })
    }
}

/// The memory broker under the conformance suite.
pub(crate) struct MemorySubject;

impl Subject for MemorySubject {
    fn capabilities(&self) -> Capabilities {
        memory::Memory::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(open_memory(json!({})))
    }

    fn restart(&self, _: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(std::future::ready(None))
    }
}
