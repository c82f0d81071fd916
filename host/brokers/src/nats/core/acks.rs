//! The acknowledging half of a lane: there is nothing to acknowledge, and who leaves says so before it goes.

use longshore_core::{Acks, BoxFuture, BrokerError, Receipts, SettleError, Settled};

use super::listening::Leaving;
use crate::forgetful;

/// The acknowledging half.
pub(super) struct CoreAcks(pub(super) Leaving);

impl Acks for CoreAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(std::future::ready(forgetful::settle(round)))
    }

    fn close(self: Box<Self>, _: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            self.0.leave().await;
            Ok(())
        })
    }
}
