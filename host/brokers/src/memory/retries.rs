//! Deliveries of one lane that wait for a retry, by time.

use std::collections::{BTreeMap, HashMap, HashSet};

use longshore_core::Waiting;
use longshore_core::row::Row;

use crate::local::Retry;

/// Time and number: the order in which they come.
type Turn = (u64, u64);

/// All of one lane.
#[derive(Default)]
pub(super) struct Waiters {
    by_time: BTreeMap<Turn, (Retry, Box<[u8]>)>,
    times: HashMap<u64, u64>,
    positions: HashSet<u64>,
}

impl Waiters {
    pub(super) fn add(&mut self, id: u64, retry: Retry, row: Box<[u8]>) {
        self.times.insert(id, retry.due);
        self.positions.insert(retry.position);
        self.by_time.insert((retry.due, id), (retry, row));
    }

    pub(super) fn take(&mut self, id: u64) -> Option<(Retry, Box<[u8]>)> {
        let due = self.times.remove(&id)?;
        let taken = self.by_time.remove(&(due, id))?;
        self.positions.remove(&taken.0.position);
        Some(taken)
    }

    /// Those behind `after`, by time.
    pub(super) fn behind(&self, after: (u64, u64)) -> impl Iterator<Item = (u64, &Retry, &[u8])> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.by_time.range((Excluded(after), Unbounded)).map(|((_, id), (retry, row))| (*id, retry, &**row))
    }

    pub(super) fn has(&self, position: u64) -> bool {
        self.positions.contains(&position)
    }

    pub(super) fn list(&self) -> Vec<Waiting> {
        let key = |row: &[u8]| Row::at(row, 0).and_then(|row| row.key().map(<[u8]>::to_vec));
        self.by_time.values().map(|(retry, row)| Waiting { position: retry.position, key: key(row) }).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}
