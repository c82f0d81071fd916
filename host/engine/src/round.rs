//! One round of settlement: the ended messages of some calls, made into what the broker is told and what is published first.

use std::sync::Arc;

use longshore_core::{Acks, Again, BrokerError, Inbox, InboxKey, Outbox, Outputs, PublishError, SettleError, Settled};

use crate::dead_letter;
use crate::lane::Claims;
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
    /// Its messages that turned out to be another's when they were settled before their call, by index.
    pub(crate) lost: Vec<usize>,
    /// Lowest sequence number of its messages.
    pub(crate) oldest: u64,
    /// Whether what does not leave in the settlement's transaction has left already.
    published: bool,
    /// Messages whose dead letters are still to leave after that.
    late: Vec<usize>,
    /// Messages whose dead letters are too large with all their facts.
    brief: Vec<usize>,
}

impl Record {
    pub(crate) fn new(picked: Picked, verdicts: Verdicts, outputs: Outputs, acknowledge: bool) -> Self {
        let oldest = (0..picked.len()).map(|i| picked.seq(i)).min().unwrap_or_default();
        let (lost, late, brief) = (Vec::new(), Vec::new(), Vec::new());
        Record { picked, verdicts, outputs, acknowledge, before_call: None, lost, oldest, published: false, late, brief }
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

    /// Makes the message's dead letter smaller after it was refused as too large.
    pub(crate) fn shorten(&mut self, index: usize) {
        self.late.push(index);
        self.brief.push(index);
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

/// What a broker refuses for good, and what mends it.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// An output: its message fails.
    Output { record: usize, index: usize, why: String },
    /// A dead letter that is too large: it may fit with fewer facts.
    DeadLetter { record: usize, index: usize },
}

/// Why a round is not settled.
#[derive(Debug)]
pub(crate) enum NotSettled {
    /// These were refused; the round is to be built anew without them.
    Refused(Vec<Refusal>),
    /// A dead letter is refused for good, and it must not be dropped: the same round again, later; but a human has to do something.
    Stuck(BrokerError),
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
    /// Where the claims are remembered that do not end in the settlement itself.
    inbox: Option<Arc<dyn Inbox>>,
    /// What was confirmed and not counted yet.
    sent: Vec<(Route, u64)>,
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
    pub(crate) fn build(&mut self, policy: &Policy, claims: Option<&Claims>, now: u64) {
        self.clear();
        self.inbox = claims.and_then(Claims::apart);
        for r in 0..self.records.len() {
            self.tell(r, now);
            if let Some(claims) = claims {
                claims.entries(&self.records[r], &mut self.settled.inbox);
            }
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
        self.settled.inbox.clear();
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
                Verdict::Done | Verdict::Duplicate | Verdict::Discard(_) | Verdict::Dead(..) => {
                    self.settled.finished.push(batch.receipt(at))
                }
                Verdict::Again { delay, counted, .. } => {
                    let (attempt, facts) = (batch.row(at).attempt(), batch.facts(at));
                    self.settled.again.push(batch.receipt(at));
                    self.settled.again_how.push(Again {
                        delay: *delay,
                        attempt: attempt.saturating_add(u32::from(*counted)),
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
            let facts = if record.brief.contains(&index) { dead_letter::Facts::Brief } else { dead_letter::Facts::All };
            dead_letter::append(outbox, &destination, policy, (&record.picked.batch, at), (*reason, fault, facts), now);
        }
    }

    /// Publishes what has to be out before, then tells the broker.
    pub(crate) async fn settle(&mut self, acks: &mut dyn Acks, policy: &Policy) -> Result<(), NotSettled> {
        while let Some((route, mail)) = self.mail.last_mut() {
            publish(*route, mail, policy, &self.records, &mut self.refused, &mut self.sent).await?;
            self.mail.pop();
        }
        // What was not refused is out: whatever becomes of the round now, it is not published again.
        for record in &mut self.records {
            record.published = true;
            record.late.clear();
        }
        if !self.refused.is_empty() {
            return Err(NotSettled::Refused(std::mem::take(&mut self.refused)));
        }
        if self.settled.is_empty() && self.settled.outputs.is_empty() {
            return Ok(());
        }
        // Before: what is acknowledged and not remembered would be handled again when a copy of it comes. But never before outputs are out:
        // what is remembered is not handled again, whatever has become of them.
        self.remember().await?;
        match self.tell_broker(acks).await {
            Ok(()) => {
                self.sent.push((Route::Home, self.settled.outputs.len() as u64));
                Ok(())
            }
            Err(SettleError::Broker(error)) => Err(NotSettled::Source(error)),
            Err(SettleError::Output { index, error }) => Err(match self.tags.get(index) {
                Some(tag) => match refusal(*tag, &self.records, self.settled.outputs.row(index).topic(), &error) {
                    Answer::Refused(refusal) => NotSettled::Refused(vec![refusal]),
                    Answer::Stuck(what) => NotSettled::Stuck(BrokerError::retry(what)),
                    Answer::Later(what) => NotSettled::Publish(BrokerError::retry(what)),
                },
                None => NotSettled::Publish(BrokerError::retry(format!("output {index}, which the round does not have: {error}"))),
            }),
        }
    }

    async fn remember(&self) -> Result<(), NotSettled> {
        let done: Vec<InboxKey> = self.settled.inbox.iter().filter(|entry| entry.done).map(|entry| entry.claim.key).collect();
        match &self.inbox {
            Some(inbox) if !done.is_empty() => inbox.remember(&done).await.map_err(NotSettled::Publish),
            _ => Ok(()),
        }
    }

    async fn tell_broker(&mut self, acks: &mut dyn Acks) -> Result<(), SettleError> {
        if self.records.iter().all(|record| record.before_call.is_none()) {
            return acks.settle(&self.settled).await;
        }
        let lost = acks.take(&self.settled).await?;
        // Only what is settled before its call is told of, each record whole.
        let (mut lost, mut from) = (lost.into_iter().peekable(), 0);
        for record in self.records.iter_mut().filter(|record| record.acknowledge) {
            let to = from + record.picked.len();
            record.lost.extend(std::iter::from_fn(|| lost.next_if(|at| *at < to)).map(|at| at - from));
            from = to;
        }
        Ok(())
    }

    /// What was confirmed since the last time, by the way it left.
    pub(crate) fn take_sent(&mut self) -> Vec<(Route, u64)> {
        std::mem::take(&mut self.sent)
    }

    /// Lowest sequence number of its messages.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.records.iter().map(|record| record.oldest).min()
    }
}

/// What an error of one message of a publish means.
enum Answer {
    Refused(Refusal),
    Stuck(String),
    Later(String),
}

fn refusal(tag: Tag, records: &[Record], topic: &str, error: &PublishError) -> Answer {
    let Tag { record, index, dead_letter } = tag;
    match error {
        PublishError::Timeout | PublishError::Unavailable(_) if dead_letter => {
            Answer::Later(format!("a dead letter cannot be written to {topic:?}: {error}"))
        }
        PublishError::Timeout | PublishError::Unavailable(_) => {
            Answer::Later(format!("an output cannot be published to {topic:?}: {error}"))
        }
        PublishError::TooLarge(_) if dead_letter && !records[record].brief.contains(&index) => {
            Answer::Refused(Refusal::DeadLetter { record, index })
        }
        _ if dead_letter => Answer::Stuck(format!(
            "topic {topic:?} refuses the dead letter of {:?} for good ({error}): nothing is lost, and nothing of this lane is settled until \
             the topic takes it or the subscription's `dead-letter` names another topic or is false",
            records[record].picked.batch.row(records[record].picked.from + index).id()
        )),
        _ => Answer::Refused(Refusal::Output { record, index, why: error.to_string() }),
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
async fn publish(
    route: Route,
    mail: &mut Mail,
    policy: &Policy,
    records: &[Record],
    refused: &mut Vec<Refusal>,
    sent: &mut Vec<(Route, u64)>,
) -> Result<(), NotSettled> {
    let no_way = || NotSettled::Publish(BrokerError::retry(format!("broker {:?} cannot publish", policy.info.broker)));
    let outlet = policy.outlet(route).ok_or_else(no_way)?;
    let answers = outlet.publisher.publish(&mail.outbox).await.map_err(NotSettled::Publish)?;
    let (mut left, mut trouble, mut confirmed) = (Mail::default(), None, 0);
    for (i, tag) in mail.tags.iter().enumerate() {
        let error = match answers.get(i) {
            Some(Ok(_)) => {
                confirmed += 1;
                continue;
            }
            Some(Err(error)) => error,
            None => &PublishError::Timeout,
        };
        match refusal(*tag, records, mail.outbox.row(i).topic(), error) {
            Answer::Refused(refusal) => {
                refused.push(refusal);
                continue;
            }
            Answer::Stuck(what) => trouble = Some(NotSettled::Stuck(BrokerError::retry(what))),
            // What only a human mends is what is told.
            Answer::Later(what) => trouble = trouble.or_else(|| Some(NotSettled::Publish(BrokerError::retry(what)))),
        }
        left.take(mail, i);
    }
    sent.push((route, confirmed));
    *mail = left;
    trouble.map_or(Ok(()), Err)
}
