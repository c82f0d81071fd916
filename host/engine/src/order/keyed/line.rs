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
            (_, Place::Here(held)) => Some(held),
            away => {
                self.places.push_front(away);
                None
            }
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().map(|(_, place)| place)
    }

    pub(super) fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.places.iter_mut().map(|(_, place)| place)
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
        match self.find(position) {
            Ok(at) => Some(std::mem::replace(&mut self.places[at].1, place)),
            Err(at) => {
                if self.places.is_empty() {
                    self.places.reserve_exact(1);
                }
                self.places.insert(at, (position, place));
                None
            }
        }
    }

    /// Forgets a position.
    pub(super) fn remove(&mut self, position: u64) -> Option<Place> {
        let at = self.find(position).ok()?;
        self.places.remove(at).map(|(_, place)| place)
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
}
