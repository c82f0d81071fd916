//! A topic as a file: the packed rows of its messages, one behind the other.
//!
//! Rows are the host's own form of messages ([`longshore_core::row`]), so nothing is encoded or decoded here. A row never moves, so where it
//! begins names it. Writers take the file's lock, so that several processes can share a folder. Readers do not: to them, a row that is not
//! all there yet is not there.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use longshore_core::row::{self, Row};

/// Bytes of the largest message that is taken.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of the largest row: such a message with the id that it is given.
pub(crate) const MAX_ROW: usize = MAX_MESSAGE + 1024;
/// Bytes of the longest name of a topic.
const MAX_NAME: usize = 200;

/// The file of one topic. It need not be there yet.
#[derive(Debug, Clone)]
pub(crate) struct TopicFile {
    path: PathBuf,
}

impl TopicFile {
    /// The file of `topic`, or why no topic can have that name.
    pub(crate) fn new(folder: &Path, topic: &str) -> Result<Self, String> {
        // A name that comes from a handler must not lead out of the folder.
        let harmless = topic.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if topic.is_empty() || topic.starts_with('.') || topic.len() > MAX_NAME || !harmless {
            return Err(format!("topic {topic:?} cannot be a file: write at most {MAX_NAME} letters, digits, `-`, `_` and `.`"));
        }
        Ok(TopicFile { path: folder.join(format!("{topic}.spool")) })
    }

    /// The path, for messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Up to `most` bytes from byte `from` on; none where the file is not there.
    pub(crate) fn read(&self, from: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => {
                let mut file = opened?;
                file.seek(SeekFrom::Start(from))?;
                file.take(most as u64).read_to_end(&mut bytes)?;
            }
        }
        Ok(bytes)
    }

    /// The bytes of the one row that begins at byte `from`.
    pub(crate) fn read_row(&self, from: u64) -> io::Result<Vec<u8>> {
        let head = self.read(from, row::HEAD)?;
        self.read(from, declared(&head).unwrap_or_default())
    }

    /// Where the last whole row ends; rows before byte `from` are known to be whole.
    pub(crate) fn end(&self, from: u64) -> io::Result<u64> {
        let mut end = from;
        loop {
            let bytes = self.read(end, MAX_ROW)?;
            let mut whole = 0;
            while let Some(row) = row_at(&bytes, whole)? {
                whole += row.size();
            }
            if whole == 0 {
                return Ok(end);
            }
            end += whole as u64;
        }
    }

    /// Appends the rows that `pack` makes when it is told where they will stand, and answers where they end. What this answers is on the
    /// disk. `known` is an answer from before, so that not all has to be read again.
    pub(crate) fn append(&self, known: u64, pack: impl FnOnce(u64) -> Vec<u8>) -> io::Result<u64> {
        let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        file.lock()?;
        let length = file.metadata()?.len();
        let end = self.end(if known <= length { known } else { 0 })?;
        // Whoever wrote the beginning of a row and died has told nobody that it is there.
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let rows = pack(end);
        file.write_all(&rows)?;
        file.sync_data()?;
        if end == 0
            && let Some(folder) = self.path.parent()
        {
            // A new file outlives a crash once its folder does.
            File::open(folder)?.sync_all()?;
        }
        Ok(end + rows.len() as u64)
    }
}

/// The row at `at`; none where it is not all there. Bytes that are no row are an error: nobody knows where the next one begins.
pub(crate) fn row_at(bytes: &[u8], at: usize) -> io::Result<Option<Row<'_>>> {
    let rest = &bytes[at..];
    match (Row::at(bytes, at), declared(rest)) {
        (Some(row), _) => Ok(Some(row)),
        (None, None) => Ok(None),
        (None, Some(size)) if size > rest.len() && size <= MAX_ROW => Ok(None),
        (None, Some(_)) => Err(io::Error::new(ErrorKind::InvalidData, "the file is damaged; move it away, or cut it where it was whole")),
    }
}

/// Bytes of a row, by its first field.
fn declared(row: &[u8]) -> Option<usize> {
    row.first_chunk().map(|size| u32::from_le_bytes(*size) as usize)
}

#[cfg(test)]
mod tests {
    use longshore_core::Message;

    use super::*;

    fn rows(payload: &str) -> Vec<u8> {
        let mut rows = Vec::new();
        let payload = Some(payload.as_bytes());
        row::append(&mut rows, &Message { id: "1", topic: "t", key: None, payload, headers: std::iter::empty(), timestamp: 1, attempt: 1 });
        rows
    }

    fn payloads(file: &TopicFile) -> Vec<Vec<u8>> {
        let (bytes, mut at, mut found) = (file.read(0, MAX_ROW).unwrap(), 0, Vec::new());
        while let Some(row) = row_at(&bytes, at).unwrap() {
            found.push(row.payload().unwrap().to_vec());
            at += row.size();
        }
        found
    }

    #[test]
    fn a_row_that_a_dying_writer_left_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = TopicFile::new(folder.path(), "t").unwrap();
        let end = file.append(0, |_| rows("whole")).unwrap();
        for length in [1, 4, 39, rows("torn").len() - 1] {
            std::fs::write(&file.path, [rows("whole"), rows("torn")[..length].to_vec()].concat()).unwrap();
            let next = file.append(0, |from| {
                assert_eq!(from, end, "{length} bytes of a row are no row");
                rows("next")
            });
            assert_eq!(next.unwrap(), std::fs::metadata(&file.path).unwrap().len());
            assert_eq!(payloads(&file), [&b"whole"[..], b"next"]);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = TopicFile::new(folder.path(), "t").unwrap();
        let damaged = [rows("a"), vec![0; 64], rows("b")].concat();
        std::fs::write(&file.path, &damaged).unwrap();
        assert_eq!(file.append(0, |_| rows("c")).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&file.path).unwrap(), damaged);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let check = |name: &str| TopicFile::new(Path::new("spool"), name).is_ok();
        assert!(check("orders.eu-1_x"));
        ["", "..", "../x", "a/b", ".hidden", "a b", "a*", "ä", &"x".repeat(MAX_NAME + 1)]
            .iter()
            .for_each(|bad| assert!(!check(bad), "{bad}"));
    }
}
