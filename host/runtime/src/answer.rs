//! What a guest answers, believed or refused.

use std::time::Duration;

use longshore_core::{Done, Failure, Malformed, NewOutput, Outputs};

use crate::bindings::batch_handler::Answer;
use crate::bindings::types::{self, Outgoing};
use crate::caps::publish;
use crate::crash::cut;

/// Longest reason that is kept, bytes; more than a dead letter shows.
const REASON: usize = 4 << 10;

/// Checks a packed answer to a call of `count` messages.
pub(crate) fn check(answer: Answer, count: u32) -> Result<Done, Malformed> {
    if answer.handled == 0 || answer.handled > count {
        return Err(Malformed(format!("{} messages of a call of {count} were handled", answer.handled)));
    }
    let mut before = None;
    for (index, _) in &answer.failures {
        if *index >= answer.handled {
            return Err(Malformed(format!("a failure of message {index}, of which only {} were handled", answer.handled)));
        }
        if before.is_some_and(|before| *index <= before) {
            return Err(Malformed(format!("a failure of message {index} behind one of {}", before.unwrap_or_default())));
        }
        before = Some(*index);
    }
    let outputs = Outputs::check(answer.outputs, answer.handled)?;
    let failures = answer.failures.into_iter().map(|(index, failure)| (index, failure.into())).collect();
    Ok(Done { handled: answer.handled, failures, outputs })
}

/// Packs one output of message `origin`.
pub(crate) fn append(rows: &mut Vec<u8>, origin: u32, output: &Outgoing) {
    let new = NewOutput {
        origin,
        destination: publish::destination(&output.to),
        key: output.key.as_deref(),
        payload: output.payload.as_deref(),
        headers: output.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())),
        delay: publish::delay(output),
    };
    new.append(rows);
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Retry(reason) => Failure::Retry(short(reason)),
            types::Failure::RetryAfter(later) => Failure::RetryAfter(Duration::from_millis(later.after), short(later.reason)),
            types::Failure::Reject(reason) => Failure::Reject(short(reason)),
            types::Failure::Discard(reason) => Failure::Discard(short(reason)),
            types::Failure::Snooze(span) => Failure::Snooze(Duration::from_millis(span)),
        }
    }
}

/// Reasons are kept for as long as a message waits, so what no person reads of them goes at once.
fn short(reason: String) -> String {
    if reason.len() > REASON { cut(&reason, REASON) } else { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(handled: u32, failures: &[u32]) -> Answer {
        let failures = failures.iter().map(|i| (*i, types::Failure::Snooze(0))).collect();
        Answer { handled, failures, outputs: Vec::new() }
    }

    #[test]
    fn answers_that_cannot_be_are_refused() {
        let refused = |handled, failures: &[u32]| check(answer(handled, failures), 3).expect_err("refused").0;
        assert!(refused(0, &[]).contains("0 messages of a call of 3"));
        assert!(refused(4, &[]).contains("4 messages of a call of 3"));
        assert!(refused(2, &[2]).contains("failure of message 2"));
        assert!(refused(3, &[1, 0]).contains("failure of message 0"));
        assert!(refused(3, &[1, 1]).contains("failure of message 1"));
        assert!(refused(3, &[u32::MAX]).contains("failure of message"));
    }

    #[test]
    fn a_good_answer_is_believed() {
        let done = check(answer(3, &[0, 2]), 3).expect("good");
        assert_eq!(done.handled, 3);
        assert_eq!(done.failures.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn the_longest_delay_is_cut_to_what_the_packed_form_holds() {
        let to = types::Destination::Output;
        let output = Outgoing { to, key: None, payload: None, headers: Vec::new(), delay: Some(u64::MAX) };
        let mut rows = Vec::new();
        append(&mut rows, 0, &output);
        let outputs = Outputs::check(rows, 1).expect("well-formed");
        assert_eq!(outputs.iter().map(|output| output.delay()).collect::<Vec<_>>(), [publish::LONGEST]);
    }
}
