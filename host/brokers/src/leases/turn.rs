//! Waiting for a lock: in line on this host, and at the front of it asking the store at a growing pace, or at once when somebody here let it go.
//!
//! Between hosts: the front of each line asks at least every 64 ms, and says in the store that it waits. A host whose calls had the lock
//! [`ROW`] times in a row looks for that, and where another host waits it stands back for longer than that one lets pass between two tries.
//! So whoever waits meets, again and again, a time in which the host that was before it does not ask; which of several hosts uses it is chance,
//! the same for each, whatever the length of its line. A store of one host alone does without.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::grant::Grant;
use super::line::Place;
use super::pace::{self, Pace};
use super::register::{Claim, Register, Taken};
use super::{Answer, Result, Shared};

/// A longer wait counts as that one, a year: instants end somewhere.
const MOST: Duration = Duration::from_secs(365 * 24 * 3600);
/// Grants in a row to calls of this host, after which it asks whether another one waits.
const ROW: u64 = 8;
/// For how long it then stands back.
const BACK: Duration = pace::LONGEST.saturating_mul(2);
/// How long it counts that a host said that it waits; after half of that it says so again.
pub(crate) const WAITS: Duration = pace::LONGEST.saturating_mul(4);

impl<R: Register> Shared<R> {
    /// The lease, once it is granted. `None` when the time is over, or nobody waits for the answer any more.
    pub(super) async fn in_turn(
        self: &Arc<Self>,
        claim: &Claim,
        mut place: Place,
        wait: Duration,
        answer: &mut Answer,
    ) -> Result<Option<Grant<R>>> {
        let deadline = Instant::now() + wait.min(MOST);
        if !wait.is_zero() {
            tokio::select! {
                () = place.first() => {}
                () = sleep_until(deadline) => {}
                () = answer.closed() => {}
            }
        }
        if !place.is_first() {
            return Ok(None);
        }
        if self.streaks.of(&claim.name) >= ROW {
            self.streaks.ended(&claim.name);
            if self.register.others_wait(&claim.name, &self.seat).await? && !stand_back(wait, deadline, answer).await {
                return Ok(None);
            }
        }
        self.at_the_front(claim, &mut place, deadline, answer).await
    }

    async fn at_the_front(
        self: &Arc<Self>,
        claim: &Claim,
        place: &mut Place,
        deadline: Instant,
        answer: &mut Answer,
    ) -> Result<Option<Grant<R>>> {
        let (mut pace, mut again, mut said) = (Pace::default(), false, None);
        loop {
            let asked = Instant::now();
            let perhaps = Perhaps { shared: self, claim };
            let taken = self.register.take(claim, again).await?;
            perhaps.answered();
            let (left, token) = match taken {
                Taken::Yes { fence, mark } => {
                    self.streaks.granted(&claim.name);
                    return Ok(Some(Grant::new(self.clone(), claim.clone(), fence, mark, asked + claim.ttl)));
                }
                Taken::No { left, token } => (left, token),
            };
            again = true;
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            if !token.starts_with(&self.seat) {
                self.streaks.ended(&claim.name);
                if said.is_none_or(|said| now.duration_since(said) >= WAITS / 2) {
                    self.register.say_waiting(&claim.name, &self.seat).await?;
                    said = Some(now);
                }
            }
            let pause = pace.next(left).min(deadline.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = sleep(pause) => {}
                () = place.freed() => {}
                () = answer.closed() => return Ok(None),
            }
        }
    }
}

/// What was asked of the store, until its answer is there. Dropped before that, it may have been granted all the same, and is released.
struct Perhaps<'a, R: Register> {
    shared: &'a Arc<Shared<R>>,
    claim: &'a Claim,
}

impl<R: Register> Perhaps<'_, R> {
    fn answered(self) {
        std::mem::forget(self);
    }
}

impl<R: Register> Drop for Perhaps<'_, R> {
    fn drop(&mut self) {
        let Claim { name, token, ttl, .. } = self.claim;
        self.shared.release(name.clone(), token.clone(), 0, Instant::now() + *ttl);
    }
}

/// Lets others go first. Says whether there is anybody left to try for.
async fn stand_back(wait: Duration, deadline: Instant, answer: &mut Answer) -> bool {
    if wait.is_zero() {
        return false;
    }
    tokio::select! {
        () = sleep_until(deadline.min(Instant::now() + BACK)) => true,
        () = answer.closed() => false,
    }
}
