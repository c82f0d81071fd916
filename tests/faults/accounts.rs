//! What was published and what became of it: pure bookkeeping, and the promises as assertions over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is asked of the handler with a message. Its payload says it, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Good,
    /// Fails twice, then succeeds.
    Flaky,
    /// Is rejected.
    Bad,
}

/// One message of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) kind: Kind,
    pub(crate) number: u64,
}

/// Keys that messages share.
const KEYS: u64 = 200;

impl Id {
    /// Every seventh fails at first, every eleventh for good.
    pub(crate) fn new(number: u64) -> Self {
        let kind = match number {
            n if n % 11 == 10 => Kind::Bad,
            n if n % 7 == 6 => Kind::Flaky,
            _ => Kind::Good,
        };
        Id { kind, number }
    }

    pub(crate) fn key(self) -> String {
        format!("key-{}", self.number % KEYS)
    }

    pub(crate) fn payload(self) -> String {
        let word = match self.kind {
            Kind::Good => "good",
            Kind::Flaky => "fail-until:3",
            // Each time it fails it has published before.
            Kind::Bad => "publish-and-reject",
        };
        format!("{word} {}", self.number)
    }

    pub(crate) fn of_payload(payload: &[u8]) -> Option<Self> {
        let number = std::str::from_utf8(payload).ok()?.split(' ').nth(1)?.parse().ok()?;
        Some(Id::new(number))
    }
}

/// Where a message was seen at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Out,
    Dead,
}

/// What is known of all messages.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    /// Confirmed by the broker.
    confirmed: BTreeSet<u64>,
    /// Published, and no confirm came: may be there or not.
    unsure: BTreeSet<u64>,
    out: BTreeMap<u64, Seen>,
    dead: BTreeMap<u64, Seen>,
}

/// How a message came out.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// How often.
    times: u64,
    /// Where its first copy stands in the topic.
    first_at: u64,
}

impl Accounts {
    pub(crate) fn confirm(&mut self, number: u64) {
        self.confirmed.insert(number);
    }

    pub(crate) fn doubt(&mut self, number: u64) {
        self.unsure.insert(number);
    }

    /// A message stands at a position of what came out; `again` when it is the collector's own redelivery and no new one.
    pub(crate) fn see(&mut self, place: Place, number: u64, position: u64, again: bool) {
        let ended = if place == Place::Out { &mut self.out } else { &mut self.dead };
        let seen = ended.entry(number).or_insert(Seen { times: 0, first_at: position });
        seen.times += u64::from(seen.times == 0 || !again);
        seen.first_at = seen.first_at.min(position);
    }

    /// Confirmed ones of which nothing came yet.
    pub(crate) fn open(&self) -> Vec<u64> {
        let ended = |n: &&u64| self.out.contains_key(n) || self.dead.contains_key(n);
        self.confirmed.iter().filter(|n| !ended(n)).copied().collect()
    }

    pub(crate) fn confirmed(&self) -> usize {
        self.confirmed.len()
    }

    /// Published without a confirm.
    pub(crate) fn unsure(&self) -> usize {
        self.unsure.len()
    }

    /// One more than the highest number whose publish has ended.
    pub(crate) fn next(&self) -> u64 {
        self.confirmed.iter().next_back().max(self.unsure.iter().next_back()).map_or(0, |newest| newest + 1)
    }

    /// How often something came more than once.
    pub(crate) fn doubled(&self) -> u64 {
        self.out.values().chain(self.dead.values()).map(|seen| seen.times - 1).sum()
    }

    /// Nothing is lost from number `from` on, nothing ends in the wrong place, nothing comes that nobody sent, and no more is doubled than
    /// `may_double`.
    pub(crate) fn assert_kept(&self, from: u64, may_double: u64) {
        let lost: Vec<u64> = self.open().into_iter().filter(|number| *number >= from).collect();
        assert!(lost.is_empty(), "lost: {lost:?}\n{self}");
        self.assert_no_others(may_double);
    }

    /// Nothing but that some may be lost: nothing ends in the wrong place, nothing comes that nobody sent, and no more is doubled.
    pub(crate) fn assert_no_others(&self, may_double: u64) {
        let wrong: Vec<_> = self.out.keys().filter(|n| Id::new(**n).kind == Kind::Bad).collect();
        assert!(wrong.is_empty(), "rejected, and published all the same: {wrong:?}\n{self}");
        let wrong: Vec<_> = self.dead.keys().filter(|n| Id::new(**n).kind != Kind::Bad).collect();
        assert!(wrong.is_empty(), "dead-lettered though they can succeed: {wrong:?}\n{self}");
        let known = |n: &&u64| self.confirmed.contains(n) || self.unsure.contains(n);
        let strange: Vec<_> = self.out.keys().chain(self.dead.keys()).filter(|n| !known(n)).collect();
        assert!(strange.is_empty(), "nobody sent {strange:?}\n{self}");
        assert!(self.doubled() <= may_double, "doubled {} times, at most {may_double} can be explained\n{self}", self.doubled());
    }

    /// No message ended in two ways, and no more are lost than `may_lose`. What fails is given up at once.
    pub(crate) fn assert_kept_at_most_once(&self, may_lose: usize) {
        let both: Vec<_> = self.out.keys().filter(|number| self.dead.contains_key(number)).collect();
        assert!(both.is_empty(), "handled, and given up: {both:?}\n{self}");
        let lost = self.open();
        assert!(lost.len() <= may_lose, "{} lost, at most {may_lose} can be explained: {lost:?}\n{self}", lost.len());
    }

    /// Messages of one key came out one after another: so they stand in the topic, whatever order the collector was given them in. Rejected
    /// ones leave by another way and are not compared.
    pub(crate) fn assert_in_order(&self) {
        let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (number, seen) in &self.out {
            let before = last.insert(Id::new(*number).key(), (seen.first_at, *number));
            assert!(
                before.is_none_or(|(at, _)| at < seen.first_at),
                "{before:?} came after {number} of its key, at {}\n{self}",
                seen.first_at
            );
        }
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (confirmed, unsure, out, dead) = (self.confirmed.len(), self.unsure.len(), self.out.len(), self.dead.len());
        write!(f, "{confirmed} confirmed, {unsure} unsure, {out} out, {dead} dead, {} doubled", self.doubled())
    }
}

#[test]
fn the_bookkeeping_sees_what_is_lost_doubled_and_out_of_order() {
    let kept = |see: &dyn Fn(&mut Accounts)| {
        let mut accounts = Accounts::default();
        [0, 200, 10].into_iter().for_each(|n| accounts.confirm(n));
        see(&mut accounts);
        let result = std::panic::catch_unwind(move || {
            accounts.assert_kept(0, 0);
            accounts.assert_in_order();
        });
        result.is_ok()
    };
    let good = |a: &mut Accounts| {
        a.see(Place::Out, 0, 1, false);
        a.see(Place::Dead, 10, 1, false);
    };
    assert!(kept(&|a| {
        good(a);
        a.see(Place::Out, 200, 2, false);
        a.see(Place::Out, 200, 2, true);
    }));
    assert!(!kept(&|a| good(a)), "200 is lost");
    assert!(
        kept(&|a| {
            a.see(Place::Out, 200, 2, false);
            good(a);
        }),
        "the collector was given 0 later; it stands first"
    );
    assert!(
        !kept(&|a| {
            good(a);
            a.see(Place::Out, 200, 0, false);
        }),
        "200 stands before 0, which has its key"
    );
    assert!(
        !kept(&|a| {
            good(a);
            a.see(Place::Out, 200, 2, false);
            a.see(Place::Out, 200, 2, false);
        }),
        "200 came twice"
    );
    assert!(
        !kept(&|a| {
            good(a);
            a.see(Place::Dead, 200, 2, false);
        }),
        "200 is good and dead"
    );
}
