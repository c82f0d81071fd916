//! No order: runs of messages, called as they came.

use std::collections::VecDeque;
use std::sync::Arc;

use longshore_core::Batch;

use super::{Picked, Seqs};

/// Messages `from..to` of a batch, the first with sequence number `seq`.
#[derive(Debug)]
struct Run {
    batch: Arc<Batch>,
    from: usize,
    to: usize,
    seq: u64,
    alone: bool,
}

/// Runs that wait. Nothing is kept per message.
#[derive(Debug, Default)]
pub(crate) struct Free {
    runs: VecDeque<Run>,
    len: usize,
}

impl Free {
    pub(super) fn push(&mut self, batch: &Arc<Batch>, from: usize, to: usize, seq: u64, alone: bool) {
        if from == to {
            return;
        }
        self.len += to - from;
        self.runs.push_back(Run { batch: batch.clone(), from, to, seq, alone });
    }

    pub(super) fn pick(&mut self, most: usize) -> Option<Picked> {
        let run = self.runs.front_mut()?;
        let take = (run.to - run.from).min(if run.alone { 1 } else { most.max(1) });
        let picked = Picked { batch: run.batch.clone(), from: run.from, to: run.from + take, alone: run.alone, seqs: Seqs::Run(run.seq) };
        run.from += take;
        run.seq += take as u64;
        if run.from == run.to {
            self.runs.pop_front();
        }
        self.len -= take;
        Some(picked)
    }

    /// Puts the message in front. Callers go backwards through a call, so that its messages keep their order and grow into one run.
    pub(super) fn requeue(&mut self, picked: &Picked, index: usize, alone: bool) {
        self.len += 1;
        let (at, seq) = (picked.from + index, picked.seq(index));
        if let Some(front) = self.runs.front_mut()
            && Arc::ptr_eq(&front.batch, &picked.batch)
            && front.alone == alone
            && front.from == at + 1
            && front.seq == seq + 1
        {
            front.from = at;
            front.seq = seq;
            return;
        }
        self.runs.push_front(Run { batch: picked.batch.clone(), from: at, to: at + 1, seq, alone });
    }

    pub(super) fn each(&self, mut show: impl FnMut(&Batch, usize)) {
        for run in &self.runs {
            (run.from..run.to).for_each(|at| show(&run.batch, at));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
