//! One round of settlement: the ended messages of some calls, made into what the broker is told and what is published first.

use longshore_core::{Acks, Again, BrokerError, Outbox, Outputs, PublishError, SettleError, Settled};

use crate::dead_letter;
use crate::ledger::Ledger;
use crate::order::Picked;
use crate::outputs::Writer;
use crate::policy::{Policy, Route};
use crate::verdict::{Verdict, Verdicts};

/// The messages of one call, on their way to the broker.
pub(crate) struct Record {
    pub(crate) picked: Picked,
    pub(crate) verdicts: Verdicts,
    pub(crate) outputs: Outputs,
    /// Whether the broker is to be told. Not under at-most-once, where it was before the call.
    pub(crate) acknowledge: bool,
    /// Under at-most-once a record is settled before its call: the sequence number of its first message, which is called then.
    pub(crate) before_call: Option<u64>,
    /// Whether what does not leave in the settlement's transaction has left already.
    published: bool,
    /// Messages that were given up after that: their dead letters are still to leave.
    late: Vec<usize>,
}

impl Record {
    pub(crate) fn new(picked: Picked, verdicts: Verdicts, outputs: Outputs, acknowledge: bool) -> Self {
        Record { picked, verdicts, outputs, acknowledge, before_call: None, published: false, late: Vec::new() }
    }

    pub(crate) fn verdict(&self, index: usize) -> &Verdict {
        match &self.verdicts {
            Verdicts::Each(each) => &each[index],
            Verdicts::AllDone => &Verdict::Done,
            Verdicts::Host(_) => &Verdict::Requeue { alone: false },
        }
    }

    /// Where, in their batch, the messages stand that do not wait in the lane again.
    pub(crate) fn over(&self) -> impl Iterator<Item = usize> {
        (0..self.picked.len()).filter(|i| !matches!(self.verdict(*i), Verdict::Requeue { .. })).map(|i| self.picked.from + i)
    }

    /// Those of them that the broker is to be told of.
    pub(crate) fn ended(&self) -> impl Iterator<Item = usize> {
        self.over().filter(|_| self.acknowledge)
    }

    /// Changes a verdict after the round could not be settled with it.
    pub(crate) fn set_verdict(&mut self, index: usize, verdict: Verdict) {
        self.late.push(index);
        if self.verdicts == Verdicts::AllDone {
            self.verdicts = Verdicts::Each(vec![Verdict::Done; self.picked.len()]);
        }
        if let Verdicts::Each(each) = &mut self.verdicts {
            each[index] = verdict;
        }
    }
}

/// What an entry of an outbox was made from: record and index of the message, and whether it is its dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag {
    record: usize,
    index: usize,
    dead_letter: bool,
}

/// What leaves through one broker.
#[derive(Default)]
struct Mail {
    outbox: Outbox,
    tags: Vec<Tag>,
}

impl Mail {
    /// Appends a copy of the entry at `index` of `from`.
    fn take(&mut self, from: &Mail, index: usize) {
        self.outbox.push(&from.outbox.get(index), from.outbox.delay(index), from.outbox.origin(index));
        self.tags.push(from.tags[index]);
    }
}

/// An output that its broker refuses for good.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) record: usize,
    pub(crate) index: usize,
    pub(crate) why: String,
}

/// Why a round is not settled.
#[derive(Debug)]
pub(crate) enum NotSettled {
    /// These messages' outputs were refused; the round is to be built anew with other verdicts on them.
    Refused(Vec<Refusal>),
    /// A broker that outputs leave through is in trouble: the same round again, later.
    Publish(BrokerError),
    /// The source is.
    Source(BrokerError),
}

/// Messages on their way to the broker.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) records: Vec<Record>,
    settled: Settled,
    mail: Vec<(Route, Mail)>,
    /// Tags of `settled.outputs`.
    tags: Vec<Tag>,
    writer: Writer,
    /// Outputs that were refused while others are still to leave.
    refused: Vec<Refusal>,
}

impl Round {
    /// The round of `records`, whose messages have ended in `ledger`, as everything else has that `ledger` says is finished.
    pub(crate) fn new(records: Vec<Record>, ledger: &mut Ledger) -> Self {
        let mut round = Round { records, ..Round::default() };
        round.settled.up_to = ledger.up_to();
        ledger.above(&mut round.settled.above);
        round
    }

    /// Makes of the records what is to be told and published. The mark stays where it was when the round began: what ended since then is
    /// not published yet.
    pub(crate) fn build(&mut self, policy: &Policy, now: u64) {
        self.clear();
        for r in 0..self.records.len() {
            self.tell(r, now);
            self.write_outputs(r, policy, now);
            self.write_dead_letters(r, policy, now);
        }
        if policy.transactional()
            && let Some(home) = self.mail.iter().position(|(route, _)| *route == Route::Home)
        {
            let (_, mail) = self.mail.swap_remove(home);
            self.settled.outputs = mail.outbox;
            self.tags = mail.tags;
        }
    }

    fn clear(&mut self) {
        self.settled.finished.clear();
        self.settled.again.clear();
        self.settled.again_how.clear();
        self.settled.outputs.clear();
        self.mail.clear();
        self.tags.clear();
    }

    /// Adds a record's receipts.
    fn tell(&mut self, r: usize, now: u64) {
        let record = &self.records[r];
        if !record.acknowledge {
            return;
        }
        for i in 0..record.picked.len() {
            let (batch, at) = (&record.picked.batch, record.picked.from + i);
            match record.verdict(i) {
                Verdict::Done | Verdict::Discard(_) | Verdict::Dead(..) => self.settled.finished.push(batch.receipt(at)),
                Verdict::Again { delay, counted, .. } => {
                    let (attempt, facts) = (batch.row(at).attempt(), batch.facts(at));
                    self.settled.again.push(batch.receipt(at));
                    self.settled.again_how.push(Again {
                        delay: *delay,
                        attempt: attempt + u32::from(*counted),
                        first_failed_at: if *counted && facts.first_failed_at == 0 { now } else { facts.first_failed_at },
                    });
                }
                Verdict::Requeue { .. } => {}
            }
        }
    }

    fn write_outputs(&mut self, r: usize, policy: &Policy, now: u64) {
        let within = |route| policy.transactional() && route == Route::Home;
        let (mut ordinal, mut origin) = (0, u32::MAX);
        let (record, mail, writer) = (&self.records[r], &mut self.mail, &mut self.writer);
        for output in record.outputs.iter() {
            ordinal = if output.origin() == origin { ordinal + 1 } else { 0 };
            origin = output.origin();
            let tag = Tag { record: r, index: origin as usize, dead_letter: false };
            if *record.verdict(tag.index) == Verdict::Done {
                writer.append(output, ordinal, &record.picked, policy, now, |route| {
                    (!record.published || within(route)).then(|| add(mail, route, tag))
                });
            }
        }
    }

    fn write_dead_letters(&mut self, r: usize, policy: &Policy, now: u64) {
        let record = &self.records[r];
        let Verdicts::Each(each) = &record.verdicts else { return };
        for (index, verdict) in each.iter().enumerate() {
            let Verdict::Dead(reason, fault) = verdict else { continue };
            if record.published && !policy.transactional() && !record.late.contains(&index) {
                continue;
            }
            let at = record.picked.from + index;
            let topic = record.picked.batch.row(at).topic();
            let group = policy.info.group.as_deref().unwrap_or(&policy.info.handler);
            let Some(destination) = policy.dead_letter.destination(topic, group) else { continue };
            let outbox = add(&mut self.mail, Route::Home, Tag { record: r, index, dead_letter: true });
            dead_letter::append(outbox, &destination, policy, (&record.picked.batch, at), (*reason, fault), now);
        }
    }

    /// Publishes what has to be out before, then tells the broker.
    pub(crate) async fn settle(&mut self, acks: &mut dyn Acks, policy: &Policy) -> Result<(), NotSettled> {
        while let Some((route, mail)) = self.mail.last_mut() {
            publish(*route, mail, policy, &mut self.refused).await.map_err(NotSettled::Publish)?;
            self.mail.pop();
        }
        if !self.refused.is_empty() {
            // What was not refused is out. The round is built anew without it.
            self.records.iter_mut().for_each(|r| r.published = true);
            return Err(NotSettled::Refused(std::mem::take(&mut self.refused)));
        }
        if self.settled.is_empty() && self.settled.outputs.is_empty() {
            return Ok(());
        }
        match acks.settle(&self.settled).await {
            Ok(()) => Ok(()),
            Err(SettleError::Broker(error)) => Err(NotSettled::Source(error)),
            Err(SettleError::Output { index, error }) => match self.tags.get(index) {
                Some(tag) if !tag.dead_letter => {
                    Err(NotSettled::Refused(vec![Refusal { record: tag.record, index: tag.index, why: error.to_string() }]))
                }
                _ => Err(NotSettled::Publish(BrokerError::retry(format!("a dead letter cannot be written: {error}")))),
            },
        }
    }
}

/// The outbox of `route`, with a tag for the entry that is about to be added.
fn add(mail: &mut Vec<(Route, Mail)>, route: Route, tag: Tag) -> &mut Outbox {
    let at = mail.iter().position(|(r, _)| *r == route).unwrap_or_else(|| {
        mail.push((route, Mail::default()));
        mail.len() - 1
    });
    let mail = &mut mail[at].1;
    mail.tags.push(tag);
    &mut mail.outbox
}

/// Publishes `mail`. After an error it holds what did not leave: nothing goes twice that was confirmed.
async fn publish(route: Route, mail: &mut Mail, policy: &Policy, refused: &mut Vec<Refusal>) -> Result<(), BrokerError> {
    let outlet = policy.outlet(route).ok_or_else(|| BrokerError::retry(format!("broker {:?} cannot publish", policy.info.broker)))?;
    let answers = outlet.publisher.publish(&mail.outbox).await?;
    let (mut left, mut trouble) = (Mail::default(), None);
    for (i, tag) in mail.tags.iter().enumerate() {
        let error = match answers.get(i) {
            Some(Ok(_)) => continue,
            Some(Err(error)) => error.clone(),
            None => PublishError::Timeout,
        };
        match error {
            PublishError::Timeout => trouble = Some(format!("broker {:?} did not confirm in time", outlet.broker)),
            PublishError::Unavailable(what) => trouble = Some(what),
            error if tag.dead_letter => trouble = Some(format!("a dead letter cannot be written: {error}")),
            error => {
                refused.push(Refusal { record: tag.record, index: tag.index, why: error.to_string() });
                continue;
            }
        }
        left.take(mail, i);
    }
    *mail = left;
    trouble.map_or(Ok(()), |what| Err(BrokerError::retry(what)))
}
