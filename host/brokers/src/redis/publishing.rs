//! What publishing is to streams and to lists: who is refused before the server is asked, and how many go at once.

use longshore_core::row::Row;
use longshore_core::{Outbox, PublishError, SettleError};

/// Messages and bytes that are sent in one go.
const STEP: usize = 1000;
const STEP_BYTES: usize = 4 << 20;

/// Refuses outputs for the first one that is not admitted.
pub(super) fn check(outputs: &Outbox, admit: impl Fn(Row<'_>) -> Result<(), PublishError>) -> Result<(), SettleError> {
    (0..outputs.len()).try_for_each(|index| admit(outputs.row(index)).map_err(|error| SettleError::Output { index, error }))
}

/// Refuses what is told from an empty payload on other brokers only.
pub(super) fn has_payload(row: Row<'_>) -> Result<(), PublishError> {
    let what = "a message without payload (a tombstone); an empty payload is one like any other";
    row.payload().map(drop).ok_or_else(|| PublishError::Unsupported(what.into()))
}

/// Runs of messages that are sent in one go each.
pub(super) fn steps<'a>(outbox: &Outbox, indices: &'a [usize]) -> Vec<&'a [usize]> {
    let (mut steps, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (n, i) in indices.iter().enumerate() {
        bytes += outbox.row(*i).size();
        if n + 1 - from == STEP || bytes >= STEP_BYTES {
            steps.push(&indices[from..=n]);
            (from, bytes) = (n + 1, 0);
        }
    }
    if from < indices.len() {
        steps.push(&indices[from..]);
    }
    steps
}
