//! What dedup inboxes remember, in memory: nothing goes before its time, and what is over goes with what is set.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use longshore_core::StoreError;

use crate::shelf::{From, Held, Shelf, ShelfMut};

type Result<T> = std::result::Result<T, StoreError>;

/// Rows that are over and go with each that is set.
const SWEEP: usize = 8;

/// Bucket and key.
type Name = (String, String);

/// All inboxes.
#[derive(Default)]
pub(super) struct Inbox {
    rows: BTreeMap<Name, Held>,
    /// The same by time.
    until: BTreeSet<(u64, Name)>,
}

impl Inbox {
    fn take(&mut self, name: &Name) -> Option<Held> {
        let held = self.rows.remove(name)?;
        if let Some(expires) = held.expires {
            self.until.remove(&(expires, name.clone()));
        }
        Some(held)
    }
}

fn lives(held: &Held, now: u64) -> bool {
    held.expires.is_none_or(|expires| expires > now)
}

impl Shelf for Inbox {
    fn get(&self, bucket: &str, key: &str, now: u64) -> Result<Option<Held>> {
        Ok(self.rows.get(&(bucket.to_owned(), key.to_owned())).filter(|held| lives(held, now)).cloned())
    }

    fn names(&self, bucket: &str, from: From<'_>, now: u64) -> Result<Vec<String>> {
        let named = |key: &str| (bucket.to_owned(), key.to_owned());
        let first = from.after.map_or(Bound::Included(named(from.start)), |after| Bound::Excluded(named(after)));
        let rows = self.rows.range((first, Bound::Unbounded));
        let meant = rows.take_while(|((of, key), _)| of == bucket && key.starts_with(from.start)).filter(|(_, held)| lives(held, now));
        Ok(meant.take(from.limit).map(|((_, key), _)| key.clone()).collect())
    }
}

impl ShelfMut for Inbox {
    fn put(&mut self, bucket: &str, key: &str, held: Held, now: u64) -> Result<()> {
        let name = (bucket.to_owned(), key.to_owned());
        self.take(&name);
        for _ in 0..SWEEP {
            match self.until.first().cloned() {
                Some((until, over)) if until <= now => drop(self.take(&over)),
                _ => break,
            }
        }
        self.until.extend(held.expires.map(|expires| (expires, name.clone())));
        self.rows.insert(name, held);
        Ok(())
    }

    fn remove(&mut self, bucket: &str, key: &str, now: u64) -> Result<bool> {
        Ok(self.take(&(bucket.to_owned(), key.to_owned())).is_some_and(|held| lives(&held, now)))
    }
}
