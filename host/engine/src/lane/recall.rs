//! What follows a message whose output was refused: that is decided when the message has released its key already, so that later ones of
//! the key may have run. They come again behind it, whether they wait to be settled or still run. What a broker without transactions took of
//! their outputs before is out, and comes again under the same ids.

use std::time::Duration;

use longshore_core::Handler;

use crate::order::Picked;
use crate::round::{Record, Round};
use crate::verdict::{Fault, Verdict, Verdicts};

use super::LaneTask;

impl<H: Handler> LaneTask<H> {
    /// An output of message `index` of `record` was refused for good: the message fails.
    pub(super) fn output_refused(&mut self, round: &mut Round, record: usize, index: usize, why: &str) {
        let failed = &mut round.records[record];
        if *failed.verdict(index) != Verdict::Done {
            return;
        }
        let verdict = self.judge().output_refused(&failed.picked, index, why);
        self.log(&failed.picked, index, &verdict);
        let again = if let Verdict::Again { delay, .. } = &verdict { Some(*delay) } else { None };
        failed.set_verdict(index, verdict);
        if let Some(delay) = again {
            let picked = failed.picked.clone();
            self.queue.away(&picked, index, self.due(delay));
            self.recall_ended(round, (&picked, index), delay);
            self.recalled = !self.running.is_empty();
        }
    }

    /// Later messages of the key that are done, and not settled, come again with it.
    fn recall_ended(&mut self, round: &mut Round, failed: (&Picked, usize), delay: Duration) {
        let mut pending = std::mem::take(&mut self.pending);
        for record in round.records.iter_mut().chain(&mut pending) {
            for i in 0..record.picked.len() {
                if *record.verdict(i) == Verdict::Done && self.queue.must_follow((&record.picked, i), failed) {
                    self.send_after(record, i, delay);
                }
            }
        }
        self.pending = pending;
    }

    fn send_after(&mut self, record: &mut Record, index: usize, delay: Duration) {
        let fault =
            Fault { class: "recalled", message: "an output of an earlier message of its key was refused: it runs again after it".into() };
        let verdict = Verdict::Again { delay, counted: false, fault };
        self.log(&record.picked, index, &verdict);
        self.queue.away(&record.picked, index, self.due(delay));
        record.set_verdict(index, verdict);
    }

    /// The same for a call that ran meanwhile.
    pub(super) fn recall_answered(&mut self, picked: &Picked, verdicts: &mut Verdicts) {
        if !self.recalled {
            return;
        }
        self.recalled = !self.running.is_empty();
        for i in (0..picked.len()).filter(|i| self.queue.is_behind(picked, *i)) {
            verdicts.requeue(i, picked.len());
        }
    }
}
