//! Subscribing: a lane for each topic that is meant, now and later, as far as no other member of the group has it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use futures::stream;
use longshore_core::{BoxFuture, BrokerError, Consumer, Inbox, Lane, Lanes, Start, Subscribe};
use tokio::sync::watch;

use super::acks::LaneAcks;
use super::backend::Backend;
use super::dedup::LaneInbox;
use super::front::Local;
use super::lanes::{OpenLane, Opened};
use super::members::{Claim, Member, Place};
use super::read::{Beginning, Read};
use super::source::LaneSource;
use super::tables::{LaneId, TopicId};

type Result<T> = std::result::Result<T, BrokerError>;

/// The consuming role.
pub(super) struct Joining<B>(pub(super) Arc<Local<B>>);

impl<B: Backend> Consumer for Joining<B> {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes>> {
        let mut subscription = Subscription::new(self.0.clone(), subscribe);
        Box::pin(async move {
            subscription.open_first().await?;
            Ok(Box::pin(stream::unfold(subscription, |mut subscription| async move {
                let lane = subscription.next().await;
                Some((lane, subscription))
            })) as Lanes)
        })
    }
}

/// One subscription and the lanes it has.
struct Subscription<B> {
    front: Arc<Local<B>>,
    subscribe: Subscribe,
    group: Option<Arc<str>>,
    catalog: watch::Receiver<u64>,
    /// Lanes of ours that somebody still holds.
    mine: HashMap<TopicId, Weak<Claim>>,
    /// Where a broadcast goes on when it has lost a lane.
    places: HashMap<TopicId, Arc<Place>>,
    /// Topics that were there when we came: for the others the beginning is the start, whatever was asked.
    old: HashSet<TopicId>,
    ready: VecDeque<Lane>,
    _member: Option<Member>,
}

impl<B: Backend> Subscription<B> {
    fn new(front: Arc<Local<B>>, subscribe: Subscribe) -> Self {
        let group: Option<Arc<str>> = subscribe.group.as_deref().map(Into::into);
        let member = group.clone().map(|group| front.members.join(group, subscribe.topics.clone()));
        let catalog = front.signals.catalog.subscribe();
        let (mine, places, old, ready) = (HashMap::new(), HashMap::new(), HashSet::new(), VecDeque::new());
        Subscription { front, subscribe, group, catalog, mine, places, old, ready, _member: member }
    }

    /// Opens what is there, so that a start at the end is fixed before `subscribe` answers.
    async fn open_first(&mut self) -> Result<()> {
        for (_, topic) in self.matching().await? {
            self.old.insert(topic);
            if let Some(lane) = self.open(topic).await? {
                self.ready.push_back(lane);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Lane> {
        loop {
            if let Some(lane) = self.ready.pop_front() {
                return Ok(lane);
            }
            let closed = || BrokerError::reconnect("the broker was closed");
            self.catalog.changed().await.map_err(|_| closed())?;
            for (_, topic) in self.matching().await? {
                if let Some(lane) = self.open(topic).await? {
                    self.ready.push_back(lane);
                }
            }
        }
    }

    async fn matching(&mut self) -> Result<Vec<(Arc<str>, TopicId)>> {
        self.catalog.borrow_and_update();
        let patterns = self.subscribe.topics.clone();
        self.front.ask(move |broker, now| broker.matching(&patterns, now)).await
    }

    /// Opens the lane of a topic unless somebody has it.
    async fn open(&mut self, topic: TopicId) -> Result<Option<Lane>> {
        if self.mine.get(&topic).is_some_and(|claim| claim.strong_count() > 0) {
            return Ok(None);
        }
        let catalog = &self.front.signals.catalog;
        let mut claim = match &self.group {
            None => self.front.members.no_claim(catalog),
            Some(group) => match self.front.members.claim(group, topic, catalog) {
                Some(claim) => claim,
                None => return Ok(None),
            },
        };
        let open = self.wish(topic);
        let opened = self.front.ask(move |broker, now| broker.open_lane(&open, now)).await?;
        match &self.group {
            Some(_) => claim.lane = Some(opened.lane),
            None => claim.place = Some(self.place(topic, opened.lane)),
        }
        claim.read = opened.read.clone();
        let claim = Arc::new(claim);
        self.mine.insert(topic, Arc::downgrade(&claim));
        Ok(Some(self.lane(topic, opened, claim)))
    }

    fn place(&mut self, topic: TopicId, lane: LaneId) -> Arc<Place> {
        let place = self.places.get(&topic).filter(|place| place.lane == lane).cloned();
        let place = place.unwrap_or_else(|| self.front.members.place(lane));
        self.places.insert(topic, place.clone());
        place
    }

    fn wish(&self, topic: TopicId) -> OpenLane {
        let start = match (&self.group, self.old.contains(&topic)) {
            (_, false) => Start::Earliest,
            (Some(_), true) => self.subscribe.start.clone(),
            (None, true) => Start::Latest,
        };
        let window = self.subscribe.max_in_flight as u64;
        let before = self.places.get(&topic).map(|place| place.lane);
        OpenLane { topic, group: self.group.clone(), start, window, order: self.subscribe.order, before }
    }

    fn lane(&self, topic: TopicId, opened: Opened, claim: Arc<Claim>) -> Lane {
        let beginning = Arc::new(Beginning { finished: opened.finished.clone(), crashes: opened.crashes.clone() });
        let read = Read { from: opened.mark, beginning, ..Read::new(topic, opened.topic.clone()) };
        let mut revoked = opened.revoked.clone();
        let source = LaneSource::new(self.front.clone(), claim.clone(), &opened, read);
        let inbox = self.subscribe.dedup.map(|times| (Arc::new(LaneInbox::new(self.front.clone(), opened.lane)), times.window));
        let inbox_of_lane = inbox.as_ref().map(|(inbox, _)| inbox.clone() as Arc<dyn Inbox>);
        Lane {
            id: opened.topic.to_string(),
            partition: None,
            source: Box::new(source),
            acks: Box::new(LaneAcks { front: self.front.clone(), lane: opened.lane, inbox, _claim: claim }),
            revoked: Box::pin(async move { while revoked.changed().await.is_ok() {} }),
            finished: opened.finished,
            waiting: opened.waiting,
            inbox: inbox_of_lane,
            lease: None,
        }
    }
}
