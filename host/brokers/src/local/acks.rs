//! The acknowledging half of a lane.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Acks, BoxFuture, SettleError, Settled};

use super::backend::Backend;
use super::dedup::LaneInbox;
use super::front::Local;
use super::members::Claim;
use super::tables::LaneId;

/// Settles rounds of one lane. What is open when it goes is open for the next owner: nothing has to be given back.
pub(super) struct LaneAcks<B> {
    pub(super) front: Arc<Local<B>>,
    pub(super) lane: LaneId,
    /// Where claims end, and for how long what is done is remembered there.
    pub(super) inbox: Option<(Arc<LaneInbox<B>>, Duration)>,
    /// Holds the lane as long as somebody could settle through it.
    pub(super) _claim: Arc<Claim>,
}

impl<B: Backend> Acks for LaneAcks<B> {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        let (lane, settled) = (self.lane, round.clone());
        let window = self.inbox.as_ref().map_or(Duration::ZERO, |(_, window)| *window);
        Box::pin(async move {
            self.front.run(move |broker, now| broker.settle(lane, &settled, window, now)).await??;
            if let Some((inbox, _)) = &self.inbox {
                inbox.give_back(round.inbox.iter().map(|entry| &entry.claim));
            }
            self.front.inboxes.deliver_all(&round.outputs);
            Ok(())
        })
    }
}
