//! The settling half of a lane: copies for what comes again, each confirmed, and then the book. What is in the book is committed within a
//! second, and before the lane is another's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::blocked::Tried;
use super::book::Copy;
use super::broker::blocking;
use super::cell::{Cell, InUse};
use super::desk::{Desk, Entry};
use super::member::Handle;
use super::names::Tier;
use super::post::{Fate, Letter};
use super::record::{self, Journey};
use super::{publisher, retries, trouble};
use longshore_core::{Acks, Again, BoxFuture, BrokerError, Fix, Receipts, SettleError, Settled};

/// How long a tier that is new may take until its first retry is read.
const LIVE: Duration = Duration::from_secs(2);

/// The settling half.
pub(super) struct LaneAcks {
    cell: Arc<Cell>,
    _in_use: Arc<InUse>,
    handle: Arc<Handle>,
}

/// A copy and where it waits.
pub(super) struct Waits {
    pub(super) copy: Copy,
    how: Again,
    pub(super) tier: Tier,
    /// Milliseconds since the Unix epoch.
    not_before: u64,
}

impl Waits {
    /// The same where it waits in its place.
    fn tried(&self) -> Tried {
        Tried { attempt: self.how.attempt, not_before: self.not_before, first_failed_at: self.how.first_failed_at }
    }
}

impl LaneAcks {
    pub(super) fn new(cell: Arc<Cell>, in_use: Arc<InUse>, handle: Arc<Handle>) -> Self {
        LaneAcks { cell, _in_use: in_use, handle }
    }
}

impl Acks for LaneAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move {
            if self.cell.book().ended {
                tracing::debug!(group = %self.handle.0.group, messages = round.finished.len() + round.again.len(), "a settlement came too late");
                return Ok(());
            }
            if let Some(desk) = &self.handle.0.desk {
                let settled = self.settle_once(desk, round).await;
                // Taken away meanwhile: that is no trouble of the other lanes, and nothing of it is there.
                return if self.cell.is_revoked() { Ok(()) } else { settled };
            }
            let kept = if self.handle.0.in_place { self.block(round).await } else { self.send_again(round).await };
            if let Err(error) = kept {
                // Taken away meanwhile: that is no trouble of the other lanes, and what was copied is in the book.
                return if self.cell.is_revoked() { Ok(()) } else { Err(error.into()) };
            }
            let mut book = self.cell.book();
            round.finished.iter().for_each(|receipt| book.finish(receipt));
            Ok(())
        })
    }

    fn close(self: Box<Self>, _open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            self.cell.book().given_back = true;
            let (member, cell) = (Arc::clone(&self.handle.0), Arc::clone(&self.cell));
            blocking(move || member.commit_now(&[cell])).await
        })
    }
}

impl LaneAcks {
    /// What comes again stays in its place. How often it was tried is committed before anybody is told.
    async fn block(&self, round: &Settled) -> Result<(), BrokerError> {
        let waits = self.waits(round);
        if round.again.is_empty() {
            return Ok(());
        }
        for waits in &waits {
            self.cell.book().block(&waits.copy, waits.tried());
        }
        let (member, cell) = (Arc::clone(&self.handle.0), Arc::clone(&self.cell));
        let noted = blocking(move || member.commit_now(&[cell])).await;
        // A rebalance may be in the way: it tells by itself should the lane be another's.
        noted.map_err(|error| BrokerError { fix: Fix::Retry, ..error })?;
        self.release(round);
        Ok(())
    }

    /// What is noted comes again when it is due.
    fn release(&self, round: &Settled) {
        self.cell.book().release(round.again.iter());
        self.cell.came.notify_one();
    }

    /// Has all of the round done in a transaction.
    async fn settle_once(&self, desk: &Desk, round: &Settled) -> Result<(), SettleError> {
        let member = &self.handle.0;
        let topics = publisher::topics(&member.broker, &round.outputs).await;
        for index in 0..round.outputs.len() {
            let checked = publisher::check(round.outputs.row(index), round.outputs.delay(index), &topics);
            checked.map_err(|error| SettleError::Output { index, error })?;
        }
        let waits = self.waits(round);
        let (finished, outputs, cell) = (round.finished.clone(), round.outputs.clone(), Arc::clone(&self.cell));
        if member.in_place {
            let tried = waits
                .into_iter()
                .map(|waits| {
                    let tried = waits.tried();
                    (waits.copy, tried)
                })
                .collect();
            desk.settle(|answer| Entry { finished, tried, outputs, ..Entry::note(cell, answer) }).await?;
            self.release(round);
            return Ok(());
        }
        let topic = self.cell.book().topic.clone();
        let new = self.make_ready(&waits).await?;
        let waits = waits
            .into_iter()
            .map(|waits| {
                let name = member.retry_topic(&topic, waits.tier);
                (waits, name)
            })
            .collect();
        desk.settle(|answer| Entry { finished, waits, outputs, ..Entry::note(cell, answer) }).await?;
        for tier in new {
            self.cell.await_live(tier, LIVE).await;
        }
        Ok(())
    }

    /// Sees to it that the tiers are there, and answers those that are new.
    async fn make_ready(&self, waits: &[Waits]) -> Result<Vec<Tier>, BrokerError> {
        let (topic, partition) = self.cell.book().named();
        let mut new = Vec::new();
        for tier in waits.iter().map(|waits| waits.tier).collect::<BTreeSet<_>>() {
            // A topic that only a human can make is no reason to end: the lane says so, and goes on once it is there.
            let fix = |error: BrokerError| BrokerError { fix: if error.fix == Fix::GiveUp { Fix::Retry } else { error.fix }, ..error };
            if self.ready(&topic, partition, tier).await.map_err(fix)? {
                new.push(tier);
            }
        }
        Ok(new)
    }

    /// Makes the copies that were not made before: each is finished where it was once its copy is kept, so a round that is settled again
    /// makes none twice.
    async fn send_again(&self, round: &Settled) -> Result<(), BrokerError> {
        let waits = self.waits(round);
        if waits.is_empty() {
            return Ok(());
        }
        let member = &self.handle.0;
        let topic = self.cell.book().topic.clone();
        let new = self.make_ready(&waits).await?;
        let topics: Vec<String> = waits.iter().map(|waits| member.retry_topic(&topic, waits.tier)).collect();
        let letters = waits.iter().zip(&topics).map(|(waits, name)| copy_of(waits, name, &self.cell, &member.group)).collect();
        let fates = member.broker.post.send(letters).await?;
        let failed = self.enter(&waits, fates, &topics);
        // A topic that was made just now takes a moment to be read: what comes again at once would come long after what is new.
        for tier in new.into_iter().filter(|_| failed.is_none()) {
            self.cell.await_live(tier, LIVE).await;
        }
        // Whatever it is, the message is not lost: it is tried again for as long as it takes.
        failed.map_or(Ok(()), |error| Err(BrokerError::retry(error.what)))
    }

    /// Finishes what has a copy. Answers why others have none.
    fn enter(&self, waits: &[Waits], fates: Vec<Fate>, topics: &[String]) -> Option<BrokerError> {
        let mut failed = None;
        let mut book = self.cell.book();
        for ((waits, fate), name) in waits.iter().zip(fates).zip(topics) {
            match fate {
                Ok((_, offset)) => {
                    if let Some(log) = book.log(Some(waits.tier)) {
                        log.known_end = log.known_end.max(offset + 1);
                    }
                    book.replace(&waits.copy, (Some(waits.tier), offset));
                }
                Err(code) => {
                    self.handle.0.broker.forget(name);
                    failed = Some(trouble::of_code(&format!("a retry cannot be kept in topic {name:?}"), code));
                }
            }
        }
        failed
    }

    fn waits(&self, round: &Settled) -> Vec<Waits> {
        let now = self.handle.0.broker.clock.now();
        let copies = self.cell.book().copies(round.again.iter());
        let all = copies.into_iter().zip(&round.again_how);
        let waits = all.filter_map(|(copy, how)| {
            let millis = u64::try_from(how.delay.as_millis()).unwrap_or(u64::MAX);
            // A millisecond more: the clock was read in the middle of one.
            let not_before = if how.delay.is_zero() { 0 } else { now.saturating_add(millis).saturating_add(1) };
            Some(Waits { copy: copy?, how: *how, tier: Tier::of(how.delay), not_before })
        });
        waits.collect()
    }

    /// Sees to it that the tier is there, and that its retries are read. Says whether that is new.
    async fn ready(&self, topic: &str, partition: i32, tier: Tier) -> Result<bool, BrokerError> {
        if self.cell.book().has_tier(tier) {
            return Ok(false);
        }
        let member = &self.handle.0;
        member.broker.ensure_retries(topic, &member.group, tier, partition).await?;
        let (member, cell) = (Arc::clone(member), Arc::clone(&self.cell));
        blocking(move || retries::join(&member, &cell, tier)).await?;
        Ok(true)
    }
}

/// The record of a copy, for the topic of that name.
pub(super) fn copy_of<'l>(waits: &'l Waits, name: &'l str, cell: &Cell, group: &str) -> Letter<'l> {
    let Copy { batch, index, position, .. } = &waits.copy;
    let (row, facts) = (batch.row(*index), batch.facts(*index));
    let book = cell.book();
    let journey = Journey {
        topic: book.topic.clone(),
        topic_id: book.topic_id,
        group: group.to_owned(),
        position: *position,
        attempt: waits.how.attempt,
        deliveries: facts.deliveries,
        first_failed_at: waits.how.first_failed_at,
        redrives: facts.redrives,
        not_before: waits.not_before,
        timestamp: row.timestamp(),
    };
    Letter {
        topic: name,
        partition: Some(book.partition),
        key: row.key(),
        payload: row.payload(),
        headers: record::write(row.headers(), row.id(), Some(&journey)),
        timestamp: 0,
    }
}
