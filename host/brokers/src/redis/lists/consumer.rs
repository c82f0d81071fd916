//! Subscribing: a lane for each topic that is meant, now and later. A list has one group: whoever comes with another name while the first
//! is there would take its messages, and is refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::stream;
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Intent, Lane, Lanes, Ranges, Subscribe};
use redis::Value;
use tokio::time::{Instant, sleep};

use super::acks::ListAcks;
use super::check;
use super::keys::LaneKeys;
use super::own;
use super::roles::Shared;
use super::scripts;
use super::source::ListSource;
use crate::redis::entry::{list, text};
use crate::redis::errors::foreign_answer;
use crate::redis::names::new_consumer;
use crate::redis::scan::{self, Kind};

type Result<T> = std::result::Result<T, BrokerError>;

/// How often lanes that ended are opened again, and topics are looked for that match a pattern.
const ASK: Duration = Duration::from_millis(500);
/// Looking for topics takes at most this part of the server's time: one in so many.
const SHARE: u32 = 20;

/// The consuming role.
pub(super) struct ListConsumer(pub(super) Arc<Shared>);

impl Consumer for ListConsumer {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes>> {
        Box::pin(async move {
            let mut subscription = Subscription::new(self.0.clone(), subscribe)?;
            subscription.open_all().await?;
            Ok(Box::pin(stream::unfold(subscription, |mut subscription| async move {
                let lane = subscription.next().await;
                Some((lane, subscription))
            })) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>>> {
        Box::pin(check::subscription(&self.0, intent))
    }
}

/// One subscription and the lanes it has.
struct Subscription {
    shared: Arc<Shared>,
    subscribe: Subscribe,
    group: String,
    lease: Duration,
    /// Lanes of ours that somebody still holds.
    mine: HashMap<String, Weak<()>>,
    ready: VecDeque<Lane>,
}

impl Subscription {
    fn new(shared: Arc<Shared>, subscribe: Subscribe) -> Result<Self> {
        let own: own::Subscription = subscribe.own.read()?;
        if let Some(refused) = super::refused(&subscribe, &own).iter().chain(&super::impossible(&subscribe)).next() {
            return Err(BrokerError::give_up(format!("{}: {}; {}", refused.key, refused.problem, refused.help)));
        }
        let group = subscribe.group.clone().expect("a subscription without one is refused");
        let lease = own.lease.map_or(shared.lease, longshore_core::Span::get);
        Ok(Subscription { shared, subscribe, group, lease, mine: HashMap::new(), ready: VecDeque::new() })
    }

    async fn next(&mut self) -> Result<Lane> {
        loop {
            if let Some(lane) = self.ready.pop_front() {
                return Ok(lane);
            }
            let began = Instant::now();
            self.open_all().await?;
            if self.ready.is_empty() {
                sleep(ASK.max(began.elapsed() * SHARE)).await;
            }
        }
    }

    /// Opens lanes of the topics that are meant and have none.
    async fn open_all(&mut self) -> Result<()> {
        for topic in scan::wanted(&self.shared.server, Kind::List, &self.subscribe.topics).await? {
            let is_held = self.mine.get(&topic).is_some_and(|presence| presence.strong_count() > 0);
            if !is_held {
                let lane = self.open(&topic).await?;
                self.ready.push_back(lane);
            }
        }
        Ok(())
    }

    async fn open(&mut self, topic: &str) -> Result<Lane> {
        let (shared, keys) = (&self.shared, Arc::new(LaneKeys::new(topic, &self.group, &new_consumer(), self.lease)));
        let mut script = keys.invoke(&scripts::JOIN);
        script.arg(&keys.group).arg(&keys.consumer).arg(keys.lease_millis());
        let answer: Value = shared.server.call(topic, &script).await.map_err(|e| shared.server.error(&e))?;
        let [Value::Int(joined), word] = list(&answer) else {
            return Err(foreign_answer());
        };
        let word = text(word).unwrap_or_default();
        if *joined != 1 {
            return Err(taken(topic, &self.group, word));
        }
        let presence = Arc::new(());
        self.mine.insert(topic.to_owned(), Arc::downgrade(&presence));
        Ok(Lane {
            id: topic.to_owned(),
            partition: None,
            source: Box::new(ListSource::new(shared.clone(), keys.clone(), presence.clone(), self.subscribe.fetch.max_wait)),
            acks: Box::new(ListAcks { shared: shared.clone(), keys: keys.clone(), _presence: presence }),
            revoked: Box::pin(hold(shared.clone(), keys, word.to_owned())),
            finished: Ranges::default(),
            waiting: Vec::new(),
            // The heartbeat is the lane's, not its messages': nothing is taken back from a lane that lives.
            inbox: None,
            lease: None,
        })
    }
}

/// A list gives each message once, so a second group would take from the first.
fn taken(topic: &str, group: &str, other: &str) -> BrokerError {
    BrokerError::give_up(format!(
        "list {topic:?} is read by group {other:?} now, and group {group:?} would take its messages: give both the same group, let each read \
         a list of its own, or use redis-streams, where every group gets everything"
    ))
}

/// The heartbeat. It ends when the lane is not one any more: it was taken for gone, or its topic was emptied.
async fn hold(shared: Arc<Shared>, keys: Arc<LaneKeys>, era: String) {
    loop {
        sleep((keys.lease / 3).min(Duration::from_secs(1))).await;
        let mut script = scripts::HOLD.prepare_invoke();
        script.key(&keys.alive).key(&keys.queue).arg(keys.lease_millis()).arg(&era);
        // Trouble is for the reading half to tell.
        if let Ok(0) = shared.server.call::<u8>(&keys.topic, &script).await {
            return;
        }
    }
}
