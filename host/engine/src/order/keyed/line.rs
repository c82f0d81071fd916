//! One key's messages by position: what is here, and what is away with the broker.
//!
//! Most lines hold one message, and there can be as many lines as retries wait; so a line is a sorted ring that begins with room for one, not
//! a tree, whose smallest node has room for eleven.

use std::collections::VecDeque;
use std::sync::Arc;

use longshore_core::Batch;

/// One message that waits.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) batch: Arc<Batch>,
    pub(super) index: usize,
    pub(super) seq: u64,
    pub(super) alone: bool,
}

/// A message that is with the broker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Away {
    /// Until about that time in milliseconds since the Unix epoch.
    pub(super) due: u64,
    /// Not for its own sake: to make room.
    pub(super) parked: bool,
}

/// A place in a key's line.
#[derive(Debug)]
pub(super) enum Place {
    Here(Held),
    /// With the broker.
    Away(Away),
}

/// The line itself.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// By position, which grows.
    places: VecDeque<(u64, Place)>,
    /// How many of them are here.
    here: usize,
    /// Whether a call has messages of it.
    pub(super) running: bool,
    /// Whether it is listed as ready.
    pub(super) queued: bool,
}

impl Line {
    pub(super) fn may_run(&self) -> bool {
        !self.running && matches!(self.head(), Some(Place::Here(_)))
    }

    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.places.is_empty() && !self.running
    }

    /// Whether something here waits for its turn.
    pub(super) fn is_waited_for(&self) -> bool {
        self.here > 0
    }

    /// Whether everything that is left of it is with the broker.
    pub(super) fn is_away(&self) -> bool {
        self.here == 0 && !self.running
    }

    /// What has to end before anything else of the key runs.
    pub(super) fn head(&self) -> Option<&Place> {
        self.places.front().map(|(_, place)| place)
    }

    /// The head, if it is here.
    pub(super) fn head_here(&self) -> Option<&Held> {
        if let Some(Place::Here(held)) = self.head() { Some(held) } else { None }
    }

    /// Takes the head, if it is here.
    pub(super) fn take_head(&mut self) -> Option<Held> {
        match self.places.pop_front()? {
            (_, Place::Here(held)) => {
                self.here -= 1;
                Some(held)
            }
            away => {
                self.places.push_front(away);
                None
            }
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().map(|(_, place)| place)
    }

    /// Sends everything that is here away, until all that was away before is due: that time, and what was here.
    pub(super) fn park(&mut self, unknown: u64) -> (u64, Vec<Held>) {
        let dues = self.places().filter_map(|p| if let Place::Away(away) = p { Some(away.due) } else { None });
        let due = dues.max().unwrap_or(unknown);
        let mut parked = Vec::with_capacity(self.here);
        for (_, place) in self.places.iter_mut().filter(|(_, p)| matches!(p, Place::Here(_))) {
            if let Place::Here(held) = std::mem::replace(place, Place::Away(Away { due, parked: true })) {
                parked.push(held);
            }
        }
        self.here = 0;
        (due, parked)
    }

    /// Everything in front of a position.
    pub(super) fn before(&self, position: u64) -> impl Iterator<Item = &Place> {
        self.places().take(self.places.partition_point(|(p, _)| *p < position))
    }

    /// The place of a position.
    pub(super) fn at(&self, position: u64) -> Option<&Place> {
        self.find(position).ok().map(|at| &self.places[at].1)
    }

    /// Puts a message at its position, and gives back what was there.
    pub(super) fn put(&mut self, position: u64, place: Place) -> Option<Place> {
        self.here += usize::from(matches!(place, Place::Here(_)));
        let before = match self.find(position) {
            Ok(at) => Some(std::mem::replace(&mut self.places[at].1, place)),
            Err(at) => {
                if self.places.is_empty() {
                    self.places.reserve_exact(1);
                }
                self.places.insert(at, (position, place));
                None
            }
        };
        self.here -= usize::from(matches!(before, Some(Place::Here(_))));
        before
    }

    /// Forgets a position.
    pub(super) fn remove(&mut self, position: u64) -> Option<Place> {
        let at = self.find(position).ok()?;
        let (_, place) = self.places.remove(at)?;
        self.here -= usize::from(matches!(place, Place::Here(_)));
        Some(place)
    }

    /// Where a position is, or where it belongs; new messages belong to the end.
    fn find(&self, position: u64) -> Result<usize, usize> {
        match self.places.back() {
            Some((last, _)) if *last < position => Err(self.places.len()),
            _ => self.places.binary_search_by_key(&position, |(p, _)| *p),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away(due: u64) -> Place {
        Place::Away(Away { due, parked: false })
    }

    fn dues(places: impl Iterator<Item = impl std::borrow::Borrow<Place>>) -> Vec<u64> {
        places.filter_map(|p| if let Place::Away(away) = p.borrow() { Some(away.due) } else { None }).collect()
    }

    #[test]
    fn a_line_is_sorted_by_position_however_it_was_put_together() {
        let mut line = Line::default();
        for position in [5, 9, 1, 7, 3] {
            assert!(line.put(position, away(position)).is_none());
        }
        assert_eq!(dues(line.places()), [1, 3, 5, 7, 9]);
        assert_eq!(dues(line.before(7)), [1, 3, 5]);
        assert_eq!(dues(line.put(5, away(50)).into_iter()), [50 - 45], "what was there comes back");
        assert_eq!(dues(line.at(5).into_iter()), [50]);
        assert_eq!(dues(line.remove(1).into_iter()), [1]);
        assert_eq!(dues(line.head().into_iter()), [3]);
        assert!(line.take_head().is_none(), "the head is away");
        assert_eq!(dues(line.places()), [3, 50, 7, 9], "and stays where it was");
    }

    #[test]
    fn a_line_knows_whether_something_of_it_is_here() {
        let here = || Place::Here(Held { batch: Arc::default(), index: 0, seq: 0, alone: false });
        let mut line = Line::default();
        assert!(line.is_away() && line.is_over() && !line.is_waited_for());
        line.put(1, away(10));
        assert!(line.is_away() && !line.is_over() && !line.is_waited_for());
        line.put(2, here());
        line.put(2, here());
        assert!(!line.is_away() && line.is_waited_for() && !line.may_run());
        line.put(1, here());
        assert!(line.may_run() && line.take_head().is_some() && line.is_waited_for());
        let (due, parked) = line.park(7);
        assert_eq!((due, parked.len(), line.is_away(), line.is_over()), (7, 1, true, false), "nothing else was away");
        line.put(2, here());
        assert!(line.is_waited_for() && line.remove(2).is_some() && line.is_away() && line.is_over());
    }
}
