//! The spool: a broker whose topics are files in a folder. Small enough to read in one go, and a model for adapters of your own.
//!
//! An adapter translates between its broker and the traits of `longshore-core`, and does no more: [`publisher`] appends, [`consumer`] opens a
//! lane for each topic, [`lane`] reads it and hears what became of its messages. Not here: retry policies, waits between tries, dead letters,
//! reconnecting, metrics. The engine does those for every broker alike, by what [`Adapter::CAPABILITIES`] says and by how errors are to be
//! mended ([`longshore_core::Fix`]).

mod consumer;
mod file;
mod lane;
mod publisher;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use longshore_core::{Adapter, BoxFuture, BrokerError, Capabilities, Connect, Connection, Flag, NoKeys, Roles, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use publisher::Appender;

/// The adapter.
pub struct Spool;

/// A folder in which every topic is a file.
// The doc comments are what the schema and the configuration reference say of the keys.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The folder, relative to the configuration file. It is made when it is not there; several hosts may share it.
    pub folder: PathBuf,
    /// How often to look for new messages.
    #[serde(default = "poll_interval")]
    #[schemars(extend("x-positive" = true))]
    pub poll_interval: Span,
}

fn poll_interval() -> Span {
    Span::from_millis(50)
}

impl Adapter for Spool {
    const NAME: &'static str = "spool";

    /// Only what always holds: the conformance suite tests each flag, and `check` refuses what is not here before a message is touched.
    ///
    /// Missing on purpose: `AckNack` and `DeliveryGuarantees`, as nobody keeps who has read what; `Durable`, as messages outlive a crash but
    /// retries do not; `BlockingRead`, as a file tells nobody that it grew.
    const CAPABILITIES: Capabilities = Capabilities::of(&[Flag::Publish, Flag::Subscribe, Flag::MessageOrdering, Flag::Broadcast]);

    type Config = Config;
    type Subscription = NoKeys;
    type Topic = NoKeys;

    fn connect(config: Config, connect: Connect) -> BoxFuture<'static, Result<Roles, BrokerError>> {
        Box::pin(async move {
            // What the configuration may ask for and we cannot do is an error. To overlook it would be a lie.
            if let Some((topic, _)) = connect.topics.first() {
                let what = format!("topic {topic:?} has settings, but a spool keeps everything for ever: take its [topics] table out");
                return Err(BrokerError::give_up(what));
            }
            let folder = connect.folder.join(&config.folder);
            let made = folder.clone();
            let open = move || std::fs::create_dir_all(&made).map_err(|e| BrokerError::give_up(format!("folder {}: {e}", made.display())));
            blocking(open).await?;
            let folder = Arc::new(Folder { path: folder, poll_interval: config.poll_interval });
            Ok(Roles {
                connection: folder.clone(),
                consumer: Some(folder.clone()),
                publisher: Some(Arc::new(Appender::new(folder, connect.clock))),
                // Roles that are not played are simply absent.
                topics: None,
                groups: None,
                dead_letters: None,
            })
        })
    }
}

/// An open spool.
struct Folder {
    path: PathBuf,
    poll_interval: Span,
}

impl Connection for Folder {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        let path = self.path.clone();
        Box::pin(blocking(move || std::fs::read_dir(&path).map(drop).map_err(|e| told(&path.display().to_string(), &e))))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        // What was published is on the disk already.
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Does work that blocks, on a thread where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, BrokerError> + Send + 'static) -> Result<T, BrokerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(BrokerError::retry(format!("file access did not end: {e}"))))
}

/// An error of the system in the host's terms: what it was about, and what mends it.
fn told(what: &str, error: &io::Error) -> BrokerError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied => BrokerError::give_up(format!("{what}: {error}")),
        _ => BrokerError::retry(format!("{what}: {error}")),
    }
}
