//! The NATS store: each bucket is a key-value bucket of JetStream, laid out as `nats kv` reads it (ADR-8, "JetStream based Key-Value Stores").
//! For any number of hosts.
//!
//! What changes one key after looking at it says which revision it saw, and looks again when that is no longer the last. The server's own
//! time to live counts whole seconds; [`expiry`] keeps the exact one beside it. Not here: what bounds a bucket, which is its stream's to say.

mod ask;
mod bucket;
mod clock;
mod config;
mod entry;
mod expiry;
mod keys;
mod locks;
mod pages;
mod stream;
mod turns;

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, Bucket, Buckets, Connect, StoreAdapter, StoreRoles};

use super::jetstream::api::Api;
use super::link::Link;
use crate::declare::Declare;
use crate::leases::with_locks;
use bucket::OnServer;
pub use config::StoreConfig;
use locks::Locks;
use stream::Purpose;
use turns::Turns;

/// The oldest server that has what we use: a time to live for each message.
const OLDEST: (i64, i64, i64) = (2, 11, 0);

/// The adapter.
pub struct NatsStore;

/// What all buckets of a store share.
struct Server {
    link: Arc<Link>,
    js: Api,
    /// Whether buckets that are missing are made.
    declare: Declare,
    replicas: u8,
    /// What subjects of values begin with, before `$KV.`: nothing, or where the domain's are.
    place: String,
    turns: Turns,
}

impl StoreAdapter for NatsStore {
    const NAME: &'static str = "nats";
    type Config = StoreConfig;

    fn connect(config: StoreConfig, connect: Connect) -> BoxFuture<'static, Result<StoreRoles, BrokerError>> {
        Box::pin(async move {
            let StoreConfig { connection, prefix } = config;
            let link = Link::open(&connection, &connect).await?;
            let js = Api::reach(&link, &connection, OLDEST, "").await?;
            let place = connection.domain.as_ref().map_or_else(String::new, |_| format!("{}.", js.prefix));
            let (declare, replicas) = (connection.declare, connection.replicas);
            let server = Arc::new(Server { link: link.clone(), js, declare, replicas, place, turns: Turns::default() });
            let buckets = |kind| Arc::new(OfKind { server: server.clone(), start: format!("{prefix}_{kind}_") });
            let (cache, key_value) = (Some(buckets("cache") as _), Some(buckets("kv") as _));
            let locks = Locks::new(server.clone(), &format!("{prefix}_locks"));
            Ok(with_locks(StoreRoles { cache, key_value, locks: None, inbox: buckets("inbox"), connection: link }, locks))
        })
    }
}

/// Buckets of one kind.
struct OfKind {
    server: Arc<Server>,
    /// What the names of all of them begin with on the server.
    start: String,
}

impl Buckets for OfKind {
    fn bucket(&self, name: &str) -> Arc<dyn Bucket> {
        Arc::new(OnServer::new(self.server.clone(), &format!("{}{name}", self.start), Purpose::Values))
    }
}
