//! Subscribing: a member of the group, and a lane for each partition that it is given.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Fix, Intent, Lane, Lanes, Order, Ranges, Subscribe, Waiting};

use super::acks::LaneAcks;
use super::broker::{Broker, blocking};
use super::member::{Assigned, Handle, Membership};
use super::place::Place;
use super::retries;
use super::source::LaneSource;

/// Besides the session's: how long joining may take.
const JOINING: Duration = Duration::from_secs(10);
/// Before a lane that could not be begun is begun again.
const AGAIN: Duration = Duration::from_millis(500);

/// The consuming role.
pub(super) struct Consuming(pub(super) Arc<Broker>);

impl Consumer for Consuming {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let Some(group) = subscribe.group.clone() else {
                let what =
                    "Kafka divides topics among groups: a broadcast would leave one behind for each host; give the subscription a `group`";
                return Err(BrokerError::give_up(what));
            };
            for topic in subscribe.topics.iter().filter(|topic| !topic.is_wild()) {
                super::names::check_group(&group, topic.as_str()).map_err(BrokerError::give_up)?;
                self.0.ensure(topic.as_str()).await?;
            }
            // Who leaves now would keep its partitions until the brokers notice.
            self.0.departures.settled().await;
            let broker = Arc::clone(&self.0);
            let handle = blocking(move || Membership::start(broker, group, subscribe)).await?;
            joined(&handle.0).await?;
            Ok(Box::pin(stream::unfold(handle, |handle| async move {
                let lane = next(&handle).await;
                Some((lane, handle))
            })) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(super::check::subscription(&self.0, intent))
    }
}

/// Waits until the brokers have answered.
async fn joined(member: &Arc<Membership>) -> Result<(), BrokerError> {
    let most = member.broker.config.session_timeout.get() + JOINING;
    let mut joined = member.joined.subscribe();
    let answered = tokio::time::timeout(most, async {
        loop {
            tokio::select! {
                biased;
                done = joined.wait_for(|joined| *joined) => return done.map(drop).map_err(|_| BrokerError::reconnect("the member is gone")),
                () = member.arrived.notified() => match member.pop() {
                    Some(Ok(assigned)) => {
                        member.put_back(assigned);
                        return Ok(());
                    }
                    Some(Err(error)) => return Err(error),
                    None => {}
                },
            }
        }
    });
    let what = || BrokerError::reconnect(format!("group {:?} does not let us in within {most:?}", member.group));
    answered.await.unwrap_or_else(|_| Err(what()))
}

async fn next(handle: &Arc<Handle>) -> Result<Lane, BrokerError> {
    let member = &handle.0;
    loop {
        match member.pop() {
            Some(Err(error)) => return Err(error),
            Some(Ok(assigned)) => return begin(handle, assigned).await,
            None => member.arrived.notified().await,
        }
    }
}

/// Makes a lane of what was assigned.
async fn begin(handle: &Arc<Handle>, assigned: Assigned) -> Result<Lane, BrokerError> {
    let (member, cell) = (Arc::clone(&handle.0), Arc::clone(&assigned.cell));
    let waiting = match blocking(move || retries::begin(&member, &cell)).await {
        Ok(waiting) => waiting,
        Err(error) if error.fix == Fix::Retry => {
            tokio::time::sleep(AGAIN).await;
            handle.0.put_back(assigned);
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    let ordered = handle.0.wish.order != Order::None;
    Ok(lane(handle, assigned, if ordered { waiting } else { Vec::new() }))
}

fn lane(handle: &Arc<Handle>, assigned: Assigned, waiting: Vec<Waiting>) -> Lane {
    let Assigned { cell, in_use, queue } = assigned;
    let book = cell.book();
    let (topic, partition, mut finished) = (book.topic.clone(), book.partition, Ranges::default());
    let position = |offset: u64| Place::new(partition, offset.cast_signed()).position();
    book.progress().inherited().iter().for_each(|(from, to)| finished.insert_range(position(from), position(to)));
    drop(book);
    Lane {
        id: format!("{topic}/{partition}"),
        partition: u32::try_from(partition).ok(),
        revoked: cell.revoked(),
        acks: Box::new(LaneAcks::new(Arc::clone(&cell), Arc::clone(&in_use), Arc::clone(handle))),
        source: Box::new(LaneSource::new(cell, topic, partition, queue, in_use, Arc::clone(handle))),
        finished,
        waiting,
        lease: None,
    }
}
