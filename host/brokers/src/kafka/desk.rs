//! Exactly once: what the lanes of a member settle leaves in transactions. Outputs, dead letters, copies for retries, offsets and notes are
//! together in one, or none of them is there. A producer has one transaction at a time, so one desk serves all lanes, on a thread of its own.
//!
//! The brokers let a member commit that the group has, and whose assignment is the latest; they do not ask whose a partition is. So a
//! transaction goes out under an assignment that was the latest before it was looked whether its lanes are still there: one that takes a lane away
//! is a later one. Whoever gets the partition next waits for a transaction that has its offsets and is not over. Where nobody knows what became of a transaction, nothing is settled on a
//! guess: the member is made anew, and asks the brokers where it stands.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use longshore_core::{BrokerError, Fix, Outbox, Receipts, SettleError};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::acks::{Waits, copy_of};
use super::blocked::Tried;
use super::book::{Commit, Copy, Ending, Which};
use super::cell::Cell;
use super::member::{Membership, lock};
use super::post::{Fate, Letter};
use super::transactions::{Failed, Transactions};
use super::{publisher, refusals};

/// Between the beginnings of two transactions, unless something holds lanes up.
const EVERY: Duration = Duration::from_millis(100);
/// Between two looks whether the member is over.
const TURN: Duration = Duration::from_millis(50);
/// Between two notes of what is in hand.
const NOTE: Duration = Duration::from_secs(1);
/// How long another assignment is waited for that the brokers know of and this member does not.
const ASSIGNING: Duration = Duration::from_secs(2);

/// What lanes hand over.
#[derive(Default)]
pub(super) struct Desk {
    tray: Mutex<Tray>,
    came: Condvar,
}

/// What waits: of each lane one settlement at most, and one note.
#[derive(Default)]
struct Tray {
    entries: Vec<Entry>,
    /// Nothing is taken any more.
    closed: bool,
}

/// A lane's settlement; or only that what it has in hand is to be noted, where nothing ends.
pub(super) struct Entry {
    pub(super) cell: Arc<Cell>,
    pub(super) finished: Receipts,
    /// What comes again, with the topics in which it waits.
    pub(super) waits: Vec<(Waits, String)>,
    /// What comes again in its place.
    pub(super) tried: Vec<(Copy, Tried)>,
    pub(super) outputs: Outbox,
    pub(super) answer: oneshot::Sender<Result<(), SettleError>>,
}

/// What is known of what waits, and what its lanes hold.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Messages that end with what waits.
    ending: usize,
    /// Messages that lanes have in hand, those among them.
    in_hand: usize,
    /// As many as they may.
    most: usize,
    /// A lane does nothing before its note is there.
    notes: bool,
}

/// What is committed of each lane, with the lane.
type Drafts = Vec<(Arc<Cell>, Vec<(Which, Commit)>)>;

/// Why a batch is not settled.
pub(super) enum Trouble {
    /// That entry cannot be, the others can.
    Of(usize, SettleError),
    /// None is: later.
    Later(BrokerError),
    /// Another assignment is on its way.
    Assigning(BrokerError),
    Unknown(BrokerError),
}

/// The end of a desk, also by a panic: nobody waits for it, and a member that is still there is made anew.
struct Closing<'d> {
    desk: &'d Desk,
    member: &'d Membership,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if !self.member.is_over() {
            self.member.fail(BrokerError::reconnect(format!("group {:?}: nothing settles any more", self.member.group)));
        }
        *lock(&self.desk.tray) = Tray { entries: Vec::new(), closed: true };
    }
}

impl Load {
    /// How long to wait for more, where the last transaction began so long ago. Not at all where nothing else can come, or where lanes have so
    /// much in hand that they hardly fetch any more.
    fn wait(self, since: Duration) -> Duration {
        if self.notes || self.ending >= self.in_hand || self.in_hand * 2 >= self.most {
            Duration::ZERO
        } else {
            EVERY.saturating_sub(since)
        }
    }
}

impl Entry {
    pub(super) fn note(cell: Arc<Cell>, answer: oneshot::Sender<Result<(), SettleError>>) -> Self {
        let (finished, waits, tried, outputs) = Default::default();
        Entry { cell, finished, waits, tried, outputs, answer }
    }

    fn ending(&self) -> usize {
        self.finished.len() + self.waits.len() + self.tried.len()
    }

    /// Its records: copies, then outputs.
    fn letters(&self, group: &str) -> Vec<Letter<'_>> {
        let copies = self.waits.iter().map(|(waits, name)| copy_of(waits, name, &self.cell, group));
        copies.chain((0..self.outputs.len()).map(|index| publisher::letter(self.outputs.row(index)))).collect()
    }

    /// How many records it has.
    pub(super) fn records(&self) -> usize {
        self.waits.len() + self.outputs.len()
    }

    /// The topic of a record, and which output it is, if it is one.
    pub(super) fn record(&self, index: usize) -> (&str, Option<usize>) {
        match index.checked_sub(self.waits.len()) {
            None => (&self.waits[index].1, None),
            Some(index) => (self.outputs.row(index).topic(), Some(index)),
        }
    }

    fn is_of(&self, cell: &Arc<Cell>) -> bool {
        Arc::ptr_eq(&self.cell, cell)
    }
}

impl Desk {
    /// Settles, and waits for it.
    pub(super) async fn settle(&self, entry: impl FnOnce(oneshot::Sender<Result<(), SettleError>>) -> Entry) -> Result<(), SettleError> {
        let (answer, answered) = oneshot::channel();
        self.push(entry(answer));
        answered.await.unwrap_or_else(|_| Err(BrokerError::reconnect("the member of the group is gone").into()))
    }

    /// Commits what lanes have in hand, now. Blocks.
    pub(super) fn note(&self, cells: &[Arc<Cell>]) -> Result<(), BrokerError> {
        let note = |cell: &Arc<Cell>| {
            let (answer, answered) = oneshot::channel();
            self.push(Entry::note(Arc::clone(cell), answer));
            answered
        };
        let all: Vec<_> = cells.iter().map(note).collect();
        all.into_iter().try_for_each(|answered| match answered.blocking_recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SettleError::Broker(error))) => Err(error),
            Ok(Err(error)) => Err(BrokerError::retry(error.to_string())),
            // The member is gone, and has nothing in hand.
            Err(_) => Ok(()),
        })
    }

    fn push(&self, entry: Entry) {
        let mut tray = lock(&self.tray);
        if !tray.closed {
            tray.entries.push(entry);
            self.came.notify_one();
        }
    }

    /// Makes transactions until the member ends, and then lets nobody wait. Blocks.
    pub(super) fn run(&self, member: &Membership, transactions: Transactions) {
        let _closing = Closing { desk: self, member };
        // Dropped before it: who is told that the member is gone makes a new one.
        let mut transactions = transactions;
        let (mut began, mut noted) = (None::<Instant>, Instant::now());
        while !member.is_over() {
            let since = began.map_or(Duration::MAX, |began| began.elapsed());
            let batch = self.take(member, since);
            let is_time = noted.elapsed() >= NOTE;
            if is_time {
                noted = Instant::now();
            }
            if is_time || !batch.is_empty() {
                began = Some(Instant::now());
                settle(member, &mut transactions, batch, is_time);
            }
        }
    }

    /// What is to go out together; nothing, where it is time to look at something else.
    fn take(&self, member: &Membership, since: Duration) -> Vec<Entry> {
        let in_hand = member.cells().iter().map(|cell| cell.book().in_hand()).sum();
        let mut tray = lock(&self.tray);
        let (ending, notes) = (tray.entries.iter().map(Entry::ending).sum(), tray.entries.iter().any(|entry| entry.ending() == 0));
        let load = Load { ending, in_hand, most: member.wish.max_in_flight, notes };
        let wait = if tray.entries.is_empty() { TURN } else { load.wait(since).min(TURN) };
        if wait.is_zero() {
            return std::mem::take(&mut tray.entries);
        }
        let _ = self.came.wait_timeout(tray, wait);
        Vec::new()
    }
}

/// Settles a batch, and notes what all lanes have in hand where it is time to.
fn settle(member: &Membership, transactions: &mut Transactions, mut batch: Vec<Entry>, note_all: bool) {
    let mut waited = false;
    loop {
        // Before it is looked who has ended: whoever ends later does so for a later one.
        let assignment = member.assignment();
        let (late, now): (Vec<_>, Vec<_>) = batch.into_iter().partition(|entry| entry.cell.book().ended);
        // It is another's: whoever has it settles it.
        answer(late, &Ok(()));
        batch = now;
        let cells = cells_of(member, &batch, note_all);
        match attempt(member, transactions, (&batch, cells), assignment.as_ref()) {
            Ok(()) => return answer(batch, &Ok(())),
            Err(Trouble::Of(index, error)) => answer(vec![batch.remove(index)], &Err(error)),
            Err(Trouble::Assigning(error)) if waited => return answer(batch, &Err(error.into())),
            Err(Trouble::Assigning(_)) => {
                waited = true;
                member.await_assignment(assignment.as_ref(), ASSIGNING);
            }
            Err(Trouble::Later(error)) => return answer(batch, &Err(error.into())),
            Err(Trouble::Unknown(error)) => {
                let error = BrokerError { fix: Fix::Reconnect, ..error };
                // What lanes know may be older than what is committed.
                member.cells().iter().for_each(|cell| cell.book().ended = true);
                tracing::warn!("{error}: what became of it is not known, so the brokers are asked where the group stands");
                // Whoever asks waits for a transaction that is open: it is open no more.
                if !member.is_over()
                    && let Err(error) = transactions.ready()
                {
                    tracing::debug!("{error}");
                }
                member.fail(error.clone());
                return answer(batch, &Err(error.into()));
            }
        }
    }
}

fn answer(entries: Vec<Entry>, with: &Result<(), SettleError>) {
    // Nobody waits any more where a lane has ended meanwhile.
    entries.into_iter().for_each(|entry| drop(entry.answer.send(with.clone())));
}

/// The lanes that a transaction is about, each once. One that settles something is among them whatever becomes of it meanwhile: its offsets are
/// what lets the brokers refuse its records.
fn cells_of(member: &Membership, batch: &[Entry], note_all: bool) -> Vec<Arc<Cell>> {
    let mut cells: Vec<Arc<Cell>> = Vec::new();
    let others = if note_all { member.cells() } else { Vec::new() };
    let others = others.into_iter().filter(|cell| !cell.book().ended);
    for cell in batch.iter().map(|entry| Arc::clone(&entry.cell)).chain(others) {
        if !cells.iter().any(|known| Arc::ptr_eq(known, &cell)) {
            cells.push(cell);
        }
    }
    cells
}

/// One transaction, and what it did in the books.
fn attempt(
    member: &Membership,
    transactions: &mut Transactions,
    (batch, cells): (&[Entry], Vec<Arc<Cell>>),
    assignment: Option<&Arc<ConsumerGroupMetadata>>,
) -> Result<(), Trouble> {
    let drafts = drafts(member, batch, cells)?;
    let letters: Vec<Vec<Letter<'_>>> = batch.iter().map(|entry| entry.letters(&member.group)).collect();
    let counts: Vec<usize> = letters.iter().map(Vec::len).collect();
    let offsets = offsets(&drafts);
    if offsets.count() == 0 && counts.iter().all(|count| *count == 0) {
        return Ok(());
    }
    let Some(assignment) = assignment else {
        return Err(Trouble::Later(BrokerError::retry(format!("group {:?} has given this member nothing yet", member.group))));
    };
    let divide = |fates: Vec<Fate>| {
        let mut fates = fates.into_iter();
        counts.iter().map(|count| fates.by_ref().take(*count).collect()).collect::<Vec<Vec<Fate>>>()
    };
    match transactions.commit(letters.into_iter().flatten().collect(), &offsets, assignment) {
        Ok(fates) => {
            enter(batch, &divide(fates), drafts);
            Ok(())
        }
        Err(Failed::Records(fates)) => Err(refusals::of_records(member, batch, &divide(fates))),
        Err(Failed::Undone(error, Some(Code::TopicAuthorizationFailed))) => Err(refusals::of_a_right(member, batch, error)),
        Err(Failed::Undone(error, Some(Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress))) => {
            Err(Trouble::Assigning(BrokerError { fix: Fix::Retry, ..error }))
        }
        // Whoever was let in tries again for as long as it takes.
        Err(Failed::Undone(error, _)) => Err(Trouble::Later(BrokerError { fix: Fix::Retry, ..error })),
        Err(Failed::Unknown(error)) => Err(Trouble::Unknown(error)),
    }
}

/// What is to be committed of each lane.
fn drafts(member: &Membership, batch: &[Entry], cells: Vec<Arc<Cell>>) -> Result<Drafts, Trouble> {
    let mut drafts = Vec::new();
    for cell in cells {
        let mut ending = Ending::default();
        for entry in batch.iter().filter(|entry| entry.is_of(&cell)) {
            ending.finished.extend(entry.finished.iter());
            ending.moved.extend(entry.waits.iter().map(|(waits, _)| &waits.copy));
            ending.tried.extend(entry.tried.iter().map(|(copy, tried)| (copy, *tried)));
        }
        let draft = cell.book().draft(&ending);
        let what = || format!("group {:?}: more is finished above an open message than finds room beside the offset", member.group);
        drafts.push((cell, draft.ok_or_else(|| Trouble::Later(BrokerError::retry(what())))?));
    }
    Ok(drafts)
}

fn offsets(drafts: &Drafts) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (cell, commits) in drafts {
        let partition = cell.book().partition;
        for (_, commit) in commits {
            let mut entry = list.add_partition(&commit.topic, partition);
            let _ = entry.set_offset(Offset::Offset(commit.offset));
            if !commit.note.is_empty() {
                entry.set_metadata(&commit.note);
            }
        }
    }
    list
}

/// Enters what is there now into the books.
fn enter(batch: &[Entry], fates: &[Vec<Fate>], drafts: Drafts) {
    for (entry, fates) in batch.iter().zip(fates) {
        let mut book = entry.cell.book();
        entry.finished.iter().for_each(|receipt| book.finish(receipt));
        for ((waits, _), fate) in entry.waits.iter().zip(fates) {
            let Ok((_, offset)) = fate else { continue };
            if let Some(log) = book.log(Some(waits.tier)) {
                log.known_end = log.known_end.max(offset + 1);
            }
            book.replace(&waits.copy, (Some(waits.tier), *offset));
        }
        entry.tried.iter().for_each(|(copy, tried)| book.block(copy, *tried));
    }
    for (cell, commits) in drafts {
        let mut book = cell.book();
        commits.into_iter().for_each(|(which, commit)| book.committed(which, commit.offset, commit.note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_waits_for_more_only_while_more_can_come_and_nothing_is_held_up() {
        let check = |(ending, in_hand): (usize, usize), notes: bool, since: u64, expected: u64| {
            let load = Load { ending, in_hand, most: 1_000, notes };
            assert_eq!(load.wait(Duration::from_millis(since)), Duration::from_millis(expected), "{load:?} after {since} ms");
        };
        check((1, 10), false, 20, 80);
        check((1, 10), false, 100, 0);
        check((1, 10), true, 20, 0);
        check((10, 10), false, 20, 0);
        check((1, 500), false, 20, 0);
        check((1, 499), false, 0, 100);
    }
}
