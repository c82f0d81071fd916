//! Queues, exchanges and bindings: what a topic and a group are on this server, and how they are declared.
//!
//! A declaration that does not fit closes its channel, so each has a channel of its own.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};
use longshore_core::BrokerError;

use super::config::{ExchangeType, Match, QueueType, Subscription, Topic};
use super::link::Open;
use super::names::{self, Tier};
use super::trouble;
use crate::declare::Declare;

/// Redeliveries after which a quorum queue drops a message: never. The host counts, and dead-letters with its reason.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) kind: ExchangeType,
    pub(super) durable: bool,
}

/// A queue that is consumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    /// Only for the connection that makes it, and gone with it.
    pub(super) exclusive: bool,
    pub(super) settings: Topic,
}

/// How a queue is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) exchange: Exchange,
    pub(super) key: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) headers_match: Match,
}

/// Where messages wait for their time, and go then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits<'a> {
    /// What the waiting queues are named after.
    pub(super) base: &'a str,
    pub(super) exchange: &'a str,
    pub(super) key: &'a str,
    pub(super) exclusive: bool,
    pub(super) durable: bool,
}

impl Exchange {
    /// Makes it, or looks whether it is there.
    pub(super) async fn declare(&self, open: &Open, mode: Declare) -> Result<(), BrokerError> {
        let known = format!("exchange {}", self.name);
        if mode == Declare::None || open.has_declared(&known) {
            return Ok(());
        }
        let kind = match self.kind {
            ExchangeType::Direct => ExchangeKind::Direct,
            ExchangeType::Topic => ExchangeKind::Topic,
            ExchangeType::Fanout => ExchangeKind::Fanout,
            ExchangeType::Headers => ExchangeKind::Headers,
        };
        let options = ExchangeDeclareOptions { passive: mode == Declare::Passive, durable: self.durable, ..Default::default() };
        let channel = open.channel().await?;
        let declared = open.within(channel.exchange_declare(short(&self.name)?, kind, options, FieldTable::default())).await;
        declared.map_err(|e| trouble::told(&format!("exchange {:?}", self.name), &e))?;
        open.was_declared(&known);
        close(open, channel).await;
        Ok(())
    }
}

impl Queue {
    /// A queue by its name, as its topic's settings say.
    pub(super) fn shared(name: String, settings: &Topic) -> Self {
        Queue { name, exclusive: false, settings: settings.clone() }
    }

    /// Makes it, or looks whether it is there. What is promised of one that was made holds only [later](Open::until_kept).
    pub(super) async fn declare(&self, open: &Open, mode: Declare) -> Result<(), BrokerError> {
        let mode = if self.exclusive { Declare::Create } else { mode };
        if mode == Declare::None || open.has_declared(&self.name) {
            return Ok(());
        }
        let options = QueueDeclareOptions {
            passive: mode == Declare::Passive,
            durable: self.settings.durable && !self.exclusive,
            exclusive: self.exclusive,
            ..Default::default()
        };
        make(open, &self.name, options, self.arguments()).await
    }

    /// The same for who only publishes to it: how a queue is kept that is there already is its readers' to say.
    pub(super) async fn ensure(&self, open: &Open, mode: Declare) -> Result<(), BrokerError> {
        if mode == Declare::Create && !open.has_declared(&self.name) && look(open, &self.name).await?.is_some() {
            open.was_declared(&self.name);
        }
        self.declare(open, mode).await
    }

    pub(super) async fn bind(&self, open: &Open, binding: &Binding) -> Result<(), BrokerError> {
        let mut arguments = FieldTable::default();
        for (name, value) in &binding.headers {
            arguments.insert(short(name)?, AMQPValue::LongString(value.as_str().into()));
        }
        if binding.exchange.kind == ExchangeType::Headers {
            let which = if binding.headers_match == Match::All { "all" } else { "any" };
            arguments.insert("x-match".into(), AMQPValue::LongString(which.into()));
        }
        let channel = open.channel().await?;
        let (queue, exchange, key) = (short(&self.name)?, short(&binding.exchange.name)?, short(&binding.key)?);
        let bound = open.within(channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), arguments)).await;
        bound.map_err(|e| trouble::told(&format!("binding queue {:?} to exchange {:?}", self.name, binding.exchange.name), &e))?;
        close(open, channel).await;
        Ok(())
    }

    fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let settings = &self.settings;
        if settings.queue_type == QueueType::Quorum && !self.exclusive {
            table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        }
        if let Some(priority) = settings.max_priority {
            table.insert("x-max-priority".into(), AMQPValue::LongLongInt(i64::from(priority)));
        }
        if let Some(ttl) = settings.message_ttl {
            table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(i64::try_from(ttl.get().as_millis()).unwrap_or(i64::MAX)));
        }
        if let Some(length) = settings.max_length {
            table.insert("x-max-length".into(), AMQPValue::LongLongInt(i64::from(length)));
            // The other way to keep the bound is to drop the oldest message.
            table.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        }
        if settings.single_active_consumer && !self.exclusive {
            table.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        }
        table
    }
}

impl Waits<'_> {
    /// The wait before `queue`.
    pub(super) fn before(queue: &Queue) -> Waits<'_> {
        let (exclusive, durable) = (queue.exclusive, queue.settings.durable);
        Waits { base: &queue.name, exchange: "", key: &queue.name, exclusive, durable }
    }

    /// Makes the queue in which messages wait for `tier`, and answers its name; see [`Open::until_kept`]. A message outlives a crash of the server at any moment: a
    /// quorum queue lets go of it only when the next queue has confirmed it, a classic one does not wait for that.
    /// <https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>
    pub(super) async fn declare(&self, open: &Open, mode: Declare, tier: Tier) -> Result<String, BrokerError> {
        let name = tier.queue(self.base);
        if (mode != Declare::Create && !self.exclusive) || open.has_declared(&name) {
            return Ok(name);
        }
        let mut table = FieldTable::default();
        table.insert("x-message-ttl".into(), AMQPValue::LongLongInt(i64::try_from(tier.millis()).unwrap_or(i64::MAX)));
        table.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(self.exchange.into()));
        table.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(self.key.into()));
        let durable = self.durable && !self.exclusive;
        if durable {
            table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            table.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
            table.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
            table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
        }
        let options = QueueDeclareOptions { durable, exclusive: self.exclusive, ..Default::default() };
        make(open, &name, options, table).await?;
        Ok(name)
    }
}

/// Declares a queue, and remembers whether a crash could take it.
async fn make(open: &Open, name: &str, options: QueueDeclareOptions, arguments: FieldTable) -> Result<(), BrokerError> {
    let is_new = options.durable && !options.passive && look(open, name).await?.is_none();
    let channel = open.channel().await?;
    let declared = open.within(channel.queue_declare(short(name)?, options, arguments)).await;
    declared.map_err(|e| trouble::told(&format!("queue {name:?}"), &e))?;
    if is_new {
        open.was_made(name);
    } else {
        open.was_declared(name);
    }
    close(open, channel).await;
    Ok(())
}

/// What the topic `pattern` of a subscription is bound to; `None`: it is a queue. Its own keys go before those of the topic.
pub(super) fn binding(pattern: &str, own: &Subscription, topic: &Topic) -> Option<Binding> {
    let name = own.exchange.as_ref().or(topic.exchange.as_ref()).filter(|name| !name.is_empty())?;
    let kind = own.exchange_type.unwrap_or(topic.exchange_type);
    Some(Binding {
        exchange: Exchange { name: name.clone(), kind, durable: topic.durable },
        key: own.routing_key.clone().or_else(|| topic.routing_key.clone()).unwrap_or_else(|| names::binding_key(pattern)),
        headers: own.headers.clone().into_iter().collect(),
        headers_match: own.headers_match,
    })
}

/// How many messages and consumers a queue has; `None` where there is none of that name.
pub(super) async fn look(open: &Open, name: &str) -> Result<Option<(u64, u64)>, BrokerError> {
    let channel = open.channel().await?;
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    match open.within(channel.queue_declare(short(name)?, options, FieldTable::default())).await {
        Ok(queue) => {
            close(open, channel).await;
            Ok(Some((u64::from(queue.message_count()), u64::from(queue.consumer_count()))))
        }
        Err(error) if trouble::is_not_found(&error) => Ok(None),
        Err(error) => Err(trouble::told(&format!("queue {name:?}"), &error)),
    }
}

pub(super) async fn close(open: &Open, channel: Channel) {
    // Nothing is lost with it: what was asked over it has been answered.
    let _ = open.within(channel.close(200, "done".into())).await;
}

pub(super) fn short(name: &str) -> Result<lapin::types::ShortString, BrokerError> {
    lapin::types::ShortString::try_new(name)
        .map_err(|_| BrokerError::give_up(format!("{name:.40}… is longer than the 255 bytes that AMQP allows for names")))
}
