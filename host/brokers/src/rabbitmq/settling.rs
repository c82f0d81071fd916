//! The settling half of a lane: copies for what comes again, confirmed, then acknowledgements, many at once.

use std::sync::{Arc, Mutex};

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use longshore_core::{Acks, Again, BoxFuture, BrokerError, Receipt, Receipts, SettleError, Settled};

use super::envelope::{self, Retry};
use super::held::{Held, Kept, Tags};
use super::link::Open;
use super::names::Tier;
use super::post::{Fate, Letter, post};
use super::server::{Home, Server, lock};
use super::topology::{Waits, short};
use super::trouble;

/// The acknowledgements of one channel.
pub(super) struct Settling {
    server: Arc<Server>,
    home: Arc<Home>,
    channel: Channel,
    held: Arc<Mutex<Held>>,
}

impl Settling {
    pub(super) fn new(server: Arc<Server>, home: Arc<Home>, channel: Channel, held: Arc<Mutex<Held>>) -> Self {
        Settling { server, home, channel, held }
    }

    /// Makes the copies that were not made before. Each is known as made once it is confirmed, so that a round which is settled again makes
    /// none twice.
    async fn send_again(&self, round: &Settled) -> Result<(), BrokerError> {
        let copies = self.copies(round);
        if copies.is_empty() {
            return Ok(());
        }
        let open = self.server.publishing.get().await?;
        self.server.refuse_if_blocked(&open)?;
        let mut letters = Vec::with_capacity(copies.len());
        for (_, kept, how) in &copies {
            letters.push(self.letter(&open, kept, how).await?);
        }
        let queues: Vec<String> = letters.iter().map(|letter| letter.key.to_string()).collect();
        let fates = post(&open, letters, self.server.confirm_timeout).await?;
        open.until_kept(&queues).await;
        let mut failed = None;
        let mut held = lock(&self.held);
        for ((tag, _, how), fate) in copies.iter().zip(fates) {
            match fate {
                Fate::Confirmed => held.copied(*tag),
                other => failed = Some((Tier::of(how.delay), other)),
            }
        }
        drop(held);
        failed.map_or(Ok(()), |(tier, fate)| Err(self.not_copied(&open, tier, &fate)))
    }

    fn copies(&self, round: &Settled) -> Vec<(u64, Arc<Kept>, Again)> {
        let held = lock(&self.held);
        let all = round.again.iter().zip(&round.again_how);
        all.filter_map(|(receipt, how)| Some((tag(receipt)?, held.get(tag(receipt)?)?, *how))).collect()
    }

    async fn letter<'k>(&self, open: &Open, kept: &'k Kept, how: &Again) -> Result<Letter<'k>, BrokerError> {
        let queue = &self.home.queue;
        let key = match Tier::of(how.delay) {
            None => queue.name.clone(),
            Some(tier) => {
                // A queue that only one connection may have is that connection's to make.
                let open = if queue.exclusive { &*self.home.open } else { open };
                Waits::before(queue).declare(open, self.server.declare, tier).await?
            }
        };
        let Again { attempt, first_failed_at, .. } = *how;
        let retry = Retry { place: kept.place, attempt, deliveries: kept.deliveries, first_failed_at };
        let properties = envelope::pack_again(&kept.properties, &kept.topic, retry);
        let id = kept.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        Ok(Letter { exchange: short("")?, key: short(&key)?, id, properties, payload: &kept.payload, mandatory: true })
    }

    fn not_copied(&self, open: &Open, tier: Option<Tier>, fate: &Fate) -> BrokerError {
        let queue = &self.home.queue.name;
        let waits = tier.map_or_else(|| queue.clone(), |tier| tier.queue(queue));
        let what = match fate {
            Fate::Unroutable(_) => {
                open.is_gone(&waits);
                self.home.open.is_gone(&waits);
                format!("queue {waits:?} is not there: create it as the page on RabbitMQ says, or write `declare = \"create\"`")
            }
            _ => format!("queue {waits:?} did not confirm a retry in time"),
        };
        BrokerError::retry(what)
    }

    async fn acknowledge(&self, tags: Tags) -> Result<(), lapin::Error> {
        if let Some(up_to) = tags.up_to {
            self.channel.basic_ack(up_to, BasicAckOptions { multiple: true }).await?;
        }
        // All of them are on their way before the first is waited for.
        try_join_all(tags.single.into_iter().map(|tag| self.channel.basic_ack(tag, BasicAckOptions::default()))).await.map(drop)
    }
}

impl Acks for Settling {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move {
            self.send_again(round).await?;
            let tags = lock(&self.held).settle(round.finished.iter().chain(round.again.iter()).filter_map(tag));
            let acknowledged = self.home.open.within(self.acknowledge(tags)).await;
            let doing = || format!("acknowledging what came from queue {:?}", self.home.queue.name);
            // What is not acknowledged now never will be: it comes again in another lane.
            acknowledged.map_err(|e| BrokerError::reconnect(trouble::told(&doing(), &e).what).into())
        })
    }

    /// A server that took the lane away hears no acknowledgement of it, and says nothing of that. So it is asked something behind them: while
    /// it answers on that channel, it had heard them all.
    fn take<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<Vec<usize>, SettleError>> {
        Box::pin(async move {
            self.settle(round).await?;
            let name = &self.home.queue.name;
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            let asked = self.channel.queue_declare(short(name)?, passive, FieldTable::default());
            let answered = self.home.open.within(asked).await;
            let doing = || format!("asking whether what came from queue {name:?} is acknowledged");
            answered.map_err(|e| BrokerError::reconnect(trouble::told(&doing(), &e).what))?;
            Ok(Vec::new())
        })
    }

    fn close(self: Box<Self>, _open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            // The server puts back what is not acknowledged, each message where it stood.
            self.channel.close(200, "the lane ends".into()).await.map_err(|e| trouble::told("closing a channel", &e))
        })
    }
}

/// The delivery tag that a receipt names.
fn tag(receipt: Receipt<'_>) -> Option<u64> {
    receipt.token.try_into().ok().map(u64::from_le_bytes)
}
