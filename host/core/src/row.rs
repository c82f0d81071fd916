//! The packed row of one message, as `wit/batch-handler.wit` lays it out: a head of fixed size, the lengths of the headers, the bytes.
//!
//! This is the host's own form of a message from the adapter to the guest's memory: a row stands for itself, so a run of rows is a
//! sub-slice and a picked row is a `memcpy`. Numbers are little-endian, rows are padded with zeros to a multiple of [`ALIGN`].

/// Bytes before the headers' lengths.
pub const HEAD: usize = 40;
/// Rows are padded to a multiple of this.
pub const ALIGN: usize = 8;
/// Every length in a row stays below this.
pub const MAX_LENGTH: usize = i32::MAX as usize;
/// Byte of a row at which `attempt` stands.
pub const ATTEMPT_AT: usize = 4;
/// Byte of a row at which the id's length stands, in an answer the destination.
pub(crate) const ID_LENGTH_AT: usize = 16;

/// One message, borrowed from wherever it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a, H = &'a [(&'a str, &'a [u8])]> {
    /// Stable across redeliveries and retries; empty where the broker is to give one.
    pub id: &'a str,
    /// Where it was published.
    pub topic: &'a str,
    /// Equal keys share order.
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Name and value, in order, names may repeat.
    pub headers: H,
    /// Milliseconds since the Unix epoch, when the source says that it was produced.
    pub timestamp: u64,
    /// 1 on first sight.
    pub attempt: u32,
}

/// A row read lazily. Made by [`Row::at`] from bytes that this host wrote or checked.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    /// The row that starts at `start`, or `None` when what stands there is not a whole row.
    pub fn at(rows: &'a [u8], start: usize) -> Option<Self> {
        let row = Row::new_unchecked(rows, start)?;
        (row.size() % ALIGN == 0 && row.content_end()? <= row.size() as u64).then_some(row)
    }

    /// The bytes of the row that starts at `start`; its lengths are still to be checked, or were.
    pub(crate) fn new_unchecked(rows: &'a [u8], start: usize) -> Option<Self> {
        let rest = rows.get(start..)?;
        if rest.len() < HEAD {
            return None;
        }
        let size = read_u32(rest, 0) as usize;
        (size >= HEAD).then_some(Row { bytes: rest.get(..size)? })
    }

    /// The whole row, padding included.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Size in bytes, padding included.
    pub fn size(self) -> usize {
        self.bytes.len()
    }

    /// Field at 4: attempt in a batch, origin in an answer.
    pub fn attempt(self) -> u32 {
        read_u32(self.bytes, ATTEMPT_AT)
    }

    /// Field at 8: timestamp in a batch, delay in an answer; milliseconds.
    pub fn timestamp(self) -> u64 {
        read_u64(self.bytes, 8)
    }

    /// Field at 16: length of the id in a batch, destination in an answer.
    pub fn id_length(self) -> u32 {
        read_u32(self.bytes, 16)
    }

    /// The id. Only for rows of a batch.
    pub fn id(self) -> &'a str {
        let from = self.body();
        text(&self.bytes[from..from + self.id_length() as usize])
    }

    /// The topic. Only for rows of a batch.
    pub fn topic(self) -> &'a str {
        let from = self.body() + self.id_length() as usize;
        text(&self.bytes[from..from + self.topic_length()])
    }

    /// Whether the topic is the same as that of `other`. Only for rows of a batch.
    pub fn shares_topic(self, other: Row<'_>) -> bool {
        self.topic_after(self.id_length() as usize) == other.topic_after(other.id_length() as usize)
    }

    /// The key. Only for rows of a batch.
    pub fn key(self) -> Option<&'a [u8]> {
        self.key_after(self.id_length() as usize)
    }

    /// The payload. Only for rows of a batch.
    pub fn payload(self) -> Option<&'a [u8]> {
        self.payload_after(self.id_length() as usize)
    }

    /// Names and values of the headers. Only for rows of a batch.
    pub fn headers(self) -> Headers<'a> {
        self.headers_after(self.id_length() as usize)
    }

    /// The value of the first header of that name.
    pub fn header(self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Everything at once. Only for rows of a batch.
    pub fn message(self) -> Message<'a, Headers<'a>> {
        Message {
            id: self.id(),
            topic: self.topic(),
            key: self.key(),
            payload: self.payload(),
            headers: self.headers(),
            timestamp: self.timestamp(),
            attempt: self.attempt(),
        }
    }

    pub(crate) fn topic_length(self) -> usize {
        read_u32(self.bytes, 20) as usize
    }

    pub(crate) fn topic_after(self, id: usize) -> &'a [u8] {
        let from = self.body() + id;
        &self.bytes[from..from + self.topic_length()]
    }

    pub(crate) fn key_after(self, id: usize) -> Option<&'a [u8]> {
        let length = optional(self.key_length())?;
        let from = self.body() + id + self.topic_length();
        Some(&self.bytes[from..from + length])
    }

    pub(crate) fn payload_after(self, id: usize) -> Option<&'a [u8]> {
        let length = optional(self.payload_length())?;
        let from = self.body() + id + self.topic_length() + optional(self.key_length()).unwrap_or(0);
        Some(&self.bytes[from..from + length])
    }

    pub(crate) fn headers_after(self, id: usize) -> Headers<'a> {
        let at = self.body()
            + id
            + self.topic_length()
            + optional(self.key_length()).unwrap_or(0)
            + optional(self.payload_length()).unwrap_or(0);
        Headers { bytes: self.bytes, next: 0, count: self.header_count(), at }
    }

    pub(crate) fn header_count(self) -> usize {
        read_u32(self.bytes, 32) as usize
    }

    fn key_length(self) -> i32 {
        read_u32(self.bytes, 24).cast_signed()
    }

    fn payload_length(self) -> i32 {
        read_u32(self.bytes, 28).cast_signed()
    }

    fn body(self) -> usize {
        HEAD + self.header_count() * 8
    }

    /// Where the content of a batch's row ends, or `None` when its lengths are impossible. Sums stay in `u64`, so nothing wraps.
    fn content_end(self) -> Option<u64> {
        self.content_end_with(u64::from(self.id_length()))
    }

    /// The same with another length in place of the id's: an answer's rows have no id.
    pub(crate) fn content_end_with(self, id: u64) -> Option<u64> {
        let headers = self.header_count() as u64;
        let table_end = HEAD as u64 + headers * 8;
        if table_end > self.bytes.len() as u64 || self.key_length() < -1 || self.payload_length() < -1 {
            return None;
        }
        let mut end = table_end + id + self.topic_length() as u64;
        end += u64::try_from(self.key_length()).unwrap_or(0) + u64::try_from(self.payload_length()).unwrap_or(0);
        for i in 0..self.header_count() {
            end += u64::from(read_u32(self.bytes, HEAD + i * 8)) + u64::from(read_u32(self.bytes, HEAD + i * 8 + 4));
        }
        Some(end)
    }
}

/// Names and values of a row's headers, in order.
#[derive(Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    next: usize,
    count: usize,
    at: usize,
}

impl<'a> Headers<'a> {
    /// Names as bytes, for whoever has to check that they are text.
    pub(crate) fn raw_names(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || self.next_raw().map(|(name, _)| name))
    }

    fn next_raw(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        if self.next == self.count {
            return None;
        }
        let name = read_u32(self.bytes, HEAD + self.next * 8) as usize;
        let value = read_u32(self.bytes, HEAD + self.next * 8 + 4) as usize;
        let middle = self.at + name;
        let item = (&self.bytes[self.at..middle], &self.bytes[middle..middle + value]);
        self.at = middle + value;
        self.next += 1;
        Some(item)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_raw().map(|(name, value)| (text(name), value))
    }
}

/// Appends the row of `message`. Every length must be below [`MAX_LENGTH`], which the size limits of brokers and guests ensure.
pub fn append<'h, H>(rows: &mut Vec<u8>, message: &Message<'_, H>)
where
    H: IntoIterator<Item = (&'h str, &'h [u8])> + Clone,
{
    let start = rows.len();
    rows.extend_from_slice(&[0; HEAD]);
    let mut headers = 0u32;
    for (name, value) in message.headers.clone() {
        rows.extend_from_slice(&length(name.len()).to_le_bytes());
        rows.extend_from_slice(&length(value.len()).to_le_bytes());
        headers += 1;
    }
    rows.extend_from_slice(message.id.as_bytes());
    rows.extend_from_slice(message.topic.as_bytes());
    rows.extend_from_slice(message.key.unwrap_or_default());
    rows.extend_from_slice(message.payload.unwrap_or_default());
    for (name, value) in message.headers.clone() {
        rows.extend_from_slice(name.as_bytes());
        rows.extend_from_slice(value);
    }
    let size = pad(rows, start);
    let head = &mut rows[start..start + HEAD];
    head[0..4].copy_from_slice(&length(size).to_le_bytes());
    head[4..8].copy_from_slice(&message.attempt.to_le_bytes());
    head[8..16].copy_from_slice(&message.timestamp.to_le_bytes());
    head[16..20].copy_from_slice(&length(message.id.len()).to_le_bytes());
    head[20..24].copy_from_slice(&length(message.topic.len()).to_le_bytes());
    head[24..28].copy_from_slice(&optional_length(message.key).to_le_bytes());
    head[28..32].copy_from_slice(&optional_length(message.payload).to_le_bytes());
    head[32..36].copy_from_slice(&headers.to_le_bytes());
}

/// Appends `row` with `id` in place of its own (which is normally empty): what a broker does that names messages when they are read.
pub fn append_with_id(rows: &mut Vec<u8>, row: Row<'_>, id: &str) {
    let start = rows.len();
    let body = row.body();
    rows.extend_from_slice(&row.bytes[..body]);
    rows.extend_from_slice(id.as_bytes());
    let content = row.content_end().and_then(|end| usize::try_from(end).ok()).unwrap_or(row.size());
    rows.extend_from_slice(&row.bytes[body + row.id_length() as usize..content]);
    let size = pad(rows, start);
    rows[start..start + 4].copy_from_slice(&length(size).to_le_bytes());
    rows[start + 16..start + 20].copy_from_slice(&length(id.len()).to_le_bytes());
}

/// Pads the row that starts at `start` and answers its size.
fn pad(rows: &mut Vec<u8>, start: usize) -> usize {
    let size = (rows.len() - start).next_multiple_of(ALIGN);
    rows.resize(start + size, 0);
    size
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn optional(length: i32) -> Option<usize> {
    usize::try_from(length).ok()
}

fn optional_length(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |b| length(b.len()).cast_signed())
}

fn length(bytes: usize) -> u32 {
    debug_assert!(bytes < MAX_LENGTH, "sizes are limited before they come here");
    u32::try_from(bytes.min(MAX_LENGTH)).expect("below 2^31")
}

/// Rows are written from `str` or checked for UTF-8 before they become one of ours; a broken text shows as empty, never as a panic.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Owned = (String, String, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Vec<u8>)>, u64, u32);

    fn owned() -> impl Strategy<Value = Owned> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        let headers = proptest::collection::vec((".{0,9}", bytes()), 0..4);
        (".{0,20}", ".{0,20}", proptest::option::of(bytes()), proptest::option::of(bytes()), headers, any::<u64>(), any::<u32>())
    }

    fn write(rows: &mut Vec<u8>, m: &Owned) {
        let headers: Vec<(&str, &[u8])> = m.4.iter().map(|(n, v)| (n.as_str(), v.as_slice())).collect();
        let message = Message {
            id: &m.0,
            topic: &m.1,
            key: m.2.as_deref(),
            payload: m.3.as_deref(),
            headers: headers.iter().copied(),
            timestamp: m.5,
            attempt: m.6,
        };
        append(rows, &message);
    }

    fn read(row: Row<'_>) -> Owned {
        (
            row.id().into(),
            row.topic().into(),
            row.key().map(Into::into),
            row.payload().map(Into::into),
            row.headers().map(|(n, v)| (n.into(), v.into())).collect(),
            row.timestamp(),
            row.attempt(),
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(messages in proptest::collection::vec(owned(), 1..5)) {
            let mut rows = Vec::new();
            for m in &messages {
                write(&mut rows, m);
            }
            let mut at = 0;
            for m in &messages {
                let row = Row::at(&rows, at).expect("a row");
                prop_assert_eq!(&read(row), m);
                at += row.size();
            }
            prop_assert_eq!(at, rows.len());
        }

        #[test]
        fn an_id_given_later_changes_nothing_else(m in owned(), id in ".{0,20}") {
            let (mut rows, mut expected) = (Vec::new(), m.clone());
            write(&mut rows, &m);
            let mut renamed = Vec::new();
            append_with_id(&mut renamed, Row::at(&rows, 0).expect("a row"), &id);
            expected.0 = id;
            prop_assert_eq!(read(Row::at(&renamed, 0).expect("a row")), expected);
        }

        #[test]
        fn damaged_rows_never_panic(m in owned(), at in 0usize..200, byte: u8) {
            let mut rows = Vec::new();
            write(&mut rows, &m);
            let at = at % rows.len();
            rows[at] = byte;
            if let Some(row) = Row::at(&rows, 0) {
                let _ = read(row);
            }
        }
    }
}
