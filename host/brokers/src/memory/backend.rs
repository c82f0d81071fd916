//! Runs the broker in place, under a lock that is never held over an await.

use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_core::{Batch, BrokerError};

use super::tables::MemoryTables;
use crate::local::{Backend, Broker, Filler, Got, Read};

type Result<T> = std::result::Result<T, BrokerError>;

/// A broker that several tasks use.
pub(super) struct Shared {
    broker: Mutex<Broker<MemoryTables>>,
}

impl Shared {
    pub(super) fn new(broker: Broker<MemoryTables>) -> Self {
        Shared { broker: Mutex::new(broker) }
    }

    fn lock(&self) -> MutexGuard<'_, Broker<MemoryTables>> {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Shared {
    type Tables = MemoryTables;

    fn write<R, W>(&self, mut work: W) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        W: FnMut(&mut Broker<MemoryTables>) -> Result<R> + Send + 'static,
    {
        let mut broker = self.lock();
        let answer = work(&mut broker);
        broker.signal();
        ready(answer)
    }

    fn read(&self, read: Read, batch: Batch) -> impl Future<Output = Result<Got>> + Send {
        let mut filler = Filler::new(&read, batch);
        let all = self.lock().tables().read(&read, &mut |position, row| filler.take(position, row));
        ready(Ok(filler.finish(all)))
    }

    fn close(&self) -> impl Future<Output = Result<()>> + Send {
        ready(Ok(()))
    }
}
