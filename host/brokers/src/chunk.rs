//! What a source has brought from its broker and not handed over yet: a fetch has room for so much and no more.

use longshore_core::{Batch, Room};

/// Brought messages, handed over from the first on.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    batch: Batch,
    handed: usize,
}

impl Chunk {
    /// Whether everything was handed over.
    pub(crate) fn is_used_up(&self) -> bool {
        self.handed == self.batch.len()
    }

    /// Forgets the messages and gives the place for new ones.
    pub(crate) fn anew(&mut self) -> &mut Batch {
        self.batch.clear();
        self.handed = 0;
        &mut self.batch
    }

    /// Hands over what there is room for; the first message in any case.
    pub(crate) fn hand_over(&mut self, room: Room, into: &mut Batch) {
        let whole = self.handed == 0 && self.batch.len() <= room.messages && self.batch.bytes() <= room.bytes;
        if whole && into.is_empty() {
            std::mem::swap(into, &mut self.batch);
            return;
        }
        let (mut messages, before) = (0, into.bytes());
        while self.handed < self.batch.len() && messages < room.messages {
            let size = self.batch.row(self.handed).size();
            if messages > 0 && into.bytes() - before + size > room.bytes {
                break;
            }
            into.push_from(&self.batch, self.handed);
            (self.handed, messages) = (self.handed + 1, messages + 1);
        }
    }
}
