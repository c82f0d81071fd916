//! Connecting, and running the broker on its threads.

use std::path::Path;
use std::sync::Arc;

use longshore_core::{Batch, BrokerError, Connect, Roles};
use rusqlite::Connection;

use super::config::Config;
use super::open::{Opened, open};
use super::readers::Readers;
use super::recovery::mark_clean;
use super::tables::SqliteTables;
use super::writer::{Books, Writer};
use crate::local::{Backend, Broker, Got, Limits, Local, Read, Signals};

type Result<T> = std::result::Result<T, BrokerError>;

/// The threads of one database.
pub(super) struct Threads {
    writer: Writer<Broker<SqliteTables>>,
    readers: Readers,
}

/// Opens the database and starts its threads.
pub(super) async fn connect(config: Config, connect: Connect) -> Result<Roles> {
    Ok(begin(config, connect).await?.roles())
}

/// The same, for whoever needs more than the roles.
pub(super) async fn begin(config: Config, connect: Connect) -> Result<Arc<Local<Threads>>> {
    let path = connect.folder.join(&config.path);
    let (signals, limits, tidy) = (Signals::default(), config.limits(), config.tidy_interval.get());
    let clock = connect.clock.clone();
    let opening = {
        let signals = signals.clone();
        move || start(&path, limits, connect, signals)
    };
    let threads = tokio::task::spawn_blocking(opening)
        .await
        .map_err(|error| BrokerError::retry(format!("opening the database ended: {error}")))??;
    Ok(Local::start(threads, clock, signals, tidy))
}

fn start(path: &Path, limits: Limits, connect: Connect, signals: Signals) -> Result<Threads> {
    let Opened { lock, connection } = open(path, connect.admin.as_deref(), connect.clock.now())?;
    let broker = Broker::new(SqliteTables::new(connection)?, limits, connect.topics, signals)?;
    let readers = Readers::start(path)?;
    Ok(Threads { writer: Writer::start(broker, lock)?, readers })
}

impl Books for Broker<SqliteTables> {
    fn connection(&mut self) -> &Connection {
        self.tables().connection()
    }

    fn stands(&mut self) {
        self.signal();
    }

    fn reload(&mut self) -> Result<()> {
        Broker::reload(self)
    }

    /// Counts stored, and the file marked clean.
    fn leave(&mut self) -> Result<()> {
        self.save_all_counts()?;
        mark_clean(self.tables().connection())
    }
}

impl Backend for Threads {
    type Tables = SqliteTables;

    fn write<R, W>(&self, work: W) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        W: FnMut(&mut Broker<SqliteTables>) -> Result<R> + Send + 'static,
    {
        self.writer.write(work)
    }

    fn read(&self, read: Read, batch: Batch) -> impl Future<Output = Result<Got>> + Send {
        self.readers.read(read, batch)
    }

    async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await
    }
}
