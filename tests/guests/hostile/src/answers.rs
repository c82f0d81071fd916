//! Answers that break the rules of the packed form.

use crate::bindings::{exports::longshore::messaging::batch_handler::Answer, longshore::messaging::types::Failure};

/// More outputs than any host should take from one call.
const FLOOD: usize = 200_000;

/// More than a host takes as one answer, and less than a guest's memory usually is.
const HUGE: usize = 48 << 20;

/// An output for topic `out`, of which one field at a time is spoilt.
struct Output {
    size: u32,
    origin: u32,
    destination: u32,
    topic_length: u32,
    key_length: i32,
    payload_length: i32,
    topic: [u8; 8],
}

impl Output {
    fn of(origin: u32) -> Self {
        let topic = *b"out\0\0\0\0\0";
        Self { size: 48, origin, destination: 0, topic_length: 3, key_length: -1, payload_length: -1, topic }
    }

    fn append(&self, outputs: &mut Vec<u8>) {
        outputs.extend_from_slice(&self.size.to_le_bytes());
        outputs.extend_from_slice(&self.origin.to_le_bytes());
        outputs.extend_from_slice(&0_u64.to_le_bytes());
        outputs.extend_from_slice(&self.destination.to_le_bytes());
        outputs.extend_from_slice(&self.topic_length.to_le_bytes());
        outputs.extend_from_slice(&self.key_length.to_le_bytes());
        outputs.extend_from_slice(&self.payload_length.to_le_bytes());
        outputs.extend_from_slice(&0_u64.to_le_bytes());
        outputs.extend_from_slice(&self.topic);
    }
}

/// Spoils the answer as `word`, the payload of message `index`, says; any other word leaves it good.
pub(crate) fn misbehave(word: &[u8], index: u32, count: u32, answer: &mut Answer) {
    let good = Output::of(index);
    let retry = || Failure::Retry("asked to".to_owned());
    match word {
        b"output-flood" => (0..FLOOD).for_each(|_| good.append(&mut answer.outputs)),
        b"huge-answer" => answer.outputs = vec![0; HUGE],
        b"count-zero" => answer.handled = 0,
        b"count-too-many" => answer.handled = count + 1,
        b"bad-index" => answer.failures.push((count, retry())),
        b"descending" => answer.failures.extend([(index, retry()), (index, retry())]),
        b"bad-utf8" => Output { topic: *b"\xff\xfe\xfd\0\0\0\0\0", ..good }.append(&mut answer.outputs),
        b"bad-destination" => Output { destination: 7, ..good }.append(&mut answer.outputs),
        b"bad-origin" => Output { origin: count, ..good }.append(&mut answer.outputs),
        b"bad-size" => {
            Output { size: 47, ..good }.append(&mut answer.outputs);
            answer.outputs.pop();
        }
        b"bad-length" => {
            Output { topic_length: u32::MAX, key_length: i32::MAX, payload_length: i32::MAX, ..good }.append(&mut answer.outputs)
        }
        _ => {}
    }
}
