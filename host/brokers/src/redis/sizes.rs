//! How many messages fit into the bytes that there is room for, by the size of those that came.

use longshore_core::{Batch, Room};

/// Bytes that a message is taken to have before one was seen.
const GUESS: usize = 256;

/// About how many bytes a message of a topic has: what came last counts most.
pub(super) struct Sizes(usize);

impl Default for Sizes {
    fn default() -> Self {
        Sizes(GUESS)
    }
}

impl Sizes {
    /// How many messages to ask for.
    pub(super) fn fit(&self, room: Room) -> usize {
        room.messages.min((room.bytes / self.0).max(1))
    }

    /// Learns from what came.
    pub(super) fn learn(&mut self, came: &Batch) {
        if !came.is_empty() {
            self.0 = (self.0 + came.bytes() / came.len()) / 2 + 1;
        }
    }
}
