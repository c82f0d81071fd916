//! The dedup inbox of a lane. A message is claimed when its call begins: a duplicate ends there, and what another delivery is at waits here
//! and is asked for again. A claim is held while its message is called and settled, and given back when it waits again for whatever reason: so
//! no two can wait for each other.
//!
//! Where the inbox cannot be asked, the call does not happen: nobody is charged, and nothing is called that might be done already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BoxFuture, BrokerError, Claimant, Claimed, Fix, Handler, Inbox, InboxClaim, InboxEntry, InboxKey, Receipts};
use tokio::time::Instant;

use crate::order::Picked;
use crate::policy::Dedup;
use crate::round::Record;
use crate::verdict::Verdict;

use super::{LAST_SETTLEMENT, LaneTask, Phase, after};

/// How long the second of two deliveries waits at most before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The same where the first is this lane's own, and perhaps about to be settled.
const ASK_AGAIN_HERE: Duration = Duration::from_millis(20);

/// The claims of a lane.
pub(crate) struct Claims {
    dedup: Dedup,
    inbox: Arc<dyn Inbox>,
    /// Whether claims end in the settlement's own transaction.
    with_acks: bool,
    /// Which lane of this process it is.
    lane: u32,
    /// Claims so far: each has a number of its own, so that what is told of an old one late means no new one.
    count: u64,
    /// What was asked for and has not ended, by sequence number.
    held: BTreeMap<u64, Held>,
    /// What is to be given back.
    over: Vec<InboxClaim>,
    /// Messages that another delivery has, and when each is asked for again.
    waiting: Vec<(Instant, Picked)>,
    /// Giving back or extending, under way.
    keeping: Option<BoxFuture<'static, Result<usize, BrokerError>>>,
    next_extension: Instant,
}

/// The inbox could not be asked.
pub(super) struct NotAsked {
    pub(super) error: BrokerError,
    /// What is to be given back yet.
    pub(super) over: Vec<InboxClaim>,
}

struct Held {
    claim: InboxClaim,
    /// Whether it is ours; not known while the inbox has not answered.
    granted: Option<bool>,
}

impl Claims {
    /// The claims of a lane whose broker keeps an inbox itself, or else of that of the policy.
    pub(super) fn new(dedup: &Dedup, of_lane: Option<Arc<dyn Inbox>>, lane: u32) -> Option<Self> {
        let with_acks = of_lane.is_some();
        let inbox = of_lane.or_else(|| dedup.inbox.clone())?;
        let next_extension = after(dedup.times.lease / 3);
        let (held, over, waiting, dedup) = (BTreeMap::new(), Vec::new(), Vec::new(), dedup.clone());
        Some(Claims { dedup, inbox, with_acks, lane, count: 0, held, over, waiting, keeping: None, next_extension })
    }

    fn claim(&mut self, key: InboxKey) -> InboxClaim {
        self.count += 1;
        InboxClaim { key, claimant: Claimant::new(self.dedup.process, self.lane, self.count) }
    }

    /// Asks for the messages of a call, after what is over was given back; none where none of them has a key.
    pub(super) fn ask(&mut self, picked: &Picked) -> Option<BoxFuture<'static, Result<Vec<Claimed>, NotAsked>>> {
        let mut claims = Vec::new();
        for i in 0..picked.len() {
            if let Some(key) = self.dedup.key.of(picked.batch.row(picked.from + i)) {
                let claim = self.claim(key);
                self.held.insert(picked.seq(i), Held { claim, granted: None });
                claims.push(claim);
            }
        }
        if claims.is_empty() {
            return None;
        }
        let (inbox, over) = (Arc::clone(&self.inbox), std::mem::take(&mut self.over));
        Some(Box::pin(async move {
            let asked = async {
                if !over.is_empty() {
                    inbox.release(&over).await?;
                }
                inbox.claim(&claims).await
            };
            asked.await.map_err(|error| NotAsked { error, over })
        }))
    }

    /// What was to be given back before a call was asked for may still stand.
    pub(super) fn still_over(&mut self, over: Vec<InboxClaim>) {
        self.over.extend(over);
    }

    /// Notes what was answered, and says it for each message of the call; one without a key is called as it is.
    fn note(&mut self, picked: &Picked, answers: &[Claimed]) -> Vec<Claimed> {
        let mut answers = answers.iter().copied();
        let mut note = |i| {
            let seq = picked.seq(i);
            let Some(held) = self.held.get_mut(&seq) else { return Claimed::Ours };
            let answer = answers.next().unwrap_or(Claimed::Taken);
            held.granted = Some(answer == Claimed::Ours);
            answer
        };
        (0..picked.len()).map(&mut note).collect()
    }

    /// When a message is asked for again that another delivery has.
    fn ask_again(&self, picked: &Picked, index: usize) -> Duration {
        let key = self.held.get(&picked.seq(index)).map(|held| held.claim.key);
        let here = self.held.values().any(|held| held.granted == Some(true) && Some(held.claim.key) == key);
        if here { ASK_AGAIN_HERE } else { (self.dedup.times.lease / 3).min(ASK_AGAIN) }
    }

    /// A message waits again: its claim is given back, if it was one.
    fn let_go(&mut self, picked: &Picked, index: usize) {
        if let Some(held) = self.held.remove(&picked.seq(index))
            && held.granted != Some(false)
        {
            self.over.push(held.claim);
        }
    }

    /// Ends when claims were given back or extended; never while nothing is under way.
    pub(super) async fn kept(claims: &mut Option<Claims>) -> Result<usize, BrokerError> {
        let Some(keeping) = claims.as_mut().and_then(|claims| claims.keeping.as_mut()) else { return std::future::pending().await };
        let answer = keeping.await;
        if let Some(claims) = claims {
            claims.keeping = None;
        }
        answer
    }

    /// When the lane has to look at it again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let extension = (!self.held.is_empty() && self.keeping.is_none()).then_some(self.next_extension);
        self.waiting.iter().map(|(at, _)| *at).chain(extension).min()
    }

    /// Adds what waits here.
    pub(super) fn unsettled(&self, open: &mut Receipts) {
        self.waiting.iter().for_each(|(_, picked)| open.push(picked.batch.receipt(picked.from)));
    }

    /// What of the inbox ends with a record.
    pub(crate) fn entries(&self, record: &Record, into: &mut Vec<InboxEntry>) {
        for i in 0..record.picked.len() {
            let verdict = record.verdict(i);
            let held = self.held.get(&record.picked.seq(i));
            let Some(held) = held.filter(|_| !matches!(verdict, Verdict::Requeue { .. })) else { continue };
            let position = record.picked.batch.receipt(record.picked.from + i).position;
            into.push(InboxEntry { claim: held.claim, position, done: *verdict == Verdict::Done });
        }
    }

    /// The inbox that a round has to tell by itself, where the settlement does not.
    pub(crate) fn apart(&self) -> Option<Arc<dyn Inbox>> {
        (!self.with_acks).then(|| Arc::clone(&self.inbox))
    }

    /// A record is settled: its claims are over. Those of what is not done are to be given back, where the settlement did not do that.
    pub(super) fn settled(&mut self, record: &Record) {
        for i in 0..record.picked.len() {
            match record.verdict(i) {
                Verdict::Requeue { .. } => {}
                verdict if self.with_acks || *verdict == Verdict::Done => drop(self.held.remove(&record.picked.seq(i))),
                _ => self.let_go(&record.picked, i),
            }
        }
    }

    /// Gives back every claim, at the lane's end.
    async fn release(mut self) -> Result<(), BrokerError> {
        self.over.extend(self.held.values().map(|held| held.claim));
        if self.over.is_empty() { Ok(()) } else { self.inbox.release(&self.over).await }
    }
}

/// Gives claims back, however long that takes: until their lease is over they would stand in their own messages' way.
async fn give_back(inbox: Arc<dyn Inbox>, over: Vec<InboxClaim>, lease: Duration) -> Result<usize, BrokerError> {
    let end = after(lease);
    loop {
        match inbox.release(&over).await {
            Err(error) if error.fix != Fix::GiveUp && after(ASK_AGAIN) < end => tokio::time::sleep(ASK_AGAIN).await,
            answer => return answer.map(|()| 0),
        }
    }
}

impl<H: Handler> LaneTask<H> {
    /// Sorts the messages of a call once the inbox has answered: those that are called, and those that are not, with their verdicts. The others
    /// are another delivery's, and wait.
    pub(super) fn sort_claimed(&mut self, picked: &Picked, answers: &[Claimed]) -> (Vec<usize>, Vec<usize>, Vec<Verdict>) {
        let Some(claims) = &mut self.claims else { return ((0..picked.len()).collect(), Vec::new(), Vec::new()) };
        let answers = claims.note(picked, answers);
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(picked.len());
        let (mut called, mut refused) = (Vec::new(), Vec::new());
        for (i, answer) in answers.into_iter().enumerate() {
            let verdict = match answer {
                Claimed::Done => Verdict::Duplicate,
                Claimed::Ours if !self.judge().held_back(picked, i, &verdicts) => Verdict::Done,
                Claimed::Ours | Claimed::Taken => Verdict::Requeue { alone: picked.alone },
            };
            match (answer, &verdict) {
                (Claimed::Taken, _) => self.wait_for_claim(picked, i),
                (_, Verdict::Done) => called.push(i),
                _ => refused.push(i),
            }
            verdicts.push(verdict);
        }
        let of_refused = refused.iter().map(|i| verdicts[*i].clone()).collect();
        (called, refused, of_refused)
    }

    /// Lets a message of a call wait here, and hold its key, until it is asked for again.
    fn wait_for_claim(&mut self, picked: &Picked, index: usize) {
        let Some(claims) = &mut self.claims else { return };
        let delay = claims.ask_again(picked, index);
        claims.let_go(picked, index);
        let one = picked.only(&[index]);
        claims.waiting.push((after(delay), one.clone()));
        let (id, due) = (picked.batch.row(picked.from + index).id(), self.due(delay));
        tracing::debug!(lane = %self.id, id, ?delay, "another delivery of it is handled now");
        self.queue.away(&one, 0, due);
    }

    /// Messages that wait in the lane again have no claim.
    pub(super) fn let_claims_go(&mut self, picked: &Picked, waits: impl Fn(usize) -> bool) {
        if let Some(claims) = &mut self.claims {
            (0..picked.len()).filter(|i| waits(*i)).for_each(|i| claims.let_go(picked, i));
        }
    }

    /// Puts back into the queue what has waited long enough, gives back claims, and extends those that are held, three times in a lease.
    pub(super) fn keep_claims(&mut self) {
        let now = Instant::now();
        let Some(claims) = self.claims.as_mut() else { return };
        let (due, later) = std::mem::take(&mut claims.waiting).into_iter().partition(|(at, _)| *at <= now);
        claims.waiting = later;
        // The last first, each in front, so that they keep their order.
        let due: Vec<(Instant, Picked)> = due;
        due.iter().rev().for_each(|(_, one)| self.queue.requeue(one, 0, one.alone));
        let (Some(claims), true) = (self.claims.as_mut(), self.phase != Phase::Closing) else { return };
        if claims.keeping.is_some() {
            return;
        }
        let inbox = Arc::clone(&claims.inbox);
        if !claims.over.is_empty() {
            let over = std::mem::take(&mut claims.over);
            claims.keeping = Some(Box::pin(give_back(inbox, over, claims.dedup.times.lease)));
        } else if now >= claims.next_extension {
            claims.next_extension = after(claims.dedup.times.lease / 3);
            let granted: Vec<InboxClaim> = claims.held.values().filter(|held| held.granted == Some(true)).map(|held| held.claim).collect();
            if !granted.is_empty() {
                claims.keeping = Some(Box::pin(async move { Ok(inbox.extend(&granted).await?.into_iter().filter(|ours| !ours).count()) }));
            }
        }
    }

    /// Claims were given back or extended, or not: their messages go on either way, as they do when a broker's lease is over.
    pub(super) fn claims_kept(&self, answer: Result<usize, BrokerError>) {
        let (subscription, lane) = (&self.shared.policy.info.name, &self.id);
        match answer {
            Err(error) => tracing::warn!(%subscription, %lane, "claims of messages were not kept: {error}; they end with their lease"),
            // Those that were settled meanwhile are over, too.
            Ok(lost) if lost > 0 => tracing::debug!(%subscription, %lane, lost, "claims were over before they were extended"),
            Ok(_) => {}
        }
    }

    /// Gives back every claim of a lane that ends.
    pub(super) async fn release_claims(&mut self) {
        let Some(claims) = self.claims.take() else { return };
        match tokio::time::timeout(LAST_SETTLEMENT, claims.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(lane = %self.id, "claims were not given back: {error}; they end with their lease"),
            Err(_) => tracing::warn!(lane = %self.id, "claims were not given back in time; they end with their lease"),
        }
    }
}
