//! Members of the group and their lanes: who has what, since when, and how it is taken away.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use super::event::{Event, Shows};
use super::habits::Left;
use super::log::Entry;
use super::personality::{Personality, Settling};
use super::{Broker, State};

/// How long a lane that is taken away with notice may still settle, milliseconds.
const NOTICE: u64 = 3_000;
/// How long the group waits for a host that vanished, milliseconds.
const SESSION: u64 = 2_000;

/// One lane that was assigned.
pub(crate) struct LaneState {
    pub(crate) host: u32,
    member: u32,
    pub(crate) partition: usize,
    /// Whether it may read and settle.
    pub(crate) current: bool,
    revoke: Option<oneshot::Sender<()>>,
    /// It was taken away with notice, which ends then.
    notice_ends: Option<u64>,
    /// Everything at or below it was handed over.
    pub(crate) cursor: u64,
    /// Whether what it held counts as unanswered, unless it was given back.
    pub(crate) ended: bool,
    /// Positions that it has finished, which is not kept yet.
    pub(crate) noted: BTreeSet<u64>,
    /// When that is kept.
    pub(crate) commits_at: u64,
}

/// A lane that a member is to be told of.
pub(crate) struct Assignment {
    pub(crate) lane: u32,
    pub(crate) partition: usize,
    pub(crate) revoked: oneshot::Receiver<()>,
}

/// The group.
#[derive(Default)]
pub(crate) struct Group {
    /// Numbers and hosts.
    members: Vec<(u32, u32)>,
    pub(crate) lanes: BTreeMap<u32, LaneState>,
    assignments: Vec<(u32, Assignment)>,
    /// Partitions that nobody gets before that time.
    held_until: BTreeMap<usize, u64>,
    /// Moves partitions among members.
    pub(crate) shift: usize,
    next: u32,
}

impl Group {
    pub(crate) fn nth_current(&self, nth: usize) -> Option<u32> {
        let current: Vec<u32> = self.lanes.iter().filter(|(_, l)| l.current && l.notice_ends.is_none()).map(|(id, _)| *id).collect();
        (!current.is_empty()).then(|| current[nth % current.len()])
    }

    pub(crate) fn is_current(&self, lane: u32) -> bool {
        self.lanes.get(&lane).is_some_and(|l| l.current)
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// When something is to be looked at again.
    fn next_time(&self) -> Option<u64> {
        let notices = self.lanes.values().filter(|l| l.current).filter_map(|l| l.notice_ends);
        notices.chain(self.held_until.values().copied()).min()
    }
}

impl Broker {
    pub(crate) fn join(&self, host: u32) -> u32 {
        let mut state = self.state();
        let member = state.group.number();
        state.group.members.push((member, host));
        self.assign(&mut state);
        drop(state);
        self.changed.notify_waiters();
        member
    }

    pub(crate) fn leave(&self, member: u32) {
        let mut state = self.state();
        state.group.members.retain(|(m, _)| *m != member);
        // Lanes that it was never told of.
        let (unheard, others) = std::mem::take(&mut state.group.assignments).into_iter().partition(|(m, _)| *m == member);
        state.group.assignments = others;
        let unheard: Vec<(u32, Assignment)> = unheard;
        for (_, assignment) in unheard {
            self.end_lane(&mut state, assignment.lane, true);
        }
        self.assign(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The next lane for a member, or when to ask again.
    pub(crate) fn next_assignment(&self, member: u32) -> Result<Assignment, Option<u64>> {
        let mut state = self.state();
        self.assign(&mut state);
        match state.group.assignments.iter().position(|(m, _)| *m == member) {
            Some(at) => Ok(state.group.assignments.remove(at).1),
            None => Err(state.group.next_time()),
        }
    }

    /// Takes a lane away.
    pub(crate) fn take_away(&self, state: &mut State, lane: u32, lost: bool) {
        let now = self.history.now();
        let Some(known) = state.group.lanes.get_mut(&lane) else { return };
        if let Some(revoke) = known.revoke.take() {
            // A lane whose host has gone hears nothing.
            let _ = revoke.send(());
        }
        self.history.record(Event::Revoked { lane, lost });
        if lost {
            known.current = false;
            if !std::mem::take(&mut known.noted).is_empty() {
                self.history.record(Event::Shown { habit: Shows::Rewound });
            }
            let partition = known.partition;
            state.group.held_until.insert(partition, now + 1);
            if state.personality.habits.forgets {
                self.forget_held(state, lane);
            } else {
                state.forget_holder(lane, false, now);
            }
            self.forget_unheard(state);
        } else {
            known.notice_ends = Some(now + NOTICE);
        }
    }

    /// A lane is over: closed by its host, or dropped with it.
    pub(crate) fn end_lane(&self, state: &mut State, lane: u32, closed: bool) {
        let now = self.history.now();
        let Some(known) = state.group.lanes.get_mut(&lane) else { return };
        if std::mem::replace(&mut known.ended, true) {
            return;
        }
        let (was_current, host, partition) = (std::mem::replace(&mut known.current, false), known.host, known.partition);
        known.revoke = None;
        if !std::mem::take(&mut known.noted).is_empty() {
            self.history.record(Event::Shown { habit: Shows::Rewound });
        }
        if state.personality.habits.forgets {
            self.forget_held(state, lane);
        } else if state.forget_holder(lane, !closed && was_current, now) && !closed {
            self.history.record(Event::Shown { habit: Shows::AtOnce });
        }
        self.forget_unheard(state);
        if was_current && !closed {
            let until = now + state.vacancy();
            state.group.held_until.insert(partition, until);
        }
        self.history.record(Event::LaneEnded { lane, host, closed });
    }

    /// Gives every partition that is free to its member, and takes from a member what belongs to another.
    fn assign(&self, state: &mut State) {
        let now = self.history.now();
        let late: Vec<u32> =
            state.group.lanes.iter().filter(|(_, l)| l.current && l.notice_ends.is_some_and(|at| at <= now)).map(|(id, _)| *id).collect();
        for lane in late {
            self.commit_due(state, Some(lane));
            state.group.lanes.get_mut(&lane).expect("just listed").current = false;
            if state.personality.habits.forgets {
                self.forget_held(state, lane);
            } else {
                state.forget_holder(lane, false, now);
            }
        }
        state.group.held_until.retain(|_, until| *until > now);
        match state.personality.settling {
            Settling::Lease { .. } => self.assign_each(state),
            _ => self.assign_partitions(state),
        }
    }

    fn assign_each(&self, state: &mut State) {
        let one_reader = state.personality.habits.one_reader;
        for (member, host) in state.group.members.clone() {
            let is_taken = state.group.lanes.values().any(|l| l.current && (one_reader || l.member == member));
            if is_taken || (one_reader && state.group.held_until.contains_key(&0)) {
                continue;
            }
            if one_reader {
                self.inherit(state);
            }
            self.assign_one(state, member, host, 0);
        }
    }

    /// Where nothing is kept, what a lane had is gone with it.
    fn forget_held(&self, state: &mut State, lane: u32) {
        self.forget(state, |entry| entry.held_by == Some(lane));
    }

    /// Where nothing is kept, what nobody listens to is gone.
    pub(crate) fn forget_unheard(&self, state: &mut State) {
        if state.personality.habits.forgets && !state.group.lanes.values().any(|lane| lane.current) {
            self.forget(state, |entry| entry.held_by.is_none());
        }
    }

    fn forget(&self, state: &mut State, gone: impl Fn(&Entry) -> bool) {
        for entry in state.log.entries_mut().filter(|entry| !entry.ended && gone(entry)) {
            (entry.held_by, entry.ended) = (None, true);
            self.history.record(Event::Forgotten { message: entry.number });
            self.history.record(Event::Shown { habit: Shows::Forgotten });
        }
    }

    /// Who reads alone has all that others left.
    fn inherit(&self, state: &mut State) {
        let counts = state.personality.habits.counts;
        let mut inherited = 0;
        for entry in state.log.entries_mut().filter(|entry| entry.held_by.is_some()) {
            (entry.held_by, entry.lent_until) = (None, None);
            entry.unanswered += u32::from(counts);
            inherited += 1;
        }
        if inherited > 0 {
            self.history.record(Event::Shown { habit: Shows::Inherited });
        }
    }

    fn assign_partitions(&self, state: &mut State) {
        for partition in 0..state.log.partitions.len() {
            let members = &state.group.members;
            if members.is_empty() {
                return;
            }
            let (member, host) = members[(partition + state.group.shift) % members.len()];
            let owner = state.group.lanes.iter().find(|(_, l)| l.current && l.partition == partition).map(|(id, l)| (*id, l.member));
            match owner {
                // A member that has left finishes what it does; its lane ends by itself.
                Some((_, m)) if m == member || members.iter().all(|(known, _)| *known != m) => {}
                Some((lane, _)) => {
                    if state.group.lanes[&lane].notice_ends.is_none() {
                        self.take_away(state, lane, false);
                    }
                }
                None if state.group.held_until.contains_key(&partition) => {}
                None => self.assign_one(state, member, host, partition),
            }
        }
    }

    fn assign_one(&self, state: &mut State, member: u32, host: u32, partition: usize) {
        let lane = state.group.number();
        let commits_at = self.history.now() + state.personality.habits.commit_every;
        let (revoke, revoked) = oneshot::channel();
        let cursor = if matches!(state.personality.settling, Settling::Lease { .. }) { 0 } else { state.log.partitions[partition].mark };
        let known = LaneState {
            host,
            member,
            partition,
            current: true,
            revoke: Some(revoke),
            notice_ends: None,
            cursor,
            ended: false,
            noted: BTreeSet::new(),
            commits_at,
        };
        state.group.lanes.insert(lane, known);
        state.group.assignments.push((member, Assignment { lane, partition, revoked }));
        let partition = u32::try_from(partition).expect("few partitions");
        self.history.record(Event::Assigned { lane, host, partition });
    }
}

impl State {
    /// How long nobody reads a partition whose reader vanished, milliseconds.
    fn vacancy(&mut self) -> u64 {
        match (self.personality.settling, self.personality.habits.left) {
            // A seat outlasts whoever sat there by what was left of its time.
            (Settling::Lease { lease, .. }, Left::LeaseOver | Left::HostGone) => 1 + self.random.below(lease.as_millis() as u64),
            (Settling::Lease { .. }, Left::AtOnce) => 1,
            _ => SESSION,
        }
    }

    /// What `lane` has is nobody's any more. `unanswered`: its host died over it. Answers whether it comes again at once.
    fn forget_holder(&mut self, lane: u32, unanswered: bool, now: u64) -> bool {
        let Personality { settling, habits, .. } = self.personality;
        let counts = unanswered && (settling == Settling::Transaction || (habits.left == Left::AtOnce && habits.counts));
        let lease = if let Settling::Lease { lease, .. } = settling { Some(lease.as_millis() as u64) } else { None };
        let keeps = self.personality.keeps_with_lane();
        let mut at_once = false;
        for entry in self.log.entries_mut() {
            entry.lapsed.retain(|l| *l != lane);
            if entry.held_by != Some(lane) {
                continue;
            }
            match lease {
                Some(_) if habits.left == Left::AtOnce => at_once = true,
                Some(lease) if keeps => {
                    entry.lent_until = Some(now + lease);
                    continue;
                }
                // A lease runs out by itself, whatever became of its lane.
                Some(_) => continue,
                None => {}
            }
            entry.held_by = None;
            entry.unanswered += u32::from(counts);
        }
        at_once
    }
}
