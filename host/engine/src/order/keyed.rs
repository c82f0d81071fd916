//! Order by key: a key is in at most one call at a time, and its messages run in the order of their positions.
//!
//! Each key has a line of positions, of messages that are here and of those that are *away*, waiting in the broker for a retry. Only the
//! head of the line may run; so a retry that waits holds its key and nothing else.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use longshore_core::{Batch, Waiting};

use self::line::{Away, Held, Line, Place};
use super::{Picked, Seqs};

mod line;

/// Fixed, so that a simulation replays. A collision makes two keys share a line, which is only slower.
const HASH: FixedState = FixedState::with_seed(0x4c6f_6e67_7368_6f72);
/// When a retry comes again that was waiting before this lane began is not known: as if it were due.
const UNKNOWN_DUE: u64 = 0;

/// What may run next.
#[derive(Debug)]
enum Ready {
    Key(u64),
    /// A message without key is its own key.
    Loose(Held),
}

/// All keys of a lane.
#[derive(Debug)]
pub(crate) struct Keyed {
    whole_lane: bool,
    /// Of keys that have something here or in a call: as many as there is room for, however many retries wait.
    lines: HashMap<u64, Line, FixedState>,
    /// Of keys whose messages are all away. Apart, since there can be very many, and hardly one is looked at.
    held: HashMap<u64, Line, FixedState>,
    ready: VecDeque<Ready>,
    /// Messages that are here, whether they may run or not.
    here: usize,
    /// Messages that are away to make room.
    parked: usize,
    /// Deliveries that ended because there was another of the same position: sequence number, and bytes.
    replaced: Vec<(u64, usize)>,
}

impl Keyed {
    pub(super) fn new(whole_lane: bool, waiting: &[Waiting]) -> Self {
        let (lines, held, ready) = (HashMap::with_hasher(HASH), HashMap::with_hasher(HASH), VecDeque::new());
        let mut keyed = Keyed { whole_lane, lines, held, ready, here: 0, parked: 0, replaced: Vec::new() };
        for w in waiting {
            if let Some(key) = keyed.key(w.key.as_deref()) {
                keyed.held.entry(key).or_default().put(w.position, Place::Away(Away { due: UNKNOWN_DUE, parked: false }));
            }
        }
        keyed
    }

    pub(super) fn push(&mut self, batch: &Arc<Batch>, index: usize, seq: u64, alone: bool) {
        self.place(Held { batch: batch.clone(), index, seq, alone }, false);
    }

    pub(super) fn pick(&mut self, most: usize) -> Option<Picked> {
        let mut taken: Vec<Held> = Vec::new();
        while taken.len() < most.max(1) {
            match self.ready.pop_front() {
                None => break,
                Some(Ready::Loose(held)) if taken.is_empty() || !held.alone => taken.push(held),
                Some(loose @ Ready::Loose(_)) => {
                    self.ready.push_front(loose);
                    break;
                }
                Some(Ready::Key(key)) => self.take_line(key, most.max(1), &mut taken),
            }
            if taken.last().is_some_and(|h| h.alone) || self.starts_alone(&taken) {
                break;
            }
        }
        self.here -= taken.len();
        gather(taken)
    }

    pub(super) fn requeue(&mut self, picked: &Picked, index: usize, alone: bool) {
        self.place(Held { batch: picked.batch.clone(), index: picked.from + index, seq: picked.seq(index), alone }, true);
    }

    pub(super) fn away(&mut self, picked: &Picked, index: usize, due: u64) {
        let at = picked.from + index;
        if let Some(key) = self.key(picked.batch.row(at).key()) {
            let position = picked.batch.receipt(at).position;
            let line = self.line(key);
            match line.at(position) {
                // A second delivery of it that is here already stays: it is what came again.
                Some(Place::Here(_)) => {}
                Some(Place::Away(Away { parked, .. })) => drop(line.put(position, Place::Away(Away { due, parked: *parked }))),
                None => drop(line.put(position, Place::Away(Away { due, parked: false }))),
            }
            self.go_on(key);
        }
    }

    pub(super) fn given_up(&mut self, picked: &Picked, index: usize) {
        let at = picked.from + index;
        let Some(key) = self.key(picked.batch.row(at).key()) else { return };
        let line = self.line(key);
        let position = picked.batch.receipt(at).position;
        if let Some(Place::Away(Away { parked, .. })) = line.at(position) {
            let parked = usize::from(*parked);
            line.remove(position);
            self.parked -= parked;
        }
        self.go_on(key);
    }

    pub(super) fn close(&mut self, picked: &Picked) {
        for at in picked.from..picked.to {
            let Some(key) = self.key(picked.batch.row(at).key()) else { continue };
            let Some(line) = self.lines.get_mut(&key) else { continue };
            line.running = false;
            self.go_on(key);
        }
    }

    /// A key's line, which is one of those that are looked at from now on.
    fn line(&mut self, key: u64) -> &mut Line {
        self.lines.entry(key).or_insert_with(|| self.held.remove(&key).unwrap_or_default())
    }

    /// Offers what is left of a line, lays it aside while it is away, or forgets it.
    fn go_on(&mut self, key: u64) {
        let Some(line) = self.lines.get(&key) else { return };
        if !line.is_away() {
            self.offer(key);
        } else if let Some(line) = self.lines.remove(&key)
            && !line.is_over()
        {
            self.held.insert(key, line);
        }
    }

    /// Messages that may run: at most what is here, since the lines that are held are not counted one by one.
    pub(super) fn ready(&self) -> usize {
        if self.ready.is_empty() { 0 } else { self.here }
    }

    pub(super) fn park(&mut self) -> Vec<(Picked, u64)> {
        let mut parked = Vec::new();
        let mut held: Vec<u64> = self.lines.iter().filter(|(_, l)| !l.may_run() && !l.running).map(|(k, _)| *k).collect();
        held.sort_unstable();
        for key in held {
            let (due, away) = self.line(key).park(UNKNOWN_DUE);
            parked.extend(away.into_iter().filter_map(|held| Some((gather(vec![held])?, due))));
            self.go_on(key);
        }
        self.here -= parked.len();
        self.parked += parked.len();
        parked
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    pub(super) fn waits_until(&self) -> Option<u64> {
        let waited_for = self.lines.values().filter(|l| l.is_waited_for());
        waited_for.filter_map(|l| if let Place::Away(away) = l.head()? { Some(away.due) } else { None }).min()
    }

    pub(super) fn is_behind(&self, picked: &Picked, index: usize) -> bool {
        let at = picked.from + index;
        let Some(line) = self.key(picked.batch.row(at).key()).and_then(|key| self.lines.get(&key).or_else(|| self.held.get(&key))) else {
            return false;
        };
        line.before(picked.batch.receipt(at).position).any(|place| matches!(place, Place::Away(_)))
    }

    pub(super) fn must_follow(&self, (later, index): (&Batch, usize), (earlier, at): (&Batch, usize)) -> bool {
        let line = self.key(later.row(index).key());
        line.is_some() && line == self.key(earlier.row(at).key()) && later.receipt(index).position > earlier.receipt(at).position
    }

    pub(super) fn take_replaced(&mut self) -> Vec<(u64, usize)> {
        std::mem::take(&mut self.replaced)
    }

    pub(super) fn each(&self, mut show: impl FnMut(&Batch, usize)) {
        let loose = self.ready.iter().filter_map(|r| if let Ready::Loose(held) = r { Some(held) } else { None });
        let lined = self.lines.values().flat_map(Line::places);
        let lined = lined.filter_map(|p| if let Place::Here(held) = p { Some(held) } else { None });
        loose.chain(lined).for_each(|h| show(&h.batch, h.index));
    }

    /// Takes the head of a line and what follows it without a gap.
    fn take_line(&mut self, key: u64, most: usize, taken: &mut Vec<Held>) {
        let Some(line) = self.lines.get_mut(&key) else { return };
        line.queued = false;
        while taken.len() < most
            && let Some(head) = line.head_here()
            && (!head.alone || taken.is_empty())
        {
            let alone = head.alone;
            taken.extend(line.take_head());
            line.running = true;
            if alone {
                break;
            }
        }
        if !line.running {
            self.offer_in_front(key);
        }
    }

    /// Whether what may run next must not join a call that has messages already.
    fn starts_alone(&self, taken: &[Held]) -> bool {
        let head = match self.ready.front() {
            Some(Ready::Loose(held)) => Some(held),
            Some(Ready::Key(key)) => self.lines.get(key).and_then(Line::head_here),
            None => None,
        };
        !taken.is_empty() && head.is_some_and(|h| h.alone)
    }

    fn place(&mut self, held: Held, front: bool) {
        let Some(key) = self.key(held.batch.row(held.index).key()) else {
            self.here += 1;
            return if front { self.ready.push_front(Ready::Loose(held)) } else { self.ready.push_back(Ready::Loose(held)) };
        };
        let position = held.batch.receipt(held.index).position;
        let before = self.line(key).remove(position);
        self.parked -= usize::from(matches!(before, Some(Place::Away(Away { parked: true, .. }))));
        let (kept, dropped) = match before {
            // The newer delivery's receipt is the one that counts; what was requeued is older than what came meanwhile.
            Some(Place::Here(other)) if front => (other, Some(held)),
            Some(Place::Here(other)) => (held, Some(other)),
            _ => (held, None),
        };
        self.here += usize::from(dropped.is_none());
        // The older sequence number stays open: the mark must not pass a position that is still here.
        let seq = dropped.as_ref().map_or(kept.seq, |d| d.seq.min(kept.seq));
        self.replaced.extend(dropped.map(|d| (d.seq.max(kept.seq), d.batch.row(d.index).size())));
        self.line(key).put(position, Place::Here(Held { seq, ..kept }));
        self.offer(key);
    }

    /// Lists the key as ready if its head may run and it is not listed yet.
    fn offer(&mut self, key: u64) {
        let line = self.lines.get_mut(&key).expect("callers have just used it");
        if !line.queued && line.may_run() {
            line.queued = true;
            self.ready.push_back(Ready::Key(key));
        }
    }

    fn offer_in_front(&mut self, key: u64) {
        let line = self.lines.get_mut(&key).expect("callers have just used it");
        if !line.queued && line.may_run() {
            line.queued = true;
            self.ready.push_front(Ready::Key(key));
        }
    }

    /// The line that a key belongs to; none for a message that is its own key.
    fn key(&self, key: Option<&[u8]>) -> Option<u64> {
        if self.whole_lane { Some(0) } else { key.map(|k| HASH.hash_one(k)) }
    }
}

/// The taken messages as one call: a slice of their batch where they stand together, else a copy.
fn gather(taken: Vec<Held>) -> Option<Picked> {
    let first = taken.first()?;
    let alone = first.alone;
    let together = taken.iter().enumerate().all(|(i, h)| Arc::ptr_eq(&h.batch, &first.batch) && h.index == first.index + i);
    let seqs = Seqs::List(taken.iter().map(|h| h.seq).collect());
    if together {
        return Some(Picked { batch: first.batch.clone(), from: first.index, to: first.index + taken.len(), alone, seqs });
    }
    let mut batch = Batch::default();
    taken.iter().for_each(|h| batch.push_from(&h.batch, h.index));
    Some(Picked { from: 0, to: batch.len(), batch: Arc::new(batch), alone, seqs })
}
