//! How the asynchronous side runs the broker: in place, or on a thread that commits.

use longshore_core::{Batch, BrokerError};

use super::broker::Broker;
use super::read::{Got, Read};
use super::tables::Tables;

type Result<T> = std::result::Result<T, BrokerError>;

/// Runs work on a broker.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Where its rows are.
    type Tables: Tables;

    /// Runs `work` in a transaction, perhaps together with others', and answers once it stands. `work` may run twice; only its last run counts.
    /// It runs to its end even if the answer is no longer waited for.
    fn write<R, W>(&self, work: W) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        W: FnMut(&mut Broker<Self::Tables>) -> Result<R> + Send + 'static;

    /// Reads what stands, into `batch`, which is empty. A topic that is gone has nothing.
    fn read(&self, read: Read, batch: Batch) -> impl Future<Output = Result<Got>> + Send;

    /// Makes everything durable and ends.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;
}
