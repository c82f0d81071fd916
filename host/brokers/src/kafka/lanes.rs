//! Subscribing: a member of the group, and a lane for each partition that it is given.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Fix, Intent, Lane, Lanes, Order, Ranges, Subscribe, Waiting};

use super::acks::LaneAcks;
use super::broker::{Broker, blocking};
use super::member::{Assigned, Handle, Membership};
use super::place::Place;
use super::source::LaneSource;
use super::{keep, retries, trouble};

/// Besides the session's: how long joining may take.
const JOINING: Duration = Duration::from_secs(10);
/// Before a lane that could not be begun is begun again.
const AGAIN: Duration = Duration::from_millis(500);

/// The consuming role.
pub(super) struct Consuming(pub(super) Arc<Broker>);

impl Consumer for Consuming {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        let was_in = subscribe.group.as_ref().is_some_and(|group| self.0.was_in(group));
        Box::pin(async move {
            let lanes = self.join(subscribe).await;
            lanes.map_err(|error| if was_in { trouble::once_in(error) } else { error })
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(super::check::subscription(&self.0, intent))
    }
}

impl Consuming {
    async fn join(&self, subscribe: Subscribe) -> Result<Lanes, BrokerError> {
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
        // Who may not see the settings does as the brokers do that have none of their own.
        let keep = keep::interval(&self.0.server_settings().await.unwrap_or_default());
        let handle = blocking(move || Membership::start(broker, group, subscribe, keep)).await?;
        joined(&handle.0).await?;
        Ok(Box::pin(stream::unfold(handle, |handle| async move {
            let lane = next(&handle).await;
            Some((lane, handle))
        })) as Lanes)
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
            Some(Ok(assigned)) => {
                if let Some(lane) = begin(handle, assigned).await {
                    return lane;
                }
            }
            None => member.arrived.notified().await,
        }
    }
}

/// Makes a lane of what was assigned; none where it is taken away meanwhile: that is no trouble of the others.
async fn begin(handle: &Arc<Handle>, assigned: Assigned) -> Option<Result<Lane, BrokerError>> {
    let (member, cell) = (Arc::clone(&handle.0), Arc::clone(&assigned.cell));
    let begun = blocking(move || retries::begin(&member, &cell)).await;
    if assigned.cell.is_revoked() {
        return None;
    }
    Some(match begun {
        Ok(waiting) => {
            let ordered = handle.0.wish.order != Order::None;
            Ok(lane(handle, assigned, if ordered { waiting } else { Vec::new() }))
        }
        Err(error) if error.fix == Fix::Retry => {
            tokio::time::sleep(AGAIN).await;
            handle.0.put_back(assigned);
            Err(error)
        }
        Err(error) => Err(trouble::once_in(error)),
    })
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
        inbox: None,
        lease: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longshore_core::{Clock, Connect, Fetch, OwnKeys, Pattern, Start};
    use longshore_testkit::servers::{self, unique};
    use serde_json::json;

    use super::super::names::Tier;
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lane_that_is_taken_away_while_it_begins_is_no_trouble_of_the_others() {
        let Some(kafka) = servers::kafka() else { return };
        let config = serde_json::from_value(json!({ "bootstrap-servers": kafka.address() })).expect("good keys");
        let folder = Path::new(".").into();
        let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
        let (broker, topic) = (Broker::open(config, connect).await.expect("it is there"), unique("t"));
        broker.ensure(&topic).await.expect("made");
        broker.ensure_retries(&topic, "g", Tier::FIRST, 0).await.expect("made");
        let wish = Subscribe {
            topics: vec![Pattern::new(&topic).expect("a name")],
            group: Some("g".into()),
            start: Start::Earliest,
            order: Order::Key,
            fetch: Fetch { max_messages: 9, max_wait: JOINING },
            max_in_flight: 9,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        let handle = blocking(move || Membership::start(broker, "g".into(), wish, JOINING)).await.expect("a member");
        joined(&handle.0).await.expect("it is let in");
        let assigned = handle.0.pop().expect("an assignment").expect("no error");
        assigned.cell.revoke();
        assigned.cell.book().ended = true;
        assert!(begin(&handle, assigned).await.is_none());
    }
}
