//! The packed layout of `wit/batch-handler.wit`: rows of a 40-byte head, 8 bytes a header, then the bytes, padded to 8. Messages and
//! outputs share it; a field that means one thing in one and another in the other is named after its place here.

use std::fmt;

/// Bytes of a row before the lengths of its headers.
pub(crate) const HEAD: usize = 40;

/// Bytes of the two lengths that each header has.
pub(crate) const LENGTHS: usize = 8;

const ALIGN: usize = 8;

/// A row that contradicts itself. The host never makes one; it is an error so that nothing panics if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "damaged row in the batch: {}", self.0)
    }
}

/// The fixed part of a row.
pub(crate) struct Head {
    /// Attempt, or origin.
    pub(crate) word4: u32,
    /// Timestamp, or delay.
    pub(crate) word8: u64,
    /// Length of the id, or destination.
    pub(crate) word16: u32,
    pub(crate) topic: u32,
    pub(crate) key: Option<u32>,
    pub(crate) payload: Option<u32>,
    pub(crate) headers: u32,
}

impl Head {
    #[inline(always)]
    pub(crate) fn read(row: &[u8]) -> Result<Self, Damaged> {
        let (head, _) = row.split_first_chunk::<HEAD>().ok_or(Damaged("shorter than its head"))?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Ok(Self {
            word4: word(4),
            word8: u64::from(word(8)) | u64::from(word(12)) << 32,
            word16: word(16),
            topic: word(20),
            key: optional(word(24))?,
            payload: optional(word(28))?,
            headers: word(32),
        })
    }

    /// Where the values start, once it is sure that all of them but the headers' (which are checked when they are read) end inside the
    /// row. `id` is the length of the id, 0 where a row has none.
    #[inline(always)]
    pub(crate) fn values_at(&self, row: usize, id: u64) -> Result<usize, Damaged> {
        let start = HEAD as u64 + LENGTHS as u64 * u64::from(self.headers);
        let length = |value: Option<u32>| u64::from(value.unwrap_or(0));
        let end = start + id + u64::from(self.topic) + length(self.key) + length(self.payload);
        if end > row as u64 {
            return Err(Damaged("its lengths lead out of it"));
        }
        Ok(start as usize)
    }
}

/// What is written as -1 is none; other negative lengths cannot be.
#[inline(always)]
fn optional(word: u32) -> Result<Option<u32>, Damaged> {
    match word {
        u32::MAX => Ok(None),
        length if length <= i32::MAX as u32 => Ok(Some(length)),
        _ => Err(Damaged("a negative length")),
    }
}

#[inline(always)]
pub(crate) fn u32_at(row: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*row.get(at..)?.first_chunk()?))
}

/// Cuts a list into its rows. After an error it ends, since the next row's start is not known.
pub(crate) struct Rows<'a> {
    rest: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(rows: &'a [u8]) -> Self {
        Self { rest: rows }
    }

    #[inline(always)]
    fn cut(&mut self) -> Result<&'a [u8], Damaged> {
        let size = u32_at(self.rest, 0).ok_or(Damaged("no size"))? as usize;
        if size < HEAD || !size.is_multiple_of(ALIGN) {
            return Err(Damaged("a size that no row can have"));
        }
        let (row, rest) = self.rest.split_at_checked(size).ok_or(Damaged("it ends before its size"))?;
        self.rest = rest;
        Ok(row)
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<&'a [u8], Damaged>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let row = self.cut();
        if row.is_err() {
            self.rest = &[];
        }
        Some(row)
    }
}

/// What to write as a row. `first` is the id of a message and empty in an output; `word16` is that length, or the destination.
pub(crate) struct Row<'a, H> {
    pub(crate) word4: u32,
    pub(crate) word8: u64,
    pub(crate) word16: u32,
    pub(crate) first: &'a [u8],
    pub(crate) topic: &'a [u8],
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: H,
}

impl<'a, H: ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone> Row<'a, H> {
    /// Appends it to `rows`, which holds whole rows.
    pub(crate) fn append(self, rows: &mut Vec<u8>) {
        let values = [self.first, self.topic, self.key.unwrap_or_default(), self.payload.unwrap_or_default()];
        let count = self.headers.len();
        let in_headers: usize = self.headers.clone().map(|(name, value)| name.len() + value.len()).sum();
        let used = HEAD + LENGTHS * count + values.iter().map(|value| value.len()).sum::<usize>() + in_headers;
        let size = used.next_multiple_of(ALIGN);

        let mut head = [0; HEAD];
        head[0..4].copy_from_slice(&length(size));
        head[4..8].copy_from_slice(&self.word4.to_le_bytes());
        head[8..16].copy_from_slice(&self.word8.to_le_bytes());
        head[16..20].copy_from_slice(&self.word16.to_le_bytes());
        head[20..24].copy_from_slice(&length(self.topic.len()));
        head[24..28].copy_from_slice(&self.key.map_or(NONE, |key| length(key.len())));
        head[28..32].copy_from_slice(&self.payload.map_or(NONE, |payload| length(payload.len())));
        head[32..36].copy_from_slice(&length(count));

        rows.reserve(size);
        rows.extend_from_slice(&head);
        for (name, value) in self.headers.clone() {
            rows.extend_from_slice(&length(name.len()));
            rows.extend_from_slice(&length(value.len()));
        }
        for value in values {
            rows.extend_from_slice(value);
        }
        for (name, value) in self.headers {
            rows.extend_from_slice(name);
            rows.extend_from_slice(value);
        }
        rows.extend_from_slice(&[0; ALIGN][..size - used]);
    }
}

/// The length of what is not there.
const NONE: [u8; 4] = (-1_i32).to_le_bytes();

/// Lengths stay below 2^31, which is half of all the memory that a guest can have. Beyond that the length is a lie that makes the host
/// refuse the answer.
fn length(count: usize) -> [u8; 4] {
    i32::try_from(count).unwrap_or(i32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests;
