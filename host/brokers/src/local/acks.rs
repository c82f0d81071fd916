//! The acknowledging half of a lane.

use std::sync::Arc;

use longshore_core::{Acks, BoxFuture, SettleError, Settled};

use super::backend::Backend;
use super::front::Local;
use super::members::Claim;
use super::tables::LaneId;

/// Settles rounds of one lane. What is open when it goes is open for the next owner: nothing has to be given back.
pub(super) struct LaneAcks<B> {
    pub(super) front: Arc<Local<B>>,
    pub(super) lane: LaneId,
    /// Holds the lane as long as somebody could settle through it.
    pub(super) _claim: Arc<Claim>,
}

impl<B: Backend> Acks for LaneAcks<B> {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        let (lane, settled) = (self.lane, round.clone());
        Box::pin(async move {
            self.front.run(move |broker, now| broker.settle(lane, &settled, now)).await??;
            self.front.inboxes.deliver_all(&round.outputs);
            Ok(())
        })
    }
}
