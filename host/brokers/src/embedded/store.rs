//! The embedded store: one SQLite file of its own, which belongs to one process. For one host; what is kept outlives it.
//!
//! It writes as the broker does: one thread, and whatever waits for it shares a transaction ([`writer`](super::writer)). Reads go to a thread
//! of their own ([`reader`]). What buckets and locks do is [`shelf`](crate::shelf)'s and [`leases`](crate::leases)', shared with the
//! memory store; here are only the rows.

mod bucket;
mod locks;
mod reader;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{
    BoxFuture, BrokerError, Bucket, Buckets, Clock, Connect, Connection as Role, Holder, Size, StoreAdapter, StoreError, StoreRoles,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::lock;
use super::open::{Opened, open_as};
use super::schema::STORE;
use super::writer::Writer;
use crate::leases::rows::steady;
use crate::leases::with_locks;
use bucket::InFile;
use reader::Reader;
use rows::{Kind, Rows};

type Result<T> = std::result::Result<T, BrokerError>;

/// A store in a file of its own: durable, for one machine.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// The database file, relative to the configuration file; not that of a broker. It is made when it is not there. One process at a time can
    /// use it.
    pub path: PathBuf,
    /// Bytes of keys and values above which its caches drop what was set longest ago. Key-value buckets are never dropped from.
    #[schemars(extend("x-positive" = true))]
    pub max_size: Size,
}

impl Default for Config {
    fn default() -> Self {
        Config { path: "longshore-store.db".into(), max_size: Size::from_mib(64) }
    }
}

/// The adapter.
pub struct EmbeddedStore;

impl StoreAdapter for EmbeddedStore {
    const NAME: &'static str = "embedded";
    type Config = Config;

    fn room(config: &Config) -> Option<u64> {
        Some(config.max_size.bytes())
    }

    fn holder(config: &Config, folder: &Path) -> Option<Holder> {
        lock::holder(&folder.join(&config.path))
    }

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<StoreRoles>> {
        Box::pin(async move {
            let (path, clock) = (connect.folder.join(&config.path), connect.clock.clone());
            let opening = move || open(&path, config.max_size.bytes(), &connect);
            let file = tokio::task::spawn_blocking(opening)
                .await
                .map_err(|error| BrokerError::retry(format!("opening the database ended: {error}")))??;
            let file = Arc::new(file);
            let buckets = |kind| Arc::new(OfKind { file: file.clone(), kind, clock: clock.clone() });
            let (cache, key_value) = (Some(buckets(Kind::Cache) as _), Some(buckets(Kind::KeyValue) as _));
            let roles = StoreRoles { cache, key_value, locks: None, inbox: buckets(Kind::Inbox), connection: file.clone() };
            Ok(with_locks(roles, locks::InFile { file, clock: steady(&clock) }))
        })
    }
}

/// The threads of one file.
struct Store {
    writer: Writer<Rows>,
    reader: Reader,
    /// Values that caches dropped for want of room.
    dropped: Arc<AtomicU64>,
}

impl Store {
    /// Changes rows and answers once that stands. A refusal is an answer too: others' work in the same transaction stands all the same.
    async fn write<R, W>(&self, mut work: W) -> std::result::Result<R, StoreError>
    where
        R: Send + 'static,
        W: FnMut(&mut Rows) -> std::result::Result<R, StoreError> + Send + 'static,
    {
        let answer = self.writer.write(move |rows| match work(rows) {
            Err(StoreError::Unavailable(what)) => Err(BrokerError::retry(what)),
            Err(StoreError::Other(what)) => Err(BrokerError::give_up(what)),
            answer => Ok(answer),
        });
        answer.await?
    }
}

fn open(path: &Path, max_size: u64, connect: &Connect) -> Result<Store> {
    let Opened { lock, connection } = open_as(&STORE, path, connect.admin.as_deref())?;
    let rows = Rows::new(connection, max_size)?;
    let (reader, dropped) = (Reader::start(path)?, rows.dropped.clone());
    Ok(Store { writer: Writer::start(rows, lock)?, reader, dropped })
}

impl Role for Store {
    fn ping(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.writer.write(|_| Ok(())))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.reader.close().await;
            self.writer.close().await
        })
    }
}

/// Buckets of one kind.
struct OfKind {
    file: Arc<Store>,
    kind: Kind,
    clock: Clock,
}

impl Buckets for OfKind {
    fn bucket(&self, name: &str) -> Arc<dyn Bucket> {
        Arc::new(InFile { file: self.file.clone(), kind: self.kind, name: name.into(), clock: self.clock.clone() })
    }

    fn dropped(&self) -> u64 {
        if self.kind == Kind::Cache { self.file.dropped.load(Ordering::Relaxed) } else { 0 }
    }
}
