//! What a settlement does to the log, and what of it is refused.

use longshore_core::{Message, Outbox, PublishError, Ranges, SettleError, Settled, row};

use super::event::{Event, Shows, Stored};
use super::log::Entry;
use super::personality::Settling;
use super::{Broker, State};

/// What a round changed.
#[derive(Default)]
struct Changed {
    ended: Vec<u32>,
    again: Vec<(u32, u64, u32)>,
    forgotten: Vec<u32>,
    stale: usize,
    /// Of what is finished, by index, what the lane does not have.
    lost: Vec<usize>,
    /// Finished, and not kept yet.
    noted: Vec<u32>,
}

impl Broker {
    /// Answers what of `finished` the lane did not have, by index.
    pub(crate) fn settle(&self, lane: u32, round: &Settled) -> Result<Vec<usize>, SettleError> {
        let now = self.history.now();
        let mut state = self.state();
        let fails = state.fails(|f| f.settle);
        if fails && state.random.chance(50) {
            self.history.record(Event::SettleFailed { lane, took_effect: false });
            return Err(state.error("the settlement failed before it took effect").into());
        }
        if !state.group.is_current(lane) {
            let stale = round.finished.len() + round.again.len();
            self.history.record(Event::Settled { lane, ended: Vec::new(), again: Vec::new(), forgotten: Vec::new(), stale });
            // Some brokers say so, some do not.
            let all = (0..round.finished.len()).collect();
            return if state.random.chance(50) { Ok(all) } else { Err(state.error("this lane is not ours any more").into()) };
        }
        // What came with a message that is not the lane's any more left with it before, or is somebody else's to publish.
        let open: Vec<usize> = (0..round.outputs.len()).filter(|i| state.holds(lane, round.outputs.origin(*i))).collect();
        self.check_outputs(&mut state, &round.outputs, &open)?;
        for index in open {
            self.keep(&mut state, &round.outputs, index);
        }
        let changed = match state.personality.settling {
            Settling::Lease { copies, .. } => state.settle_each(lane, round, now, copies),
            Settling::Mark | Settling::Transaction => state.settle_marked(lane, round, now),
        };
        let Changed { ended, again, forgotten, stale, lost, noted } = changed;
        if !noted.is_empty() {
            self.history.record(Event::Noted { lane, messages: noted });
        }
        let rounded = round.again_how.iter().any(|how| again.iter().all(|(_, delay, _)| u128::from(*delay) != how.delay.as_millis()));
        if rounded && !again.is_empty() {
            self.history.record(Event::Shown { habit: Shows::RoundedUp });
        }
        self.history.record(Event::Settled { lane, ended, again, forgotten, stale });
        if fails {
            self.history.record(Event::SettleFailed { lane, took_effect: true });
            return Err(state.error("the settlement failed after it took effect").into());
        }
        Ok(lost)
    }

    /// Whether the outputs of a transaction can be taken, all or none.
    fn check_outputs(&self, state: &mut State, outputs: &Outbox, open: &[usize]) -> Result<(), SettleError> {
        for index in open.iter().copied() {
            let message = outputs.get(index);
            if let Some(error) = self.refusal(state, &message, outputs.row(index).size()) {
                return Err(SettleError::Output { index, error });
            }
        }
        Ok(())
    }

    /// Why a message cannot be taken, if it cannot.
    pub(crate) fn refusal(&self, state: &mut State, message: &Message<'_, row::Headers<'_>>, bytes: usize) -> Option<PublishError> {
        let (topic, id) = (message.topic, message.id);
        if let Some(above) = state.refusals.above.filter(|above| bytes > *above) {
            return Some(PublishError::TooLarge(format!("{bytes} bytes are over {above}")));
        }
        let dead_letter = topic.ends_with(".dlq");
        if dead_letter && state.dead_letters_down {
            return Some(PublishError::Unavailable("the dead letters are down".into()));
        }
        if state.fails(|f| f.refuse) || state.refusals.ids.contains(id) {
            if !dead_letter {
                self.history.record(Event::Refused { broker: self.name.to_string(), id: id.into() });
            }
            return Some(PublishError::Invalid("the broker does not like it".into()));
        }
        None
    }

    /// Keeps a published message.
    pub(crate) fn keep(&self, state: &mut State, outbox: &Outbox, index: usize) {
        let message = Stored::of(outbox.get(index));
        self.history.record(Event::Published { broker: self.name.to_string(), message: message.clone() });
        state.published.push(message);
    }
}

impl Broker {
    /// Keeps what lanes have noted as finished, of those whose time it is; of `only` whatever the time is.
    pub(crate) fn commit_due(&self, state: &mut State, only: Option<u32>) {
        let now = self.history.now();
        let due = |(id, l): (&u32, &super::group::LaneState)| {
            let meant = only.map_or(l.commits_at <= now, |only| only == *id);
            (l.current && !l.noted.is_empty() && meant).then_some(*id)
        };
        let lanes: Vec<u32> = state.group.lanes.iter().filter_map(due).collect();
        for lane in lanes {
            let ended = state.commit(lane, now);
            self.history.record(Event::Settled { lane, ended, again: Vec::new(), forgotten: Vec::new(), stale: 0 });
        }
    }
}

impl State {
    /// The entry of a receipt, if the lane has it.
    pub(crate) fn held_entry(&mut self, lane: u32, partition: usize, position: u64, token: &[u8]) -> Option<&mut Entry> {
        let entry = self.log.partitions[partition].entries.get_mut(&position)?;
        (entry.held_by == Some(lane) && entry.token.to_le_bytes() == token).then_some(entry)
    }

    fn holds(&self, lane: u32, position: u64) -> bool {
        let partition = &self.log.partitions[self.group.lanes[&lane].partition];
        partition.entries.get(&position).is_some_and(|e| e.held_by == Some(lane))
    }

    fn forget_lapsed(&mut self, lane: u32, position: u64) {
        if let Some(entry) = self.log.partitions[0].entries.get_mut(&position) {
            entry.lapsed.retain(|l| *l != lane);
        }
    }

    fn settle_each(&mut self, lane: u32, round: &Settled, now: u64, copies: bool) -> Changed {
        let tiers = self.personality.habits.tiers;
        let mut changed = Changed::default();
        for (i, receipt) in round.finished.iter().enumerate() {
            if let Some(entry) = self.held_entry(lane, 0, receipt.position, receipt.token) {
                entry.answered();
                entry.ended = true;
                changed.ended.push(entry.number);
            } else {
                changed.stale += 1;
                changed.lost.push(i);
                self.forget_lapsed(lane, receipt.position);
            }
        }
        for (receipt, how) in round.again.iter().zip(&round.again_how) {
            if let Some(entry) = self.held_entry(lane, 0, receipt.position, receipt.token) {
                changed.again.push(entry.comes_again(how, now, tiers));
                if copies {
                    self.move_to_end(receipt.position);
                }
            } else {
                changed.stale += 1;
                self.forget_lapsed(lane, receipt.position);
            }
        }
        changed
    }

    /// A retry that is a copy has a position of its own.
    fn move_to_end(&mut self, position: u64) {
        let partition = &mut self.log.partitions[0];
        if let Some(entry) = partition.entries.remove(&position) {
            partition.newest += 1;
            partition.entries.insert(partition.newest, entry);
        }
    }

    fn settle_marked(&mut self, lane: u32, round: &Settled, now: u64) -> Changed {
        let tiers = self.personality.habits.tiers;
        let mut changed = Changed::default();
        let at = self.group.lanes[&lane].partition;
        for (receipt, how) in round.again.iter().zip(&round.again_how) {
            match self.held_entry(lane, at, receipt.position, receipt.token) {
                Some(entry) => changed.again.push(entry.comes_again(how, now, tiers)),
                None => changed.stale += 1,
            }
        }
        for (i, receipt) in round.finished.iter().enumerate() {
            match self.held_entry(lane, at, receipt.position, receipt.token) {
                // A retry: the mark does not speak of it.
                Some(entry) if entry.due.is_some() => {
                    entry.answered();
                    entry.ended = true;
                    changed.ended.push(entry.number);
                }
                Some(_) => {}
                None => {
                    changed.stale += 1;
                    changed.lost.push(i);
                }
            }
        }
        if self.personality.habits.commit_every > 0 {
            self.note(lane, round, now, &mut changed);
            return changed;
        }
        self.move_mark(at, round.up_to, &round.above, &mut changed);
        let partition = &self.log.partitions[at];
        let told = round.finished.iter().chain(round.again.iter()).filter(|r| !partition.covers(r.position));
        changed.forgotten = told.map(|r| partition.entries[&r.position].number).collect();
        changed
    }

    /// Writes into the lane's book what is finished or sent away, whatever the mark of the round: a retry may come before what stands below it,
    /// when the mark went back. What is written is not the lane's any more, and comes again if its lane ends before that is kept.
    fn note(&mut self, lane: u32, round: &Settled, now: u64, changed: &mut Changed) {
        let known = self.group.lanes.get_mut(&lane).expect("it settles");
        for receipt in round.finished.iter().chain(round.again.iter()) {
            let entry = self.log.partitions[known.partition].entries.get_mut(&receipt.position);
            let Some(entry) = entry.filter(|entry| entry.token.to_le_bytes() == receipt.token) else { continue };
            known.noted.insert(receipt.position);
            if entry.held_by == Some(lane) {
                entry.answered();
                changed.noted.push(entry.number);
            }
        }
        if now >= known.commits_at {
            changed.ended.extend(self.commit(lane, now));
        }
    }

    /// Keeps what a lane has noted as finished: the messages that ended so.
    pub(crate) fn commit(&mut self, lane: u32, now: u64) -> Vec<u32> {
        let every = self.personality.habits.commit_every;
        let Some(known) = self.group.lanes.get_mut(&lane) else { return Vec::new() };
        known.commits_at = now + every;
        let partition = &mut self.log.partitions[known.partition];
        let mut ended = Vec::new();
        for position in std::mem::take(&mut known.noted) {
            partition.above.insert(position);
            let entry = partition.entries.get_mut(&position).expect("it was noted");
            // A retry ends by itself.
            if entry.due.is_none() && !std::mem::replace(&mut entry.ended, true) {
                ended.push(entry.number);
            }
        }
        ended
    }

    fn move_mark(&mut self, at: usize, up_to: Option<u64>, above: &Ranges, changed: &mut Changed) {
        let partition = &mut self.log.partitions[at];
        partition.mark = partition.mark.max(up_to.unwrap_or(0));
        partition.above.clone_from(above);
        partition.above.remove_up_to(partition.mark);
        let covered: Vec<u64> = partition.entries.keys().copied().filter(|p| partition.covers(*p)).collect();
        for position in covered {
            let entry = partition.entries.get_mut(&position).expect("just listed");
            if entry.due.is_none() && !entry.ended {
                entry.answered();
                entry.ended = true;
                changed.ended.push(entry.number);
            }
        }
    }
}

impl Entry {
    fn comes_again(&mut self, how: &longshore_core::Again, now: u64, tiers: &[u64]) -> (u32, u64, u32) {
        let asked = u64::try_from(how.delay.as_millis()).unwrap_or(u64::MAX / 4);
        let delay = tiers.iter().copied().find(|tier| *tier >= asked).filter(|_| asked > 0).unwrap_or(asked);
        self.answered();
        self.due = Some(now.saturating_add(delay));
        self.attempt = how.attempt;
        self.first_failed_at = how.first_failed_at;
        (self.number, delay, how.attempt)
    }
}
