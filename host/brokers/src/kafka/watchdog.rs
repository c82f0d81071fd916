//! The watchdog: a member that is owed something and gets nothing for three sessions is made anew. No such state of the client should exist; one
//! was seen, once in twenty-three runs, after a server had stood still for longer than the session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::BrokerError;
use rdkafka::consumer::Consumer as _;
use tokio::time::Instant;

use super::broker::Broker;
use super::cell::Cell;
use super::member::Membership;
use super::{assigned, reading};

/// Sessions that a member gets nothing for before it is looked whether it should.
const SESSIONS: u32 = 3;

/// What a member's thread knows of what came.
#[derive(Debug)]
pub(super) struct Watchdog {
    patience: Duration,
    /// Since when there has been no lane.
    without: Option<Instant>,
}

impl Watchdog {
    pub(super) fn new(session: Duration) -> Self {
        Watchdog { patience: session * SESSIONS, without: None }
    }

    /// Looks whether anything is owed. An error of the second kind is one of asking, and says nothing. Blocks only once it is suspicious.
    pub(super) fn look(&mut self, member: &Membership, topics: &BTreeSet<String>, now: Instant) -> Result<(), Verdict> {
        let cells = member.cells();
        if cells.is_empty() && !topics.is_empty() {
            let since = *self.without.get_or_insert(now);
            if now.duration_since(since) >= self.patience {
                self.without = Some(now);
                if let Some(why) = owed_partitions(member, topics).map_err(Verdict::Unknown)? {
                    return Err(self.anew(&format!("has had no partition for {:?}, and {why}", self.patience)));
                }
            }
        } else {
            self.without = None;
        }
        for cell in cells.iter().filter(|cell| cell.has_waited(now) >= self.patience) {
            if is_owed_messages(&member.broker, cell).map_err(Verdict::Unknown)? {
                let (topic, partition) = cell.book().named();
                return Err(self.anew(&format!("gets nothing of {topic}/{partition}, which has messages, for {:?}", self.patience)));
            }
            cell.waits_anew(now);
        }
        Ok(())
    }

    fn anew(&self, what: &str) -> Verdict {
        Verdict::Stuck(BrokerError::reconnect(format!("this member of the group {what}")))
    }
}

/// What a look came to, where it was not well.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The member is to be made anew.
    Stuck(BrokerError),
    /// The brokers did not answer.
    Unknown(BrokerError),
}

/// Why a member without partitions should have some. Blocks.
fn owed_partitions(member: &Membership, topics: &BTreeSet<String>) -> Result<Option<String>, BrokerError> {
    let mut there = 0;
    for topic in topics {
        there += member.broker.partitions(topic)?.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    }
    if there == 0 {
        return Ok(None);
    }
    let (Some(consumer), described) = (member.consumer(), member.broker.group_list(Some(&member.group))?) else { return Ok(None) };
    let Some(group) = described.groups().first() else { return Ok(None) };
    // Another one joins, or leaves: who gets what is being made out.
    if !matches!(group.state(), "Stable" | "Empty" | "Dead") {
        return Ok(None);
    }
    let id = assigned::member_id(consumer.client());
    if !group.members().iter().any(|found| Some(found.id()) == id.as_deref()) {
        return Ok(Some("the brokers do not know it".to_owned()));
    }
    let mut theirs = 0;
    for found in group.members() {
        let Some(all) = found.assignment().and_then(assigned::partitions) else { return Ok(None) };
        theirs += all.iter().filter(|(topic, _)| topics.contains(topic)).map(|(_, partitions)| partitions.len()).sum::<usize>();
    }
    Ok((theirs < there).then(|| format!("{} of {there} partitions are nobody's", there - theirs)))
}

/// Whether there is a message that a lane has not got. Blocks.
fn is_owed_messages(broker: &Broker, cell: &Arc<Cell>) -> Result<bool, BrokerError> {
    let ((topic, partition), next) = {
        let book = cell.book();
        // Behind a slow message, or one that waits in its place, it is the lane itself that takes no more.
        if book.is_full() || !book.has_room(None) || !book.blocked.is_empty() {
            return Ok(false);
        }
        (book.named(), book.progress().end())
    };
    let (low, high) = broker.watermarks(&topic, partition)?;
    let mut is_there = false;
    // What is behind the last message may be nothing that a reader sees: so one is read.
    reading::each(broker, &topic, partition, next.max(low), high, |_| {
        is_there = true;
        false
    })?;
    Ok(is_there)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures::StreamExt;
    use longshore_core::{
        Clock, Connect, Consumer as _, Fetch, Fix, Lanes, Message, Order, Outbox, OwnKeys, Pattern, Publisher as _, Start, Subscribe,
    };
    use longshore_testkit::servers::{self, Kafka, unique};
    use rdkafka::topic_partition_list::TopicPartitionList;
    use serde_json::json;

    use super::super::lanes::Consuming;
    use super::super::publisher::Publishing;
    use super::*;

    const SESSION: Duration = Duration::from_secs(2);

    async fn open(kafka: &Kafka) -> Arc<Broker> {
        let config = json!({ "bootstrap-servers": kafka.address(), "session-timeout": "2s", "heartbeat-interval": "500ms" });
        let folder = Path::new(".").into();
        let connect = Connect { name: "default".into(), folder, clock: Clock::system(), admin: None, topics: Vec::new() };
        Broker::open(serde_json::from_value(config).expect("good keys"), connect).await.expect("the server is there")
    }

    async fn subscribe(broker: &Arc<Broker>, topic: &str) -> Lanes {
        let wish = Subscribe {
            topics: vec![Pattern::new(topic).expect("a name")],
            group: Some(topic.into()),
            start: Start::Earliest,
            order: Order::Key,
            fetch: Fetch { max_messages: 9, max_wait: SESSION },
            max_in_flight: 9,
            delays: Vec::new(),
            dedup: None,
            own: OwnKeys::default(),
        };
        Consuming(Arc::clone(broker)).subscribe(wish).await.expect("subscribed")
    }

    async fn publish(broker: &Arc<Broker>, topic: &str) {
        let mut outbox = Outbox::default();
        let message = Message { id: "", topic, key: None, payload: Some(b"a"), headers: std::iter::empty(), timestamp: 0, attempt: 1 };
        outbox.push(&message, 0, 0);
        let answers = Publishing(Arc::clone(broker)).publish(&outbox).await.expect("it answers");
        answers.into_iter().for_each(|answer| drop(answer.expect("it is kept")));
    }

    /// The next thing of the stream that is no lane.
    async fn told(lanes: &mut Lanes) -> BrokerError {
        let error = async {
            loop {
                if let Err(error) = lanes.next().await.expect("it goes on") {
                    return error;
                }
            }
        };
        tokio::time::timeout(SESSION * SESSIONS * 5, error).await.expect("it is told in time")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_member_that_the_group_does_not_know_is_made_anew() {
        let Some(kafka) = servers::kafka() else { return };
        let (broker, topic) = (open(kafka).await, unique("t"));
        let mut lanes = subscribe(&broker, &topic).await;
        drop(lanes.next().await.expect("a lane"));
        let member = broker.departures.members().pop().expect("a member");
        // Behind its back, as a client would that takes itself for a member.
        member.consumer().expect("it lives").unsubscribe();
        let error = told(&mut lanes).await;
        assert!(error.fix == Fix::Reconnect && error.what.contains("no partition"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_member_that_gets_nothing_of_what_is_there_is_made_anew() {
        let Some(kafka) = servers::kafka() else { return };
        let (broker, topic) = (open(kafka).await, unique("t"));
        let mut lanes = subscribe(&broker, &topic).await;
        let mut lane = lanes.next().await.expect("a lane").expect("no error");
        let member = broker.departures.members().pop().expect("a member");
        let mut list = TopicPartitionList::new();
        list.add_partition(&topic, 0);
        // Behind its back: the client fetches nothing any more and says nothing.
        member.consumer().expect("it lives").pause(&list).expect("paused");
        publish(&broker, &topic).await;
        let mut batch = longshore_core::Batch::default();
        let room = longshore_core::Room { messages: 9, bytes: 9_000 };
        tokio::select! {
            error = told(&mut lanes) => assert!(error.fix == Fix::Reconnect && error.what.contains("gets nothing"), "{error}"),
            fetched = lane.source.fetch(room, &mut batch) => panic!("a paused partition brought something: {fetched:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_member_for_whom_there_is_nothing_stays() {
        let Some(kafka) = servers::kafka() else { return };
        let (broker, topic) = (open(kafka).await, unique("t"));
        let mut lanes = subscribe(&broker, &topic).await;
        let lane = lanes.next().await.expect("a lane").expect("no error");
        // One partition, two members: the second has none, and is owed none.
        let other = open(kafka).await;
        let _theirs = subscribe(&other, &topic).await;
        let until = Instant::now() + SESSION * 10;
        let is_settled = |group: &rdkafka::groups::GroupInfo| group.state() == "Stable" && group.members().len() == 2;
        tokio::task::block_in_place(|| {
            while !broker.group_list(Some(&topic)).expect("it answers").groups().iter().any(is_settled) {
                assert!(Instant::now() < until, "the group does not settle");
                std::thread::sleep(Duration::from_millis(20));
            }
            for broker in [&broker, &other] {
                let (member, topics) = (broker.departures.members().pop().expect("a member"), BTreeSet::from([topic.clone()]));
                assert_eq!(owed_partitions(&member, &topics).expect("it answers"), None);
                member.cells().iter().for_each(|cell| assert!(!is_owed_messages(broker, cell).expect("it answers")));
            }
        });
        drop(lane);
    }
}
