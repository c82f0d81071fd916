//! One subscription: a lane for each topic that is meant, now and later. Where order is asked for, a group has one seat a topic, and whoever
//! sits on it reads alone; the others wait for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use longshore_core::{BrokerError, Fix, Inbox, Lane, Order, Ranges, Start, Subscribe, Waiting};
use redis::Value;
use tokio::time::{Instant, sleep};

use super::acks::{StreamAcks, release};
use super::consumer::start_id;
use super::dedup::StreamInbox;
use super::keys::{BROADCAST, LaneKeys, Presence};
use super::losses::Losses;
use super::own;
use super::reader::Reader;
use super::roles::Shared;
use super::scripts;
use super::source::StreamSource;
use crate::redis::entry::{bytes, int, list, text};
use crate::redis::errors::foreign_answer;
use crate::redis::names::new_consumer;
use crate::redis::position::EntryId;
use crate::redis::scan::{self, Kind};
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// How often a seat that is taken is asked for again, and topics are looked for that match a pattern.
const ASK: Duration = Duration::from_millis(500);
/// Looking for topics takes at most this part of the server's time: one in so many.
const SHARE: u32 = 20;
/// Leases after which a consumer that was not seen is forgotten.
const FORGOTTEN: u32 = 10;

/// What a failover to a replica that was behind does.
const GONE_BACK: &str = "are gone that the server had before, and with them whatever of them was not finished: it went back, as a failover to a replica \
                         that was behind does";

/// One subscription and the lanes it has.
pub(super) struct Subscription {
    shared: Arc<Shared>,
    subscribe: Subscribe,
    own: own::Subscription,
    group: String,
    consumer: String,
    lease: Duration,
    /// Lanes of ours that somebody still holds.
    mine: HashMap<String, Weak<Presence>>,
    /// Topics that were there when we came: for the others the beginning is the start, whatever was asked.
    old: HashSet<String>,
    /// Topics that this subscription had a lane of.
    joined: HashSet<String>,
    ready: VecDeque<Lane>,
}

impl Subscription {
    pub(super) fn new(shared: Arc<Shared>, subscribe: Subscribe) -> Result<Self> {
        let own: own::Subscription = subscribe.own.read()?;
        start_id(&subscribe.start).map_err(|what| BrokerError::give_up(format!("start: {what}")))?;
        let consumer = new_consumer();
        let group = subscribe.group.clone().unwrap_or_else(|| format!("{BROADCAST}{consumer}"));
        if group.starts_with("longshore-") && subscribe.group.is_some() {
            return Err(BrokerError::give_up(format!("group {group:?} begins with longshore-, as names do that the host gives itself")));
        }
        let lease = own.lease.map_or(shared.lease, longshore_core::Span::get);
        let (mine, old, joined, ready) = (HashMap::new(), HashSet::new(), HashSet::new(), VecDeque::new());
        Ok(Subscription { shared, subscribe, own, group, consumer, lease, mine, old, joined, ready })
    }

    /// Opens what is there, so that a start at the end is fixed before `subscribe` answers.
    pub(super) async fn open_first(&mut self) -> Result<()> {
        let there = self.wanted().await?;
        self.old = there.iter().cloned().collect();
        self.open_all(there).await
    }

    pub(super) async fn next(&mut self) -> Result<Lane> {
        loop {
            if let Some(lane) = self.ready.pop_front() {
                return Ok(lane);
            }
            let began = Instant::now();
            let wanted = self.wanted().await?;
            let pause = ASK.max(began.elapsed() * SHARE);
            self.open_all(wanted).await?;
            if self.ready.is_empty() {
                sleep(pause).await;
            }
        }
    }

    async fn wanted(&mut self) -> Result<Vec<String>> {
        scan::wanted(&self.shared.server, Kind::Stream, &self.subscribe.topics).await
    }

    async fn open_all(&mut self, topics: Vec<String>) -> Result<()> {
        self.leave_for_orphans().await?;
        for topic in topics {
            let is_held = self.mine.get(&topic).is_some_and(|presence| presence.strong_count() > 0);
            if !is_held && let Some(lane) = self.open(&topic).await? {
                self.ready.push_back(lane);
            }
        }
        Ok(())
    }

    /// Leaves for lanes that ended without leaving. What they had would else wait until their leases are over.
    async fn leave_for_orphans(&mut self) -> Result<()> {
        let mut trouble = None;
        for orphan in self.shared.orphans.take() {
            match release(&self.shared.server, &orphan).await {
                Ok(()) => {}
                Err(error) if error.fix == Fix::GiveUp => {
                    tracing::warn!(topic = %orphan.topic, group = %orphan.group, "a lane was not left: {error}")
                }
                Err(error) => {
                    self.shared.orphans.add(orphan);
                    trouble = Some(error);
                }
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Opens the lane of a topic, unless somebody else sits there.
    async fn open(&mut self, topic: &str) -> Result<Option<Lane>> {
        let exclusive = self.subscribe.order != Order::None && self.subscribe.group.is_some();
        let keys = Arc::new(LaneKeys::new(topic, &self.group, &self.consumer, exclusive, self.lease));
        let server = &self.shared.server;
        let mut script = keys.invoke(&scripts::JOIN);
        script.key(&keys.era);
        keys.who(&mut script);
        let forgotten = keys.lease_millis().saturating_mul(u64::from(FORGOTTEN));
        let (last, added) = self.shared.seen.of(topic);
        script.arg(self.start(topic)?).arg(BROADCAST).arg(forgotten).arg(last).arg(added);
        let answer: Value = server.call(topic, &script).await.map_err(|e| self.refused(topic, &e))?;
        let [seated, new, era, waiting, gone] = list(&answer) else {
            return Err(foreign_answer());
        };
        if int(new) == Some(1) {
            tracing::info!(broker = %server.name, topic, group = %self.group, "the group is made");
        }
        if int(seated) != Some(1) {
            return Ok(None);
        }
        self.joined.insert(topic.to_owned());
        let losses = Losses::default();
        losses.add(&keys, int(gone).unwrap_or(0), GONE_BACK);
        self.shared.seen.forget(topic);
        self.lane(keys, losses, text(era).unwrap_or_default().to_owned(), waits(waiting)).await.map(Some)
    }

    /// Where the group begins, should it be missing. One that was there and is gone, or whose topic came later, has missed something.
    fn start(&self, topic: &str) -> Result<String> {
        let start = match (&self.subscribe.group, self.old.contains(topic)) {
            _ if self.joined.contains(topic) || self.shared.was_joined(topic, &self.group) => &Start::Earliest,
            (_, false) => &Start::Earliest,
            (Some(_), true) => &self.subscribe.start,
            (None, true) => &Start::Latest,
        };
        start_id(start).map_err(|what| BrokerError::give_up(format!("start: {what}")))
    }

    async fn lane(&mut self, keys: Arc<LaneKeys>, losses: Losses, era: String, waiting: Vec<Waiting>) -> Result<Lane> {
        let (shared, began) = (&self.shared, Instant::now());
        let has_transactions = shared.server.has_transactions().await?;
        shared.note_joined(&keys.topic, &keys.group);
        let presence = Arc::new(Presence { keys: keys.clone(), left: AtomicBool::new(false), losses, orphans: shared.orphans.clone() });
        let (reader, abort) = Reader::open(&shared.server, keys.clone()).await?;
        self.mine.insert(keys.topic.clone(), Arc::downgrade(&presence));
        let alarm = shared.alarms.listen(&keys.topic);
        let source = StreamSource::new(shared.server.clone(), presence.clone(), shared.seen.clone(), reader, alarm);
        let (server, alarms) = (shared.server.clone(), shared.alarms.clone());
        let new_inbox = |times| Arc::new(StreamInbox { server: server.clone(), keys: keys.clone(), times });
        let inbox = self.subscribe.dedup.map(new_inbox);
        Ok(Lane {
            id: keys.topic.clone(),
            partition: None,
            source: Box::new(source.configured(self.subscribe.fetch.max_wait, self.own.lost_group)),
            acks: Box::new(StreamAcks {
                server,
                alarms,
                presence,
                reader: abort,
                inbox: inbox.clone(),
                has_transactions,
                sure_at: Some(began),
                in_doubt: false,
            }),
            revoked: Box::pin(hold(shared.server.clone(), keys, era)),
            finished: Ranges::default(),
            waiting,
            inbox: inbox.map(|inbox| inbox as Arc<dyn Inbox>),
            lease: Some(self.lease),
        })
    }

    fn refused(&self, topic: &str, error: &redis::RedisError) -> BrokerError {
        if error.to_string().contains("NOSTART") {
            return BrokerError::give_up(format!(
                "group {:?} has no position on topic {topic:?}, and start = \"none\" makes none; use earliest or latest once",
                self.group
            ));
        }
        self.shared.server.error(error)
    }
}

/// Retries that wait, as the server lists them.
fn waits(value: &Value) -> Vec<Waiting> {
    let waiting = |item: &Value| {
        let [place, key] = list(item) else { return None };
        Some(Waiting { position: EntryId::parse(text(place)?)?.place(), key: bytes(key).map(<[u8]>::to_vec) })
    };
    list(value).iter().filter_map(waiting).collect()
}

/// Says that a lane is there, and ends when it is not one any more: another host has its seat, or its topic was emptied.
async fn hold(server: Arc<Server>, keys: Arc<LaneKeys>, era: String) {
    loop {
        sleep((keys.lease / 3).min(Duration::from_secs(1))).await;
        let mut script = scripts::HOLD.prepare_invoke();
        script.key(&keys.topic).key(&keys.seat).key(&keys.era);
        keys.who(&mut script);
        // Trouble is for the reading half to tell.
        if let Ok(0) = server.call::<u8>(&keys.topic, script.arg(&era)).await {
            return;
        }
    }
}
