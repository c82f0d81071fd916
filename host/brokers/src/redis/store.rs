//! The Redis store: each value is a key of the server's, `longshore:cache:{bucket}:key`, `longshore:kv:{bucket}:key` or, of dedup inboxes,
//! `longshore:inbox:{bucket}:key`, with the server's own time to live; each lock that is held is one too, `longshore:lock:name`. For any number
//! of hosts.
//!
//! What changes one key after looking at it is one script; looking for keys is SCAN, so nobody waits for it. Nothing is repeated that the
//! server may have done. Not here: what a full server drops, which is its `maxmemory-policy`'s to say.

mod bucket;
mod config;
mod locks;
mod said;
mod scan;

use std::sync::Arc;

use longshore_core::{BoxFuture, BrokerError, Bucket, Buckets, Connect, StoreAdapter, StoreRoles};

use super::server::Server;
use crate::leases::with_locks;
use bucket::OnServer;
pub use config::StoreConfig;

/// The adapter.
pub struct RedisStore;

impl StoreAdapter for RedisStore {
    const NAME: &'static str = "redis";
    type Config = StoreConfig;

    fn connect(config: StoreConfig, connect: Connect) -> BoxFuture<'static, Result<StoreRoles, BrokerError>> {
        Box::pin(async move {
            let server = Arc::new(Server::reach(&config.connection, &connect).await?);
            let buckets = |kind| Arc::new(OfKind { server: server.clone(), start: format!("{}:{kind}", config.prefix) });
            let (cache, key_value) = (Some(buckets("cache") as _), Some(buckets("kv") as _));
            let roles = StoreRoles { cache, key_value, locks: None, inbox: buckets("inbox"), connection: server.clone() };
            Ok(with_locks(roles, locks::OnServer::new(server, &config.prefix)))
        })
    }
}

/// Buckets of one kind.
struct OfKind {
    server: Arc<Server>,
    /// What all their keys begin with.
    start: String,
}

impl Buckets for OfKind {
    fn bucket(&self, name: &str) -> Arc<dyn Bucket> {
        // The braces put a bucket into one slot, should the server ever become a cluster.
        Arc::new(OnServer { server: self.server.clone(), start: format!("{}:{{{name}}}:", self.start) })
    }
}
