//! Subscribing: a lane for each stream that keeps something of what is wanted, now and later.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_nats::Subscriber;
use futures::{StreamExt, stream};
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Intent, Lane, Lanes, Order, Ranges, Start, Subscribe};
use tokio::sync::watch;
use tokio::time::Instant;

use super::acks::LaneAcks;
use super::api::{self, Said};
use super::before::Before;
use super::consumers::{self, Wanted};
use super::keys::Subscription as Keys;
use super::members::Alive;
use super::pull::Pull;
use super::retries;
use super::source::{LaneSource, Origin, Pulls, Terms};
use super::streams::Broker;
use crate::declare::Declare;
use crate::nats::names::{check_object, filter};

/// Word of the server that a stream was made, changed or deleted.
const STREAMS_CHANGED: &str = "$JS.EVENT.ADVISORY.STREAM.*.*";
/// How often to look for streams all the same: an account may not be allowed to hear that.
const LOOK: Duration = Duration::from_secs(10);

/// The consuming role.
pub(super) struct Joining(pub(super) Arc<Broker>);

impl Consumer for Joining {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let mut subscription = Subscription::new(self.0.clone(), subscribe).await?;
            subscription.open_first().await?;
            Ok(Box::pin(stream::unfold(subscription, |mut subscription| async move {
                let lane = subscription.next().await;
                Some((lane, subscription))
            })) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(self.0.check_subscription(intent))
    }
}

/// One subscription and the lanes it has.
struct Subscription {
    broker: Arc<Broker>,
    wish: Subscribe,
    own: Keys,
    declare: Declare,
    changes: Subscriber,
    ended: watch::Receiver<u64>,
    /// By stream.
    mine: HashMap<String, Mine>,
    ready: VecDeque<Lane>,
    /// Streams that were not there when we came begin at their beginning, whatever was asked.
    late: bool,
}

/// What we have of a stream.
struct Mine {
    consumer: String,
    alive: Weak<Alive>,
}

impl Subscription {
    async fn new(broker: Arc<Broker>, wish: Subscribe) -> Result<Self, BrokerError> {
        let own: Keys = wish.own.read()?;
        if let Some(Err(what)) = wish.group.as_deref().map(check_object) {
            return Err(BrokerError::give_up(format!("group: {what}")));
        }
        broker.link.check()?;
        let declare = own.declare.unwrap_or(broker.declare);
        let trouble = |error| BrokerError::reconnect(format!("broker {:?}: {error}", broker.link.name));
        let changes = broker.link.client.subscribe(STREAMS_CHANGED).await.map_err(trouble)?;
        let ended = broker.members.ended.subscribe();
        let (mine, ready) = (HashMap::new(), VecDeque::new());
        Ok(Subscription { broker, wish, own, declare, changes, ended, mine, ready, late: false })
    }

    /// Opens what is there, so that a start at the end is fixed before `subscribe` answers.
    async fn open_first(&mut self) -> Result<(), BrokerError> {
        self.broker.ensure_retries(self.declare).await?;
        self.look().await?;
        self.late = true;
        Ok(())
    }

    async fn next(&mut self) -> Result<Lane, BrokerError> {
        loop {
            if let Some(lane) = self.ready.pop_front() {
                return Ok(lane);
            }
            let wild = self.wish.topics.iter().any(longshore_core::Pattern::is_wild);
            tokio::select! {
                _ = self.ended.changed() => {}
                _ = self.changes.next(), if wild => {}
                () = tokio::time::sleep(LOOK), if wild => {}
            }
            self.look().await?;
        }
    }

    /// Opens lanes on streams that have none of ours.
    async fn look(&mut self) -> Result<(), BrokerError> {
        for (stream, wanted) in self.streams().await? {
            if self.mine.get(&stream).is_none_or(|mine| mine.alive.strong_count() == 0) {
                let lane = self.open(&stream, &wanted).await?;
                self.ready.push_back(lane);
            }
        }
        Ok(())
    }

    /// The streams that keep something of what is wanted, and the filters for each.
    async fn streams(&mut self) -> Result<BTreeMap<String, Vec<String>>, BrokerError> {
        let mut streams: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for topic in &self.wish.topics {
            let about = |said: Said| said.about(format!("topic {topic}"));
            let wanted = filter(topic);
            let found = if topic.is_wild() && self.own.stream.is_none() {
                self.broker.streams_of(&wanted).await.map_err(about)?
            } else {
                vec![self.broker.stream_for(&wanted, self.own.stream.as_deref(), self.declare).await.map_err(about)?]
            };
            found.into_iter().for_each(|stream| streams.entry(stream).or_default().push(wanted.clone()));
        }
        Ok(streams)
    }

    async fn open(&mut self, stream: &str, wanted: &[String]) -> Result<Lane, BrokerError> {
        let broker = self.broker.clone();
        let gone = || BrokerError::reconnect(format!("stream {stream:?} is gone"));
        let info =
            api::stream(&broker.js, stream, None).await.map_err(|said| said.about(format!("stream {stream:?}")))?.ok_or_else(gone)?;
        let name = match (&self.wish.group, self.mine.get(stream)) {
            (Some(group), _) => group.clone(),
            (None, Some(mine)) => mine.consumer.clone(),
            (None, None) => format!("longshore-{}", unique(&broker)),
        };
        let start = match (&self.wish.group, self.late) {
            (_, true) => Start::Earliest,
            (None, false) => Start::Latest,
            (Some(_), false) => self.wish.start.clone(),
        };
        let (filters, made) = (consumers::filters(&info.subjects(), wanted), info.made());
        let durable = self.wish.group.is_some();
        let declare = if durable { self.declare } else { Declare::Create };
        let (lease, own) = (self.own.lease.get(), retries::consumer(stream, &name));
        let main = Wanted { stream, name: &name, durable, filters, start: &start, lease, declare };
        let lease = broker.ensure_consumer(&main).await?;
        let about = |said: Said| said.about(format!("consumer {name:?} of stream {stream:?}"));
        let ordered = self.wish.order != Order::None;
        let known = if ordered { api::consumer(&broker.js, stream, &name).await.map_err(about)? } else { None };
        let before = known.and_then(|known| Before::new(known.delivered.stream_seq, known.num_ack_pending, lease, Instant::now()));
        let copies = Wanted {
            stream: retries::STREAM,
            name: &own,
            durable,
            filters: vec![retries::filter(stream, &name)],
            start: &Start::Earliest,
            lease,
            declare,
        };
        broker.ensure_consumer(&copies).await?;
        let copied = broker.copied(stream, &made, &name).await.map_err(|said| said.about(format!("retries of group {name:?}")))?;
        let waiting = if self.wish.order == Order::None { Vec::new() } else { broker.waiting(stream, &made, &name).await? };
        let (alive, revoked) = broker.members.enter(stream, &name);
        self.mine.insert(stream.into(), Mine { consumer: name.clone(), alive: Arc::downgrade(&alive) });
        let fresh = Pull::new(broker.link.clone(), &broker.js.prefix, stream, &name).await?;
        let retried = Pull::new(broker.link.clone(), &broker.js.prefix, retries::STREAM, &own).await?;
        let terms = Terms { wait: self.wish.fetch.max_wait, lease, on_vanished: self.own.on_vanished, ordered };
        let origin = Arc::new(Origin { broker: broker.clone(), stream: stream.into(), made, group: name, _alive: alive });
        Ok(Lane {
            id: stream.into(),
            partition: None,
            source: Box::new(LaneSource::new(origin.clone(), Pulls { fresh, retried }, copied, before, terms)),
            acks: Box::new(LaneAcks::new(origin, unique(&broker), self.own.on_vanished)),
            revoked,
            finished: Ranges::default(),
            waiting,
            inbox: None,
            lease: Some(lease),
        })
    }
}

impl Drop for Subscription {
    /// A broadcast leaves nothing behind.
    fn drop(&mut self) {
        if self.wish.group.is_some() || self.mine.is_empty() {
            return;
        }
        let (broker, mine) = (self.broker.clone(), std::mem::take(&mut self.mine));
        self.broker.members.finish(async move {
            for (stream, Mine { consumer, .. }) in mine {
                // What cannot be removed now, the server removes once it sees that nobody uses it.
                let _ = api::delete_consumer(&broker.js, &stream, &consumer).await;
                let _ = api::delete_consumer(&broker.js, retries::STREAM, &retries::consumer(&stream, &consumer)).await;
                let _ = broker.forget_retries(&stream, &consumer).await;
            }
        });
    }
}

/// Text that nobody else has.
fn unique(broker: &Broker) -> String {
    broker.link.client.new_inbox().rsplit('.').next().unwrap_or_default().to_owned()
}
