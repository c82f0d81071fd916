//! The consuming side: lanes as they are assigned, what they read, and what they settle.

use std::time::Duration;

use longshore_core::{
    Acks, Batch, BoxFuture, BrokerError, Consumer, Lane, Lanes, Ranges, Receipts, Room, SettleError, Settled, Source, Subscribe,
};
use tokio::time::Instant;

use super::event::{Event, Shows};
use super::group::Assignment;
use super::habits::Left;
use super::personality::{Faults, Settling};
use super::{Broker, State};

pub(crate) struct ScriptedConsumer {
    pub(crate) broker: Broker,
    pub(crate) host: u32,
}

impl Consumer for ScriptedConsumer {
    fn subscribe(&self, _: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            tokio::time::sleep(self.broker.latency()).await;
            let member = Member { broker: self.broker.clone(), id: self.broker.join(self.host), host: self.host };
            let lanes: Lanes = Box::pin(futures::stream::unfold(member, |member| async move {
                let lane = member.next_lane().await;
                Some((Ok(lane), member))
            }));
            Ok(lanes)
        })
    }
}

/// A member of the group, as long as its stream of lanes lives.
struct Member {
    broker: Broker,
    id: u32,
    host: u32,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.broker.leave(self.id);
    }
}

impl Member {
    async fn next_lane(&self) -> Lane {
        loop {
            let changed = self.broker.changed.notified();
            match self.broker.next_assignment(self.id) {
                Ok(assignment) => return self.broker.lane(self.host, assignment),
                Err(look_again) => self.broker.wait(changed, look_again).await,
            }
        }
    }
}

impl Broker {
    /// Waits until something changed, or until that time.
    async fn wait(&self, changed: tokio::sync::futures::Notified<'_>, until: Option<u64>) {
        let Some(until) = until else { return changed.await };
        let wait = Duration::from_millis(until.saturating_sub(self.history.now()).max(1));
        futures::future::select(Box::pin(changed), Box::pin(tokio::time::sleep(wait))).await;
    }

    fn lane(&self, host: u32, assignment: Assignment) -> Lane {
        let Assignment { lane, partition, revoked } = assignment;
        let state = self.state();
        let lease = if let Settling::Lease { lease, .. } = state.personality.settling { Some(lease) } else { None };
        let leases = lease.is_some();
        let lease = lease.filter(|_| state.personality.habits.left == Left::LeaseOver);
        let known = &state.log.partitions[partition];
        let (finished, waiting) = (if leases { Ranges::default() } else { known.above.clone() }, known.waiting());
        drop(state);
        Lane {
            id: format!("{partition}"),
            partition: u32::try_from(partition).ok().filter(|_| !leases),
            source: Box::new(ScriptedSource { broker: self.clone(), lane, host, ready_at: Instant::now() }),
            acks: Box::new(ScriptedAcks { broker: self.clone(), lane }),
            revoked: Box::pin(async move {
                if revoked.await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
            finished,
            waiting,
            inbox: None,
            lease,
        }
    }
}

struct ScriptedSource {
    broker: Broker,
    lane: u32,
    host: u32,
    /// The next fetch answers not before then.
    ready_at: Instant,
}

/// What a look into the log brought.
enum Looked {
    Brought,
    Failed(BrokerError),
    /// Nothing; there may be something at that time, milliseconds since the Unix epoch.
    Nothing(Option<u64>),
}

impl Source for ScriptedSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            if self.ready_at > Instant::now() {
                tokio::time::sleep_until(self.ready_at).await;
            }
            loop {
                let changed = self.broker.changed.notified();
                let look_again = match self.look(room, into) {
                    Looked::Nothing(look_again) => look_again,
                    Looked::Brought => {
                        self.ready_at = Instant::now() + self.broker.latency();
                        return Ok(());
                    }
                    Looked::Failed(error) => return Err(error),
                };
                self.broker.wait(changed, look_again).await;
            }
        })
    }
}

impl ScriptedSource {
    fn look(&self, room: Room, into: &mut Batch) -> Looked {
        let now = self.broker.history.now();
        let mut state = self.broker.state();
        self.broker.expire_leases(&mut state, now);
        self.broker.commit_due(&mut state, None);
        let Some(known) = state.group.lanes.get(&self.lane).filter(|l| l.current) else { return Looked::Nothing(None) };
        let (at, cursor) = (known.partition, known.cursor);
        let mut found = state.eligible(self.lane, at, cursor, now);
        if found.is_empty() {
            return Looked::Nothing(state.next_due(at, now));
        }
        if state.fails(|f| f.fetch) {
            let error = state.error("the fetch failed");
            self.broker.history.record(Event::FetchFailed { lane: self.lane, fix: error.fix });
            return Looked::Failed(error);
        }
        let most = if state.personality.instant { room.messages } else { 1 + state.random.below(room.messages as u64) as usize };
        found.truncate(most.min(room.messages));
        for position in found {
            if !self.hand_over(&mut state, at, position, room, now, into) {
                break;
            }
        }
        Looked::Brought
    }

    /// `false` when there was no room for it.
    fn hand_over(&self, state: &mut State, at: usize, position: u64, room: Room, now: u64, into: &mut Batch) -> bool {
        state.log.tokens += 1;
        let (token, settling) = (state.log.tokens, state.personality.settling);
        let runs_out = !state.personality.keeps_with_lane();
        let lent_until = match settling {
            Settling::Lease { lease, .. } if runs_out => Some(now + lease.as_millis() as u64),
            _ => None,
        };
        let entry = state.log.partitions[at].entries.get_mut(&position).expect("it was just found");
        let bytes = entry.bytes();
        if !into.is_empty() && into.bytes() + bytes > room.bytes {
            return false;
        }
        entry.hand_over(self.lane, token, position, lent_until, into);
        let (message, attempt, unanswered, fresh) = (entry.number, entry.attempt, entry.unanswered, entry.due.is_none());
        if let Some(lane) = state.group.lanes.get_mut(&self.lane).filter(|_| fresh) {
            lane.cursor = lane.cursor.max(position);
        }
        self.broker.history.record(Event::Fetched { lane: self.lane, host: self.host, message, attempt, unanswered, bytes });
        true
    }
}

impl State {
    /// Positions that the lane may be given now, in the order that it gets them.
    fn eligible(&mut self, lane: u32, at: usize, cursor: u64, now: u64) -> Vec<u64> {
        let leases = matches!(self.personality.settling, Settling::Lease { .. });
        let partition = &self.log.partitions[at];
        let due = |due: Option<u64>| due.is_some_and(|at| at <= now);
        let pick = |wanted: &dyn Fn(u64, &super::log::Entry) -> bool| -> Vec<u64> {
            partition.entries.iter().filter(|(position, e)| !e.ended && wanted(**position, e)).map(|(position, _)| *position).collect()
        };
        let is_free = |e: &super::log::Entry| e.held_by.is_none() && !e.lapsed.contains(&lane);
        let (retries, fresh) = match leases {
            true => (pick(&|_, e| is_free(e) && due(e.due)), pick(&|_, e| is_free(e) && e.due.is_none())),
            false => (
                pick(&|_, e| due(e.due) && e.held_by != Some(lane)),
                pick(&|position, e| e.due.is_none() && position > cursor && !partition.covers(position)),
            ),
        };
        if self.random.chance(50) { [retries, fresh].concat() } else { [fresh, retries].concat() }
    }

    fn next_due(&self, at: usize, now: u64) -> Option<u64> {
        let entries = self.log.partitions[at].entries.values().filter(|e| !e.ended);
        entries.flat_map(|e| [e.due, e.lent_until]).flatten().filter(|at| *at > now).min()
    }

    /// Draws whether something fails.
    pub(crate) fn fails(&mut self, percent: impl FnOnce(&Faults) -> u64) -> bool {
        self.random.chance(percent(&self.faults))
    }

    pub(crate) fn error(&mut self, what: &str) -> BrokerError {
        if self.random.chance(self.faults.reconnect) { BrokerError::reconnect(what) } else { BrokerError::retry(what) }
    }
}

struct ScriptedAcks {
    broker: Broker,
    lane: u32,
}

impl Acks for ScriptedAcks {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move { self.take(round).await.map(drop) })
    }

    fn take<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<Vec<usize>, SettleError>> {
        Box::pin(async move {
            tokio::time::sleep(self.broker.stall() + self.broker.latency()).await;
            let result = self.broker.settle(self.lane, round);
            self.broker.changed.notify_waiters();
            tokio::time::sleep(self.broker.latency()).await;
            result
        })
    }

    fn extend<'a>(&'a mut self, held: &'a Receipts) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            tokio::time::sleep(self.broker.latency()).await;
            self.broker.extend(self.lane, held)
        })
    }

    fn close(self: Box<Self>, open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        Box::pin(async move {
            tokio::time::sleep(self.broker.latency()).await;
            self.broker.give_back(self.lane, &open);
            Ok(())
        })
    }
}

impl Drop for ScriptedAcks {
    fn drop(&mut self) {
        self.broker.end_lane(&mut self.broker.state(), self.lane, false);
        self.broker.changed.notify_waiters();
    }
}

impl Broker {
    fn expire_leases(&self, state: &mut State, now: u64) {
        let counts = state.personality.habits.counts;
        let lanes = &state.group.lanes;
        for entry in state.log.partitions.iter_mut().flat_map(|p| p.entries.values_mut()) {
            let Some(lane) = entry.held_by.filter(|_| entry.lent_until.is_some_and(|at| at <= now)) else { continue };
            (entry.held_by, entry.lent_until) = (None, None);
            entry.unanswered += u32::from(counts);
            // Whose lane is over has nothing to forget.
            if lanes.get(&lane).is_some_and(|l| !l.ended) {
                entry.lapsed.push(lane);
            }
            self.history.record(Event::LeaseExpired { lane, message: entry.number });
            self.history.record(Event::Shown { habit: Shows::LeaseOver });
        }
    }

    fn extend(&self, lane: u32, held: &Receipts) -> Result<(), BrokerError> {
        let now = self.history.now();
        let mut state = self.state();
        if state.fails(|f| f.settle) {
            return Err(state.error("the leases were not extended"));
        }
        let Settling::Lease { lease, .. } = state.personality.settling else { return Ok(()) };
        let keeps = state.personality.keeps_with_lane();
        let mut messages = 0;
        for receipt in held.iter() {
            if let Some(entry) = state.held_entry(lane, 0, receipt.position, receipt.token) {
                entry.lent_until = (!keeps).then(|| now + lease.as_millis() as u64);
                messages += 1;
            }
        }
        self.history.record(Event::Extended { lane, messages });
        Ok(())
    }

    fn give_back(&self, lane: u32, open: &Receipts) {
        let mut state = self.state();
        let Some((partition, current)) = state.group.lanes.get(&lane).map(|l| (l.partition, l.current)) else { return };
        self.commit_due(&mut state, Some(lane));
        for receipt in open.iter().filter(|_| current) {
            if let Some(entry) = state.held_entry(lane, partition, receipt.position, receipt.token) {
                entry.answered();
            }
        }
        self.end_lane(&mut state, lane, true);
        drop(state);
        self.changed.notify_waiters();
    }
}
