//! The acknowledging half of a lane: there is nothing to acknowledge.

use std::sync::Arc;

use longshore_core::{Acks, BoxFuture, BrokerError, Receipts, SettleError, Settled};
use redis::PushInfo;

use crate::buffer::Buffer;
use crate::forgetful;

/// The acknowledging half.
pub(super) struct PubSubAcks(pub(super) Arc<Buffer<PushInfo>>);

impl Acks for PubSubAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(std::future::ready(forgetful::settle(round)))
    }

    fn close(self: Box<Self>, _: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        self.0.tell_left();
        Box::pin(std::future::ready(Ok(())))
    }
}
