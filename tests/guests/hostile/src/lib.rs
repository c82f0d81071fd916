//! Breaks whatever rule its payload's first word names, and is well-behaved otherwise. Built on the generated bindings alone, since the
//! SDK would not let it.
//!
//! | word | what it does |
//! |------|--------------|
//! | `spin`, `allocate`, `recurse` | never ends, without a call to the host; takes memory or stack without end |
//! | `park` | waits in a call to the host, by far longer than any deadline |
//! | `log-flood`, `stdout` | writes very many lines; writes lines to stdout and stderr and is done |
//! | `output-flood`, `huge-answer` | answers very many outputs; answers one list as large as its memory allows |
//! | `count-zero`, `count-too-many` | handled none; handled more than there were |
//! | `bad-index`, `descending` | a failure of a message that was not handled; failures that do not ascend |
//! | `bad-utf8`, `bad-destination` | an output whose topic is no text; whose destination does not exist |
//! | `bad-size`, `bad-length` | an output whose size is no multiple of 8; whose lengths add up to far more than it is |
//! | `bad-origin` | outputs of a message that was not handled |
//! | `trap`, `exit` | traps; ends the process |

mod answers;
mod bindings;
mod endless;

use bindings::exports::longshore::messaging::batch_handler::{Answer, Batch, Guest};

struct Hostile;

impl Guest for Hostile {
    fn handle(batch: Batch) -> Answer {
        let mut answer = Answer { handled: batch.count, failures: Vec::new(), outputs: Vec::new() };
        for (index, payload) in payloads(&batch.rows).enumerate() {
            let word = payload.split(|&byte| byte == b' ').next().unwrap_or_default();
            let index = index as u32;
            if !endless::misbehave(word) {
                answers::misbehave(word, index, batch.count, &mut answer);
            }
        }
        answer
    }
}

/// The payloads of the rows.
fn payloads(rows: &[u8]) -> impl Iterator<Item = &[u8]> {
    let word = |row: &[u8], at: usize| u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]) as usize;
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (row, after) = rest.split_at(word(rest, 0));
        rest = after;
        let length = |at| Some(word(row, at)).filter(|&length| length != u32::MAX as usize).unwrap_or(0);
        let start = 40 + 8 * word(row, 32) + word(row, 16) + word(row, 20) + length(24);
        Some(&row[start..start + length(28)])
    })
}
