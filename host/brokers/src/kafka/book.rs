//! The book of one lane: what of its partition, and of that of each retry topic, is finished; and the messages in hand, from which retries
//! are copied. The lane's task, and the thread that commits, share it; it is locked for a batch, never for a message.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use longshore_core::{Batch, Receipt};

use super::blocked::{self, Blocked, Tried};
use super::names::Tier;
use super::note;
use super::place::{Delivered, Place, delivered};
use super::progress::{Lost, Progress, Seen, Tries};
use super::tail::{self, Look};

/// Which of a lane's partitions: `None` is the topic's own.
pub(super) type Which = Option<Tier>;

/// One partition that the lane reads.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) topic: String,
    pub(super) progress: Progress,
    /// What was committed last, as offset and note.
    committed: Option<(i64, String)>,
    /// Whether the server takes no note of this length.
    plain: bool,
    /// Behind the last message that is known to be there.
    pub(super) known_end: i64,
    /// The last look behind its end that found nothing, where it takes another one to know.
    looked: Option<Look>,
}

impl Log {
    pub(super) fn new(topic: String, progress: Progress) -> Self {
        let known_end = progress.mark();
        Log { topic, progress, committed: None, plain: false, known_end, looked: None }
    }
}

/// A message in hand: where its row stands, and all places by which it is known.
struct Held {
    batch: Arc<Batch>,
    index: usize,
    places: Vec<Delivered>,
}

/// The book.
pub(super) struct Book {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The topic's own id, which one that is made anew does not share; 0 where the brokers do not tell.
    pub(super) topic_id: u128,
    main: Log,
    tiers: BTreeMap<Tier, Log>,
    held: HashMap<u64, Held, foldhash::fast::FixedState>,
    /// What holds the lane until it is due.
    pub(super) blocked: Blocked,
    /// Positions of which a copy waited when the lane began: word that they are settled was lost.
    copied: HashSet<u64>,
    /// Nothing is settled any more: the lane is another's.
    pub(super) ended: bool,
    /// The lane's task has given back what it had.
    pub(super) given_back: bool,
    /// Messages that ended since the last commit.
    pub(super) completions: usize,
    /// Whether a note has to tell of all that is finished.
    pub(super) is_once: bool,
}

/// What is to end in a transaction.
#[derive(Default)]
pub(super) struct Ending<'e> {
    /// Deliveries that are over.
    pub(super) finished: Vec<Receipt<'e>>,
    /// Those of which a copy is made.
    pub(super) moved: Vec<&'e Copy>,
    /// Those that were tried and stay in their places.
    pub(super) tried: Vec<(&'e Copy, Tried)>,
}

/// A copy to be made.
pub(super) struct Copy {
    pub(super) position: u64,
    of: Delivered,
    pub(super) batch: Arc<Batch>,
    pub(super) index: usize,
}

/// What is to be committed of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) topic: String,
    pub(super) offset: i64,
    pub(super) note: String,
}

impl Ending<'_> {
    fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.moved.is_empty() && self.tried.is_empty()
    }
}

impl Book {
    pub(super) fn new(topic: &str, partition: i32, progress: Progress) -> Self {
        Book {
            topic: topic.into(),
            partition,
            topic_id: 0,
            main: Log::new(topic.into(), progress),
            tiers: BTreeMap::new(),
            held: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(0)),
            blocked: Blocked::default(),
            copied: HashSet::new(),
            ended: false,
            given_back: false,
            completions: 0,
            is_once: false,
        }
    }

    /// The log of one of its partitions.
    pub(super) fn log(&mut self, which: Which) -> Option<&mut Log> {
        match which {
            None => Some(&mut self.main),
            Some(tier) => self.tiers.get_mut(&tier),
        }
    }

    /// Adds the retries of a tier.
    pub(super) fn add_tier(&mut self, tier: Tier, log: Log) {
        self.tiers.entry(tier).or_insert(log);
    }

    /// It is not read after all.
    pub(super) fn remove_tier(&mut self, tier: Tier) {
        self.tiers.remove(&tier);
    }

    pub(super) fn has_tier(&self, tier: Tier) -> bool {
        self.tiers.contains_key(&tier)
    }

    pub(super) fn tiers(&self) -> impl Iterator<Item = (Tier, &Log)> {
        self.tiers.iter().map(|(tier, log)| (*tier, log))
    }

    /// The topic's partition.
    pub(super) fn named(&self) -> (String, i32) {
        (self.topic.clone(), self.partition)
    }

    /// What of the topic's own partition is finished.
    pub(super) fn progress(&self) -> &Progress {
        &self.main.progress
    }

    /// Copies of these positions wait.
    pub(super) fn set_copied(&mut self, positions: impl Iterator<Item = u64>) {
        self.copied.extend(positions);
    }

    /// A partition brings a message.
    pub(super) fn see(&mut self, which: Which, offset: i64) -> Seen {
        let (partition, is_copied) = (self.partition, !self.copied.is_empty());
        let Some(log) = self.log(which) else { return Seen::Over };
        log.known_end = log.known_end.max(offset + 1);
        let seen = log.progress.see(offset);
        if which.is_none() && is_copied && seen != Seen::Over && self.copied.remove(&Place::new(partition, offset).position()) {
            self.main.progress.finish(offset);
            return Seen::Over;
        }
        seen
    }

    /// The partitions of which all that came is finished, each with where that ends.
    pub(super) fn ends(&self) -> Vec<(Which, String, i64)> {
        let all = std::iter::once((None, &self.main)).chain(self.tiers.iter().map(|(tier, log)| (Some(*tier), log)));
        let at_rest = all.filter(|(_, log)| log.progress.mark() == log.progress.end());
        at_rest.map(|(which, log)| (which, log.topic.clone(), log.progress.mark())).collect()
    }

    /// A look found nothing that a reader sees. Says whether it takes another one to know.
    pub(super) fn found_nothing(&mut self, which: Which, look: Look) -> bool {
        let Some(log) = self.log(which) else { return false };
        let (certain, next) = tail::judge(log.looked, look);
        if let Some(to) = certain {
            log.progress.skip(look.from, to);
        }
        log.looked = next;
        next.is_some()
    }

    /// It is nothing for this lane.
    pub(super) fn pass(&mut self, which: Which, offset: i64) {
        if let Some(log) = self.log(which) {
            log.progress.finish(offset);
        }
    }

    /// It is handed over: `batch` has it at `index`.
    pub(super) fn hold(&mut self, which: Which, offset: i64, batch: &Arc<Batch>, index: usize) {
        let position = batch.receipt(index).position;
        let held = self.held.entry(position).or_insert_with(|| Held { batch: Arc::clone(batch), index, places: Vec::new() });
        // One that came another time is the same message: its later delivery speaks for both.
        (held.batch, held.index) = (Arc::clone(batch), index);
        held.places.push((which, offset));
    }

    /// The copies that are still to be made for these deliveries.
    pub(super) fn copies<'r>(&self, again: impl Iterator<Item = Receipt<'r>>) -> Vec<Option<Copy>> {
        let copy = |receipt: Receipt<'_>| {
            let of = delivered(receipt.token)?;
            let held = self.held.get(&receipt.position).filter(|held| held.places.contains(&of))?;
            Some(Copy { position: receipt.position, of, batch: Arc::clone(&held.batch), index: held.index })
        };
        again.map(copy).collect()
    }

    /// A delivery ended: its message is finished wherever it came from.
    pub(super) fn finish(&mut self, receipt: Receipt<'_>) {
        if let Some(held) = delivered(receipt.token).and_then(|of| self.take(receipt.position, of)) {
            self.close(&held.places);
        }
    }

    /// The copy of a delivery is kept there: its message is finished everywhere else. The copy may be in hand before word of it is.
    pub(super) fn replace(&mut self, copy: &Copy, kept: Delivered) {
        let Some(mut held) = self.take(copy.position, copy.of) else { return };
        let places = std::mem::take(&mut held.places);
        let (copies, others): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| *place == kept);
        self.close(&others);
        if !copies.is_empty() {
            self.held.insert(copy.position, Held { places: copies, ..held });
        }
    }

    /// A delivery failed and holds the lane in its place, until it is [released](Self::release). The same message elsewhere is over.
    pub(super) fn block(&mut self, copy: &Copy, tried: Tried) {
        let Some(held) = self.take(copy.position, copy.of) else { return };
        let others: Vec<Delivered> = held.places.iter().copied().filter(|place| *place != copy.of).collect();
        self.close(&others);
        let row = blocked::next_row(&held.batch, held.index, copy.of, tried, 0);
        if let Some(log) = self.log(copy.of.0) {
            log.progress.set_tried(copy.of.1, tried);
        }
        self.blocked.put(copy.of, row, blocked::NOT_YET);
    }

    /// How often the messages of these deliveries were tried is committed: they come again when they are due.
    pub(super) fn release<'r>(&mut self, again: impl Iterator<Item = Receipt<'r>>) {
        for of in again.filter_map(|receipt| delivered(receipt.token)) {
            if let Some(tried) = self.tried(of.0, of.1) {
                self.blocked.release(of, tried.not_before);
            }
        }
    }

    /// What an earlier owner, or this one, tried of a message.
    pub(super) fn tried(&mut self, which: Which, offset: i64) -> Option<Tried> {
        self.log(which)?.progress.tries().get(&offset).copied()
    }

    /// The message of a delivery that has not ended.
    fn take(&mut self, position: u64, of: Delivered) -> Option<Held> {
        self.held.get(&position).filter(|held| held.places.contains(&of))?;
        self.held.remove(&position)
    }

    fn close(&mut self, places: &[Delivered]) {
        for (which, offset) in places {
            if let Some(log) = self.log(*which) {
                log.progress.finish(*offset);
            }
        }
        self.completions += 1;
    }

    /// Whether the note is so long that nothing more is to be started above the mark. Never where nothing is open: only the next message
    /// shortens what an earlier owner left.
    pub(super) fn is_full(&self) -> bool {
        let progress = &self.main.progress;
        // A range is two bytes at least: below that there is nothing to count.
        progress.is_open() && progress.gaps() * 2 > note::FULL / 2 && note::write(progress, true).len() >= note::FULL
    }

    /// What differs from what was committed.
    pub(super) fn take_commits(&mut self) -> Vec<Commit> {
        self.completions = 0;
        let in_hand = !self.given_back && !self.held.is_empty();
        let mut commits = Vec::new();
        for log in std::iter::once(&mut self.main).chain(self.tiers.values_mut()) {
            let note = if log.plain { String::new() } else { note::write(&log.progress, in_hand) };
            let now = (log.progress.mark(), note);
            if log.committed.as_ref() != Some(&now) {
                commits.push(Commit { topic: log.topic.clone(), offset: now.0, note: now.1.clone() });
                log.committed = Some(now);
            }
        }
        commits
    }

    /// What is to be committed with that ending: what differs from what was committed, and, where anything ends, the topic's own partition in any
    /// case, since the brokers judge by it whose the lane is. None of it is entered. `None`: there is no room to tell of all that would be finished.
    pub(super) fn draft(&self, ending: &Ending<'_>) -> Option<Vec<(Which, Commit)>> {
        let logs = std::iter::once((None, &self.main)).chain(self.tiers.iter().map(|(tier, log)| (Some(*tier), log)));
        let mut drafts: Vec<(Which, &Log, Progress)> = logs.map(|(which, log)| (which, log, log.progress.clone())).collect();
        let mut close = |places: &[Delivered], but: Option<Delivered>| {
            for (which, offset) in places.iter().filter(|place| Some(**place) != but) {
                if let Some((.., progress)) = drafts.iter_mut().find(|(of, ..)| of == which) {
                    progress.finish(*offset);
                }
            }
        };
        let mut ended = 0;
        let over = ending.finished.iter().filter_map(|receipt| Some((receipt.position, delivered(receipt.token)?)));
        for (position, of) in over.chain(ending.moved.iter().map(|copy| (copy.position, copy.of))) {
            let Some(held) = self.held.get(&position).filter(|held| held.places.contains(&of)) else { continue };
            close(&held.places, None);
            ended += 1;
        }
        for (copy, _) in &ending.tried {
            let Some(held) = self.held.get(&copy.position).filter(|held| held.places.contains(&copy.of)) else { continue };
            close(&held.places, Some(copy.of));
            ended += 1;
        }
        for (copy, tried) in &ending.tried {
            if let Some((.., progress)) = drafts.iter_mut().find(|(of, ..)| *of == copy.of.0) {
                progress.set_tried(copy.of.1, *tried);
            }
        }
        let in_hand = !self.given_back && self.held.len() > ended;
        let mut commits = Vec::new();
        for (which, log, progress) in drafts {
            let (offset, note) = (progress.mark(), note::write_whole(&progress, in_hand)?);
            let is_owner = which.is_none() && !ending.is_empty();
            if is_owner || log.committed.as_ref().is_none_or(|(o, n)| (*o, n) != (offset, &note)) {
                commits.push((which, Commit { topic: log.topic.clone(), offset, note }));
            }
        }
        Some(commits)
    }

    /// Messages that were handed over and have not ended.
    pub(super) fn in_hand(&self) -> usize {
        self.held.len()
    }

    /// Whether one more message of that partition may be handed over, where every note has to tell of all that is finished.
    pub(super) fn has_room(&self, which: Which) -> bool {
        let log = match which {
            None => Some(&self.main),
            Some(tier) => self.tiers.get(&tier),
        };
        !self.is_once || log.is_none_or(|log| note::has_room_for_one(&log.progress))
    }

    /// All is to be committed again, changed or not.
    pub(super) fn commit_again(&mut self) {
        std::iter::once(&mut self.main).chain(self.tiers.values_mut()).for_each(|log| log.committed = None);
    }

    /// A commit came to nothing: it is to be made again, without a note where that was it.
    pub(super) fn not_committed(&mut self, topic: &str, without_note: bool) {
        let logs = std::iter::once(&mut self.main).chain(self.tiers.values_mut());
        for log in logs.filter(|log| log.topic == topic) {
            log.committed = None;
            log.plain |= without_note;
        }
    }

    /// What was committed is known: nothing is to be told of it until it changes.
    pub(super) fn committed(&mut self, which: Which, offset: i64, note: String) {
        if let Some(log) = self.log(which) {
            log.committed = Some((offset, note));
        }
    }
}

/// A progress from what was committed; what is foreign or damaged is counted in the log, and what it may have said comes again.
pub(super) fn progress_of(topic: &str, partition: i32, mark: i64, text: &str) -> Progress {
    let (finished, lost, tries): (_, Lost, Tries) = note::read(mark, text).unwrap_or_else(|| {
        tracing::warn!(
            topic,
            partition,
            "what is committed beside the offset is not ours, or damaged: what was finished above it comes again"
        );
        Default::default()
    });
    Progress::new(mark, finished, lost).with_tries(tries)
}

#[cfg(test)]
mod tests {
    use longshore_core::{Facts, Message};

    use super::super::place::token;
    use super::*;

    fn book() -> Book {
        Book::new("t", 2, Progress::new(5, longshore_core::Ranges::default(), Vec::new()))
    }

    /// Hands over messages by their positions.
    fn hand(book: &mut Book, places: &[(Which, i64, u64)]) {
        let mut batch = Batch::default();
        for (which, offset, position) in places {
            let message = Message { id: "", topic: "t", key: None, payload: None, headers: std::iter::empty(), timestamp: 0, attempt: 1 };
            batch.push(&message, Receipt { position: *position, token: &token((*which, *offset)) }, Facts::default());
        }
        let batch = Arc::new(batch);
        for (index, (which, offset, _)) in places.iter().enumerate() {
            assert_ne!(book.see(*which, *offset), Seen::Over);
            book.hold(*which, *offset, &batch, index);
        }
    }

    /// Word that a delivery ended.
    fn finish(book: &mut Book, (which, offset, position): (Which, i64, u64)) {
        book.finish(Receipt { position, token: &token((which, offset)) });
    }

    fn own(offset: i64) -> (Which, i64, u64) {
        (None, offset, Place::new(2, offset).position())
    }

    #[test]
    fn only_what_changed_is_committed() {
        let mut book = book();
        hand(&mut book, &[own(5), own(6)]);
        finish(&mut book, own(5));
        let commits = book.take_commits();
        assert_eq!((commits.len(), commits[0].offset), (1, 6));
        assert_eq!(book.take_commits(), []);
        book.commit_again();
        assert_eq!(book.take_commits().len(), 1, "a broker forgets what was committed long ago");
        book.not_committed("t", true);
        assert_eq!(book.take_commits(), [Commit { topic: "t".into(), offset: 6, note: String::new() }]);
    }

    #[test]
    fn a_message_that_came_twice_ends_in_both_places() {
        let mut book = book();
        let tier = Tier::FIRST;
        book.add_tier(tier, Log::new(tier.topic("t", "g"), Progress::new(0, longshore_core::Ranges::default(), Vec::new())));
        let position = own(5).2;
        hand(&mut book, &[own(5), own(6)]);
        hand(&mut book, &[(Some(tier), 0, position)]);
        finish(&mut book, own(5));
        assert_eq!((book.progress().mark(), book.tiers().next().map(|(_, log)| log.progress.mark())), (6, Some(1)));
    }

    #[test]
    fn a_copy_that_comes_before_word_that_it_is_kept_stays_open() {
        let mut book = book();
        let tier = Tier::FIRST;
        book.add_tier(tier, Log::new(tier.topic("t", "g"), Progress::new(0, longshore_core::Ranges::default(), Vec::new())));
        let (original, early) = (own(5), (Some(tier), 0, own(5).2));
        let made = |book: &Book, (which, offset, position): (Which, i64, u64)| {
            book.copies([Receipt { position, token: &token((which, offset)) }].into_iter()).pop().flatten()
        };
        hand(&mut book, &[original]);
        let copy = made(&book, original).expect("it is in hand");
        hand(&mut book, &[early]);
        book.replace(&copy, (early.0, early.1));
        let marks = |book: &Book| (book.progress().mark(), book.tiers().next().map(|(_, log)| log.progress.mark()));
        assert_eq!(marks(&book), (6, Some(0)), "the original is finished, the copy is not");
        assert!(made(&book, original).is_none(), "a round that is settled again makes no copy twice");
        assert!(made(&book, early).is_some(), "the copy has one when it fails");
        finish(&mut book, early);
        assert_eq!(marks(&book), (6, Some(1)));
    }

    #[test]
    fn a_draft_tells_of_what_would_end_and_enters_nothing() {
        let mut book = book();
        let tier = Tier::FIRST;
        book.add_tier(tier, Log::new(tier.topic("t", "g"), Progress::new(0, longshore_core::Ranges::default(), Vec::new())));
        hand(&mut book, &[own(5), own(6), own(7), (Some(tier), 0, own(3).2)]);
        book.take_commits();
        assert_eq!(book.draft(&Ending::default()), Some(Vec::new()), "nothing ends, and nothing has changed");
        let receipt = |(which, offset, position): (Which, i64, u64), token: &'static [u8; 9]| {
            assert_eq!(super::super::place::token((which, offset)), *token);
            Receipt { position, token }
        };
        let (five, retry) =
            (receipt(own(5), &[0, 0, 0, 0, 0, 0, 0, 0, 5]), receipt((Some(tier), 0, own(3).2), &[1, 0, 0, 0, 0, 0, 0, 0, 0]));
        let six = book.copies([receipt(own(6), &[0, 0, 0, 0, 0, 0, 0, 0, 6])].into_iter()).pop().flatten().expect("it is in hand");
        let ending = Ending { finished: vec![five, retry], moved: vec![&six], tried: Vec::new() };
        let marks =
            |draft: Option<Vec<(Which, Commit)>>| draft.map(|all| all.iter().map(|(which, commit)| (*which, commit.offset)).collect());
        assert_eq!(marks(book.draft(&ending)), Some(vec![(None, 7), (Some(tier), 1)]));
        assert_eq!(book.progress().mark(), 5, "nothing of it is entered");
        book.finish(five);
        book.take_commits();
        let late = Ending { finished: vec![five], ..Ending::default() };
        assert_eq!(marks(book.draft(&late)), Some(vec![(None, 6)]), "what has ended before is no transaction of nobody's");
    }

    #[test]
    fn a_message_of_which_a_copy_waits_is_over() {
        let mut book = book();
        book.set_copied([own(5).2].into_iter());
        assert_eq!(book.see(None, 5), Seen::Over);
        assert_eq!(book.progress().mark(), 6);
    }

    #[test]
    fn a_long_note_stops_what_would_make_it_longer() {
        let mut book = book();
        let many: Vec<_> = (5..9_000).map(own).collect();
        hand(&mut book, &many);
        assert!(!book.is_full());
        (6..9_000).step_by(2).for_each(|offset| finish(&mut book, own(offset)));
        assert!(book.is_full());
        (5..9_000).step_by(2).for_each(|offset| finish(&mut book, own(offset)));
        assert!(!book.is_full());
    }

    #[test]
    fn an_heir_of_a_full_note_takes_one_message_after_the_other_until_it_is_shorter() {
        // Every other one is finished, and as many as there is room to tell of.
        let mut left = Progress::new(5, longshore_core::Ranges::default(), vec![(4_000, 7), (9_000, 9)]);
        (5..9_000).for_each(|offset| {
            left.see(offset);
        });
        let mut text = String::new();
        for offset in (6..9_000).step_by(2) {
            left.finish(offset);
            let Some(longer) = note::write_whole(&left, true) else { break };
            text = longer;
        }
        assert!(text.len() > note::MOST - 4, "{} letters", text.len());
        for is_once in [false, true] {
            let mut heir = Book::new("t", 2, progress_of("t", 2, 5, &text));
            heir.is_once = is_once;
            for offset in (5..205).step_by(2) {
                assert!(!heir.is_full() && heir.has_room(None), "{offset} is taken in hand, or the mark never moves");
                hand(&mut heir, &[own(offset)]);
                assert!(heir.is_full(), "{offset} is in hand: no more above it");
                assert!(!is_once || offset > 5 || !heir.has_room(None), "there is no room for what ends above");
                assert!(heir.draft(&Ending::default()).is_some(), "that {offset} is in hand holds up no transaction");
                finish(&mut heir, own(offset));
                assert_eq!(heir.see(None, offset + 1), Seen::Over);
                assert_eq!(heir.progress().mark(), offset + 2);
            }
        }
    }
}
