//! The publishing role: where a topic's messages go, and what the server says about each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use longshore_core::{Batch, BoxFuture, BrokerError, Finding, Fix, Outbox, PublishError, Publisher};

use super::config::Topic;
use super::link::Open;
use super::names::{self, Tier};
use super::post::{Fate, Letter, post};
use super::server::Server;
use super::topology::{self, Exchange, Queue, Waits};
use super::{check, envelope, request};

/// Longest wait of a delayed message.
const LONGEST_DELAY: u64 = 30 * 24 * 3600 * 1000;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Straight to a queue.
    Queue(Queue),
    /// To an exchange, with a routing key.
    Exchange(Exchange, String),
    /// To whoever asked.
    Reply(String),
}

/// The publisher of one broker.
pub(super) struct Publishing(pub(super) Arc<Server>);

impl Publisher for Publishing {
    fn prepare<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // Connecting is the publish's, and counts.
            let Some(open) = self.0.publishing.current() else { return };
            let (mut routes, mut last) = (Routes::new(&self.0, &open), None);
            for at in 0..outbox.len() {
                let way = (outbox.row(at).topic(), outbox.delay(at));
                if last == Some(way) || is_reply_address(way.0) {
                    continue;
                }
                if open.is_blocked() || routes.way(way.0, way.1).await.is_err() {
                    return;
                }
                last = Some(way);
            }
            open.until_kept(&routes.queues).await;
        })
    }

    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>> {
        Box::pin(async move {
            let mut answers = self.try_publish(outbox, &(0..outbox.len()).collect::<Vec<_>>()).await?;
            // A queue that was there when it was declared may have been deleted since.
            let again: Vec<usize> = (0..answers.len()).filter(|at| answers[*at].1).collect();
            if !again.is_empty() {
                for (at, answer) in again.iter().zip(self.try_publish(outbox, &again).await?) {
                    answers[*at] = answer;
                }
            }
            Ok(answers.into_iter().map(|(answer, _)| answer).collect())
        })
    }

    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(request::request(&self.0, outbox, timeout))
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        is_reply_address(topic)
    }

    fn check<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::topic(&self.0, topic))
    }
}

/// An answer, and whether it is worth another try because the queue is to be made anew.
type Answer = (Result<String, PublishError>, bool);

impl Publishing {
    /// Publishes those of the outbox that `which` names.
    async fn try_publish(&self, outbox: &Outbox, which: &[usize]) -> Result<Vec<Answer>, BrokerError> {
        let open = self.0.publishing.get().await?;
        self.0.refuse_if_blocked(&open)?;
        let (mut answers, mut letters, mut places) = (Vec::with_capacity(which.len()), Vec::with_capacity(which.len()), Vec::new());
        let mut routes = Routes::new(&self.0, &open);
        for at in which {
            match routes.letter(outbox, *at).await {
                Ok(letter) => {
                    places.push((answers.len(), *at));
                    answers.push((Ok(letter.id.clone()), false));
                    letters.push(letter);
                }
                Err(Refusal::Message(error)) => answers.push((Err(error), false)),
                Err(Refusal::Broker(error)) => return Err(error),
            }
        }
        if letters.is_empty() {
            return Ok(answers);
        }
        let fates = post(&open, letters, self.0.confirm_timeout).await?;
        open.until_kept(&routes.queues).await;
        if fates.contains(&Fate::Unknown) {
            self.0.refuse_if_blocked(&open)?;
            // Silence without an alarm: the next try is over a connection that is known to live.
            self.0.publishing.let_go(&open).await;
        }
        for ((answer, at), fate) in places.into_iter().zip(fates) {
            let topic = outbox.row(at).topic();
            match fate {
                Fate::Confirmed => {}
                Fate::Refused => {
                    let what = format!("topic {topic:?}: the server refused it; its queue is full, or is not ready after a restart");
                    answers[answer] = (Err(PublishError::Unavailable(what)), false);
                }
                Fate::Unknown => answers[answer] = (Err(PublishError::Timeout), false),
                Fate::Unroutable(words) => answers[answer] = self.unroutable(&open, outbox, at, &words),
            }
        }
        Ok(answers)
    }

    fn unroutable(&self, open: &Open, outbox: &Outbox, at: usize, words: &str) -> Answer {
        let topic = outbox.row(at).topic();
        let what = PublishError::Invalid(format!(
            "topic {topic:?}: no queue is bound for it ({words}): subscribe first, or check the routing key"
        ));
        match route(&self.0, topic) {
            Route::Queue(queue) => {
                let waits = Tier::of(Duration::from_millis(outbox.delay(at))).map(|tier| tier.queue(&queue.name));
                let there = open.has_declared(waits.as_deref().unwrap_or(&queue.name));
                open.is_gone(&queue.name);
                waits.iter().for_each(|name| open.is_gone(name));
                (Err(what), there)
            }
            _ => (Err(what), false),
        }
    }
}

/// Why a message does not leave.
pub(super) enum Refusal {
    Message(PublishError),
    Broker(BrokerError),
}

impl From<BrokerError> for Refusal {
    /// What only a human mends is that message's trouble; others may leave.
    fn from(error: BrokerError) -> Self {
        match error.fix {
            Fix::GiveUp | Fix::Repair => Refusal::Message(PublishError::Invalid(error.what)),
            Fix::Retry | Fix::Reconnect => Refusal::Broker(error),
        }
    }
}

impl From<Refusal> for PublishError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Message(error) => error,
            Refusal::Broker(error) => PublishError::Unavailable(error.what),
        }
    }
}

/// Routes of one batch: what is the same for its messages is made once.
pub(super) struct Routes<'a> {
    server: &'a Server,
    open: &'a Open,
    last: Option<(String, Route)>,
    /// Queues by whose way messages go.
    queues: Vec<String>,
    listening: HashSet<String>,
}

impl<'a> Routes<'a> {
    pub(super) fn new(server: &'a Server, open: &'a Open) -> Self {
        Routes { server, open, last: None, queues: Vec::new(), listening: HashSet::new() }
    }

    /// The message at `at` as it leaves. What it needs on the server is there then.
    pub(super) async fn letter<'o>(&mut self, outbox: &'o Outbox, at: usize) -> Result<Letter<'o>, Refusal> {
        let (row, delay) = (outbox.row(at), outbox.delay(at));
        let payload = row.payload().ok_or_else(|| unsupported("RabbitMQ has no tombstones: publish a payload, which may be empty"))?;
        let (route, waits) = self.way(row.topic(), delay).await?;
        let (exchange, key) = match (waits, &route) {
            (Some(waits), _) => (String::new(), waits),
            (None, Route::Queue(queue)) => (String::new(), queue.name.clone()),
            (None, Route::Exchange(exchange, key)) => (exchange.name.clone(), key.clone()),
            (None, Route::Reply(address)) => (String::new(), address.clone()),
        };
        let id = if row.id().is_empty() { self.server.next_id() } else { row.id().to_owned() };
        let routed_by = match &route {
            Route::Queue(queue) => &queue.name,
            Route::Exchange(_, key) => key,
            Route::Reply(address) => address,
        };
        // While it waits it is routed by another key.
        let routed_by = if delay > 0 { "" } else { routed_by };
        let properties = envelope::pack(&row.message(), &id, routed_by, self.server.clock.now()).map_err(Refusal::Message)?;
        // An address for an answer counts as not routed, whoever listens there.
        let mandatory = !matches!(route, Route::Reply(_));
        Ok(Letter { exchange: short(exchange)?, key: short(key)?, id, properties, payload, mandatory })
    }

    /// How a message goes, and the queue in which it waits before it does. Both are there then.
    async fn way(&mut self, topic: &str, delay: u64) -> Result<(Route, Option<String>), Refusal> {
        let route = self.route(topic).await?;
        let waits = if delay > 0 { Some(self.delayed(&route, topic, delay).await?) } else { None };
        Ok((route, waits))
    }

    async fn route(&mut self, topic: &str) -> Result<Route, Refusal> {
        if let Some((_, route)) = self.last.as_ref().filter(|(last, _)| last == topic) {
            return Ok(route.clone());
        }
        let route = route(self.server, topic);
        match &route {
            Route::Reply(address) => self.listens(address).await?,
            _ => names::check_topic(topic).map_err(|what| Refusal::Message(PublishError::Invalid(what)))?,
        }
        match &route {
            Route::Queue(queue) => {
                queue.ensure(self.open, self.server.declare).await?;
                self.queues.push(queue.name.clone());
                self.server.saw(topic);
            }
            Route::Exchange(exchange, _) => exchange.declare(self.open, self.server.declare).await?,
            Route::Reply(_) => {}
        }
        self.last = Some((topic.to_owned(), route.clone()));
        Ok(route)
    }

    /// A reply to somebody who left is not returned: whether somebody waits has to be asked.
    /// <https://www.rabbitmq.com/docs/direct-reply-to#usage>
    async fn listens(&mut self, address: &str) -> Result<(), Refusal> {
        if self.listening.contains(address) {
            return Ok(());
        }
        if topology::look(self.open, address).await?.is_none() {
            return Err(Refusal::Message(PublishError::Invalid(format!("nobody waits at {address} for an answer any more"))));
        }
        self.listening.insert(address.to_owned());
        Ok(())
    }

    /// The queue in which a message waits before it goes its way.
    async fn delayed(&mut self, route: &Route, topic: &str, delay: u64) -> Result<String, Refusal> {
        let tier = Tier::of(Duration::from_millis(delay)).filter(|_| delay <= LONGEST_DELAY);
        let tier = tier.ok_or_else(|| unsupported("RabbitMQ delays a message by 30 days at most"))?;
        let waits = match route {
            Route::Queue(queue) => Waits::before(queue),
            Route::Exchange(exchange, key) => {
                Waits { base: topic, exchange: &exchange.name, key, exclusive: false, durable: exchange.durable }
            }
            Route::Reply(_) => return Err(unsupported("an answer to a request cannot be delayed: who asked waits for it")),
        };
        let queue = waits.declare(self.open, self.server.declare, tier).await?;
        self.queues.push(queue.clone());
        Ok(queue)
    }
}

/// Whether RabbitMQ made that address for an answer.
pub(super) fn is_reply_address(topic: &str) -> bool {
    topic.strip_prefix(names::REPLY_TO).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
}

pub(super) fn route(server: &Server, topic: &str) -> Route {
    if is_reply_address(topic) {
        return Route::Reply(topic.to_owned());
    }
    let settings: Topic = server.topic(topic);
    match settings.exchange.as_ref().filter(|name| !name.is_empty()) {
        None => Route::Queue(Queue::shared(topic.to_owned(), &settings)),
        Some(name) => {
            let exchange = Exchange { name: name.clone(), kind: settings.exchange_type, durable: settings.durable };
            Route::Exchange(exchange, settings.routing_key.clone().unwrap_or_else(|| topic.to_owned()))
        }
    }
}

fn unsupported(what: &str) -> Refusal {
    Refusal::Message(PublishError::Unsupported(what.into()))
}

fn short(name: String) -> Result<ShortString, Refusal> {
    ShortString::try_new(name).map_err(|e| Refusal::Message(PublishError::Invalid(format!("a name that AMQP does not allow: {e}"))))
}
