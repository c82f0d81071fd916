//! Reading as a member of a group, for a command: joins, takes what comes first, acknowledges it, leaves.
//!
//! What is answered is acknowledged before the caller has it; a consumer that must not lose anything is a handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use longshore_admin::ControlError;
use longshore_admin::model::{Begin, Received, Take};
use longshore_core::{Batch, BrokerError, Fetch, Fix, Lane, Order, OwnKeys, Pattern, Receipts, Room, Settled, Start, Subscribe};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::asked::Asked;
use super::messages::received;

/// Bytes of one answer.
const MAX_BYTES: usize = 16 << 20;
/// Even who does not want to wait has to join and be given what is there.
const LEAST_WAIT: Duration = Duration::from_millis(250);

/// What the lanes of one take share.
struct Share {
    /// Messages that may still be taken.
    left: AtomicUsize,
    /// Turns true when nothing more is to be fetched.
    enough: watch::Sender<bool>,
    limit: usize,
}

/// Takes up to `limit` messages; waits for the first one.
pub(super) async fn take(broker: &Asked, take: &Take, limit: usize, wait: Duration) -> Result<Vec<Received>, ControlError> {
    let consumer = broker.consumer()?;
    let deadline = Instant::now() + wait.max(LEAST_WAIT);
    let asked = subscribe(take, limit, wait)?;
    let mut joined = consumer.subscribe(asked.clone()).await;
    if asked.start == Start::Latest && joined.as_ref().is_err_and(|error| error.fix == Fix::GiveUp) {
        // A queue begins with its oldest message, whoever comes; that a topic is one may be known to its broker alone.
        joined = consumer.subscribe(Subscribe { start: Start::Earliest, ..asked }).await;
    }
    let mut lanes = joined.map_err(|e| broker.told(e))?;
    let share = Arc::new(Share { left: AtomicUsize::new(limit), enough: watch::Sender::new(false), limit });
    let (mut tasks, mut taken, mut more) = (JoinSet::new(), Vec::new(), true);
    loop {
        tokio::select! {
            lane = lanes.next(), if more && taken.is_empty() => match lane {
                Some(Ok(lane)) => drop(tasks.spawn(from_lane(lane, Arc::clone(&share)))),
                Some(Err(error)) => return Err(broker.told(error)),
                None => more = false,
            },
            Some(joined) = tasks.join_next(), if !tasks.is_empty() => {
                let batch = joined.map_err(|e| ControlError::new(longshore_admin::Kind::Failed, format!("reading ended by a bug: {e}")))?;
                taken.extend(batch.map_err(|e| broker.told(e))?);
                share.enough.send_replace(true);
            }
            () = sleep_until(deadline), if !*share.enough.borrow() => drop(share.enough.send_replace(true)),
            else => break,
        }
        if tasks.is_empty() && (*share.enough.borrow() || !more) {
            break;
        }
    }
    Ok(taken)
}

fn subscribe(take: &Take, limit: usize, wait: Duration) -> Result<Subscribe, ControlError> {
    let topic = Pattern::new(&take.topic).map_err(|e| ControlError::invalid(e.to_string()))?;
    Ok(Subscribe {
        topics: vec![topic],
        group: Some(take.group.clone()),
        start: match take.from {
            Begin::Beginning => Start::Earliest,
            Begin::End => Start::Latest,
        },
        order: Order::None,
        fetch: Fetch { max_messages: limit, max_wait: wait.max(LEAST_WAIT) },
        max_in_flight: limit,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    })
}

/// Takes what a lane gives first, acknowledges what there is room for, and gives back the rest.
async fn from_lane(mut lane: Lane, share: Arc<Share>) -> Result<Vec<Received>, BrokerError> {
    let mut batch = Batch::default();
    let mut enough = share.enough.subscribe();
    let fetched = tokio::select! {
        fetched = lane.source.fetch(Room { messages: share.limit, bytes: MAX_BYTES }, &mut batch) => fetched,
        _ = enough.wait_for(|enough| *enough) => Ok(()),
    };
    let count = reserve(&share.left, batch.len());
    let (mut round, mut open) = (Settled::default(), Receipts::default());
    for i in 0..batch.len() {
        if i < count { round.finished.push(batch.receipt(i)) } else { open.push(batch.receipt(i)) }
    }
    round.above = std::mem::take(&mut lane.finished);
    round.up_to = (0..count).filter(|i| is_new(&batch, *i)).map(|i| batch.receipt(i).position).max();
    if let Some(up_to) = round.up_to {
        round.above.remove_up_to(up_to);
    }
    if count > 0 {
        lane.acks.settle(&round).await.map_err(|e| BrokerError::retry(format!("cannot acknowledge: {e}")))?;
    }
    lane.acks.close(open).await?;
    fetched?;
    let mut taken = received(&batch);
    taken.truncate(count);
    Ok(taken)
}

/// Whether it came by its turn and not again: only then is everything below it finished.
fn is_new(batch: &Batch, index: usize) -> bool {
    batch.row(index).attempt() == 1 && batch.facts(index).first_failed_at == 0 && batch.receipt(index).token.is_empty()
}

/// How many of `wanted` there was still room for.
fn reserve(left: &AtomicUsize, wanted: usize) -> usize {
    let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - left.min(wanted)));
    before.unwrap_or_else(|unchanged| unchanged).min(wanted)
}
