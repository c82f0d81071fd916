//! The reading end of a buffer: hands what waits there over to a lane, as far as there is room.

use std::collections::VecDeque;
use std::sync::Arc;

use longshore_core::row::Row;
use longshore_core::{Batch, Facts, Receipt, Room};

use super::Buffer;

/// The reading end, which gives messages their positions: as they are handed over, from 1.
pub(crate) struct Reader<T> {
    buffer: Arc<Buffer<T>>,
    /// Taken from the buffer and not handed over yet.
    here: VecDeque<T>,
    row: Vec<u8>,
    /// Messages handed over.
    count: u64,
}

impl<T> Reader<T> {
    pub(crate) fn new(buffer: Arc<Buffer<T>>) -> Self {
        Reader { buffer, here: VecDeque::new(), row: Vec::new(), count: 0 }
    }

    pub(crate) fn buffer(&self) -> &Arc<Buffer<T>> {
        &self.buffer
    }

    /// Hands over what waits, the first message in any case. Says whether there was one. `write` makes the row of a message that will have
    /// that position; `None` where it is not one of the lane's.
    pub(crate) fn read(&mut self, room: Room, into: &mut Batch, write: impl Fn(&mut Vec<u8>, &T, u64) -> Option<Facts>) -> bool {
        let (before, bytes) = (into.len(), into.bytes());
        while into.len() - before < room.messages {
            let is_first = into.len() == before;
            let Some(message) = self.here.front() else {
                if is_first && self.buffer.take(room, &mut self.here) {
                    continue;
                }
                break;
            };
            let position = self.count + 1;
            self.row.clear();
            if let Some(facts) = write(&mut self.row, message, position) {
                let row = Row::at(&self.row, 0).expect("it was just written");
                if !is_first && into.bytes() - bytes + row.size() > room.bytes {
                    break;
                }
                into.push_row(row, 1, Receipt { position, token: &[] }, facts);
                self.count = position;
            }
            self.here.pop_front();
        }
        into.len() > before
    }
}
