//! The consuming role: the queues of a subscription, and a lane for each.

use std::sync::{Arc, Mutex};

use futures::future::try_join_all;
use futures::{Stream, StreamExt, stream};
use lapin::Channel;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Intent, Lane, Lanes, Order, Pattern, Ranges, Start, Subscribe, Waiting};
use tokio::sync::watch;

use super::check;
use super::config::Subscription;
use super::held::Held;
use super::lane::{self, Epoch, Incoming};
use super::link::Open;
use super::names::{self, Tier};
use super::server::{Home, Server, random};
use super::settling::Settling;
use super::topology::{Binding, Queue, Waits, binding, look, short};
use super::trouble;
use super::waiting::waiting;
use crate::declare::Declare;

/// The consumer of one broker.
pub(super) struct Consuming(pub(super) Arc<Server>);

/// What a lane is opened with, each time that its queue was emptied.
struct Opening {
    server: Arc<Server>,
    home: Arc<Home>,
    order: Order,
    prefetch: u16,
    /// The queue was emptied, from the view of the lane to come.
    purged: watch::Receiver<u64>,
}

impl Consumer for Consuming {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let own: Subscription = subscribe.own.read()?;
            let open = match subscribe.group {
                Some(_) => self.0.consuming.get().await?,
                // What belongs to this subscriber alone goes with its connection, however that ends.
                None => self.0.address.open("broadcast").await?,
            };
            let mut streams = Vec::with_capacity(subscribe.topics.len());
            for topic in &subscribe.topics {
                let home = Arc::new(self.home(topic, &subscribe, &own, Arc::clone(&open)).await?);
                self.0.add_home(&home);
                let prefetch = u16::try_from(subscribe.max_in_flight.div_ceil(subscribe.topics.len())).unwrap_or(u16::MAX);
                let (server, purged) = (Arc::clone(&self.0), home.purged.subscribe());
                let opening = Opening { server, home, order: subscribe.order, prefetch, purged };
                // Consuming has begun when this answers: what is published from now on comes.
                let begun = opening.begin().await?;
                streams.push(opening.lanes(begun).boxed());
            }
            Ok(stream::select_all(streams).boxed())
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::subscription(&self.0, intent))
    }
}

impl Consuming {
    /// The queue of a topic and group, declared and bound.
    async fn home(&self, topic: &Pattern, subscribe: &Subscribe, own: &Subscription, open: Arc<Open>) -> Result<Home, BrokerError> {
        let name = topic.as_str();
        let (queue, binding) = plan(&self.0, topic, subscribe, own)?;
        if binding.is_none() {
            self.0.saw(name);
        }
        if subscribe.start == Start::None && look(&open, &queue.name).await?.is_none() {
            return Err(BrokerError::give_up(format!("queue {:?} is not there, and `start = \"none\"` makes none", queue.name)));
        }
        // It may have been deleted since it was declared.
        open.is_gone(&queue.name);
        queue.declare(&open, self.0.declare).await?;
        // All at once, as a queue that was just made is to be waited for: no retry waits for it later, nor one tier after another.
        let (waits, tiers) = (Waits::before(&queue), Tier::of_all(&subscribe.delays).into_iter());
        try_join_all(tiers.map(|tier| waits.declare(&open, self.0.declare, tier))).await?;
        // Before others' messages are routed into it.
        open.until_kept([queue.name.as_str()]).await;
        if let Some(binding) = &binding {
            self.bind(&open, &queue, binding).await?;
        }
        Ok(Home { topic: name.to_owned(), group: subscribe.group.clone(), queue, open, purged: watch::Sender::new(0) })
    }

    async fn bind(&self, open: &Open, queue: &Queue, binding: &Binding) -> Result<(), BrokerError> {
        binding.exchange.declare(open, self.0.declare).await?;
        if self.0.declare == Declare::Create || queue.exclusive {
            queue.bind(open, binding).await?;
        }
        Ok(())
    }
}

/// The queue of a topic and group, and what it is bound to.
pub(super) fn plan(
    server: &Server,
    topic: &Pattern,
    subscribe: &Subscribe,
    own: &Subscription,
) -> Result<(Queue, Option<Binding>), BrokerError> {
    let name = topic.as_str();
    names::check("topic", name).map_err(BrokerError::give_up)?;
    let mut settings = server.topic(name);
    settings.single_active_consumer |= own.single_active_consumer;
    let binding = binding(name, own, &settings);
    check_start(&subscribe.start, binding.is_some())?;
    let queue = match (&subscribe.group, &binding) {
        (Some(group), Some(_)) => {
            names::check("group", group).map_err(BrokerError::give_up)?;
            Queue::shared(names::group_queue(name, group), &settings)
        }
        (Some(group), None) => {
            check_plain(server, topic, group)?;
            Queue::shared(name.to_owned(), &settings)
        }
        (None, Some(_)) => Queue { name: format!("{name}.broadcast.{:016x}", random()), exclusive: true, settings },
        (None, None) => {
            return Err(BrokerError::give_up(format!("topic {name:?} is a queue, which cannot be broadcast: {TAKE_AN_EXCHANGE}")));
        }
    };
    Ok((queue, binding))
}

/// A queue gives each message to one consumer, so a second group would take from the first.
fn check_plain(server: &Server, topic: &Pattern, group: &str) -> Result<(), BrokerError> {
    if topic.is_wild() {
        return Err(BrokerError::give_up(format!("{topic} is a pattern, and a queue has none: {TAKE_AN_EXCHANGE}")));
    }
    match server.homes(topic.as_str()).iter().filter_map(|home| home.group.as_deref()).find(|other| *other != group) {
        Some(other) => Err(BrokerError::give_up(format!(
            "queue {topic} is read by group {other:?} already, and group {group:?} would take its messages: {TAKE_AN_EXCHANGE}"
        ))),
        None => Ok(()),
    }
}

/// What helps where a queue is not enough.
const TAKE_AN_EXCHANGE: &str = "name an `exchange` in the subscription or under [topics.<topic>]";

fn check_start(start: &Start, has_exchange: bool) -> Result<(), BrokerError> {
    match start {
        Start::Earliest | Start::None => Ok(()),
        Start::Latest if has_exchange => Ok(()),
        Start::Latest => Err(BrokerError::give_up(
            "a queue begins with its oldest message: write `start = \"earliest\"`, or bind a queue of the group's own to an `exchange`",
        )),
        Start::Time(_) | Start::Position(_) => {
            Err(BrokerError::give_up("RabbitMQ keeps no messages to begin with again: write `start = \"earliest\"`"))
        }
    }
}

/// A consumer that RabbitMQ knows.
struct Begun {
    channel: Channel,
    consumer: lapin::Consumer,
    /// Retries that waited before it; unknown where another consumer may be the active one.
    waiting: Option<Vec<Waiting>>,
    purged: watch::Receiver<u64>,
}

impl Opening {
    /// A lane, and another each time that the queue was emptied, as what the one before waited for is gone.
    fn lanes(self, begun: Begun) -> impl Stream<Item = Result<Lane, BrokerError>> + Send {
        stream::unfold((self, Some(begun)), async |(mut opening, begun)| {
            let begun = match begun {
                Some(begun) => Ok(begun),
                None => {
                    // The sender is in `home`, which is here.
                    opening.purged.changed().await.ok()?;
                    opening.begin().await
                }
            };
            let lane = match begun {
                Ok(begun) => opening.lane(begun).await,
                Err(error) => Err(error),
            };
            Some((lane, (opening, None)))
        })
    }

    async fn begin(&self) -> Result<Begun, BrokerError> {
        let (open, queue) = (&self.home.open, &self.home.queue);
        let told = |e: lapin::Error| trouble::told(&format!("consuming queue {:?}", queue.name), &e);
        let purged = self.home.purged.subscribe();
        let waiting = match self.order {
            Order::None => Some(Vec::new()),
            Order::Key | Order::Lane if queue.settings.single_active_consumer => None,
            Order::Key | Order::Lane => Some(waiting(open, queue).await?),
        };
        let channel = open.channel().await?;
        open.within(channel.basic_qos(self.prefetch.max(1), BasicQosOptions::default())).await.map_err(told)?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(short(&queue.name)?, "".into(), options, arguments);
        let consumer = open.within(consuming).await.map_err(told)?;
        Ok(Begun { channel, consumer, waiting, purged })
    }

    /// The lane of a consumer. One among several becomes the active one with its first delivery, which may be hours later: what waits is
    /// known only then, and its positions begin then.
    async fn lane(&self, mut begun: Begun) -> Result<Lane, BrokerError> {
        let (home, queue) = (&self.home, &self.home.queue);
        let (first, mut waiting) = match begun.waiting {
            Some(waiting) => (None, waiting),
            None => (Some(lane::next(&mut begun.consumer, &queue.name).await?), waiting(&home.open, queue).await?),
        };
        let epoch = Epoch { base: self.server.clock.now().saturating_mul(1000), lane: random() };
        // One that is higher would not be known again when it comes.
        waiting.retain(|waiting| waiting.position <= epoch.base);
        let held = Arc::new(Mutex::new(Held::default()));
        let topic = (!home.topic.contains('*')).then(|| home.topic.clone());
        let mut purged = begun.purged;
        Ok(Lane {
            id: queue.name.clone(),
            partition: None,
            source: Box::new(Incoming::new((begun.consumer, first), Arc::clone(&held), epoch, &queue.name, topic)),
            acks: Box::new(Settling::new(Arc::clone(&self.server), Arc::clone(home), begun.channel, held)),
            revoked: Box::pin(async move {
                if purged.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }),
            finished: Ranges::default(),
            waiting,
            inbox: None,
            lease: None,
        })
    }
}
