//! Order by key: a key is in at most one call at a time, and its messages run in the order of their positions.
//!
//! Each key has a line of positions, of messages that are here and of those that are *away*, waiting in the broker for a retry. Only the
//! head of the line may run; so a retry that waits holds its key and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use longshore_core::{Batch, Waiting};

use super::{Picked, Seqs};

/// Fixed, so that a simulation replays. A collision makes two keys share a line, which is only slower.
const HASH: FixedState = FixedState::with_seed(0x4c6f_6e67_7368_6f72);
/// When a retry comes again that was waiting before this lane began is not known: as if it were due.
const UNKNOWN_DUE: u64 = 0;

/// One message that waits.
#[derive(Debug, Clone)]
struct Held {
    batch: Arc<Batch>,
    index: usize,
    seq: u64,
    alone: bool,
}

/// A place in a key's line.
#[derive(Debug)]
enum Place {
    Here(Held),
    /// With the broker.
    Away(Away),
}

/// A message that is with the broker.
#[derive(Debug, Clone, Copy)]
struct Away {
    /// Until about that time in milliseconds since the Unix epoch.
    due: u64,
    /// Not for its own sake: to make room.
    parked: bool,
}

/// One key's messages by position.
#[derive(Debug, Default)]
struct Line {
    places: BTreeMap<u64, Place>,
    running: bool,
    queued: bool,
}

impl Line {
    fn may_run(&self) -> bool {
        !self.running && matches!(self.places.first_key_value(), Some((_, Place::Here(_))))
    }
}

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
    lines: HashMap<u64, Line, FixedState>,
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
        let (lines, ready) = (HashMap::with_hasher(HASH), VecDeque::new());
        let mut keyed = Keyed { whole_lane, lines, ready, here: 0, parked: 0, replaced: Vec::new() };
        for w in waiting {
            if let Some(key) = keyed.key(w.key.as_deref()) {
                keyed.lines.entry(key).or_default().places.insert(w.position, Place::Away(Away { due: UNKNOWN_DUE, parked: false }));
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
            let place = self.lines.entry(key).or_default().places.entry(position).or_insert(Place::Away(Away { due, parked: false }));
            // A second delivery of it that is here already stays: it is what came again.
            if let Place::Away(away) = place {
                away.due = due;
            }
        }
    }

    pub(super) fn given_up(&mut self, picked: &Picked, index: usize) {
        let at = picked.from + index;
        let Some(key) = self.key(picked.batch.row(at).key()) else { return };
        let Some(line) = self.lines.get_mut(&key) else { return };
        let position = picked.batch.receipt(at).position;
        if let Some(Place::Away(away)) = line.places.get(&position) {
            self.parked -= usize::from(away.parked);
            line.places.remove(&position);
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

    /// Offers what is left of a line, or forgets it.
    fn go_on(&mut self, key: u64) {
        if self.lines.get(&key).is_some_and(|l| l.places.is_empty() && !l.running) {
            self.lines.remove(&key);
        } else {
            self.offer(key);
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
            let line = self.lines.get_mut(&key).expect("it was just listed");
            let due = line.places.values().map(|p| if let Place::Away(away) = p { away.due } else { 0 }).max().unwrap_or(UNKNOWN_DUE);
            for place in line.places.values_mut().filter(|p| matches!(p, Place::Here(_))) {
                if let Place::Here(held) = std::mem::replace(place, Place::Away(Away { due, parked: true })) {
                    parked.extend(gather(vec![held]).map(|p| (p, due)));
                }
            }
        }
        self.here -= parked.len();
        self.parked += parked.len();
        parked
    }

    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    pub(super) fn waits_until(&self) -> Option<u64> {
        let waited_for = self.lines.values().filter(|l| l.places.values().any(|p| matches!(p, Place::Here(_))));
        waited_for.filter_map(|l| if let (_, Place::Away(away)) = l.places.first_key_value()? { Some(away.due) } else { None }).min()
    }

    pub(super) fn is_behind(&self, picked: &Picked, index: usize) -> bool {
        let at = picked.from + index;
        let Some(line) = self.key(picked.batch.row(at).key()).and_then(|key| self.lines.get(&key)) else { return false };
        line.places.range(..picked.batch.receipt(at).position).any(|(_, place)| matches!(place, Place::Away(_)))
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
        let lined = self.lines.values().flat_map(|l| l.places.values());
        let lined = lined.filter_map(|p| if let Place::Here(held) = p { Some(held) } else { None });
        loose.chain(lined).for_each(|h| show(&h.batch, h.index));
    }

    /// Takes the head of a line and what follows it without a gap.
    fn take_line(&mut self, key: u64, most: usize, taken: &mut Vec<Held>) {
        let Some(line) = self.lines.get_mut(&key) else { return };
        line.queued = false;
        while taken.len() < most
            && let Some(place) = line.places.first_entry()
            && let Place::Here(held) = place.get()
        {
            if held.alone && !taken.is_empty() {
                break;
            }
            let alone = held.alone;
            if let Place::Here(held) = place.remove() {
                taken.push(held);
            }
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
            Some(Ready::Key(key)) => self.lines.get(key).and_then(|l| match l.places.first_key_value() {
                Some((_, Place::Here(held))) => Some(held),
                _ => None,
            }),
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
        let line = self.lines.entry(key).or_default();
        let before = line.places.remove(&position);
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
        line.places.insert(position, Place::Here(Held { seq, ..kept }));
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
