//! Looking whether queues and exchanges are there and fit, and what the user may do. Nothing is changed: a right is asked for by a request that
//! the server refuses for a missing right first, and else for what is wrong with it.

use std::collections::BTreeSet;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, ExchangeKind};
use longshore_core::{BrokerError, Finding, Fix, Intent, Start};

use super::config::Subscription;
use super::consumer::plan;
use super::link::Open;
use super::names::Tier;
use super::publisher::{Route, route};
use super::server::{Server, random};
use super::topology::{Binding, Exchange, Queue, look, short};
use super::trouble::{self, code};
use crate::declare::Declare;

type Result<T> = std::result::Result<T, BrokerError>;

/// What permissions call the exchange that routes by the names of queues.
const DEFAULT_EXCHANGE: &str = "amq.default";

/// One look at a server, over one connection.
struct Looking<'a> {
    open: &'a Open,
    declare: Declare,
    findings: Vec<Finding>,
    /// What the user may not do, each as words after "to".
    denied: BTreeSet<String>,
}

/// What is in the way of a subscription.
pub(super) async fn subscription(server: &Server, intent: &Intent) -> Result<Vec<Finding>> {
    let own: Subscription = intent.subscribe.own.read()?;
    let open = server.consuming.get().await?;
    let mut looking = Looking::new(&open, server.declare);
    for topic in &intent.subscribe.topics {
        match plan(server, topic, &intent.subscribe, &own) {
            Ok((queue, binding)) => looking.queue(&queue, binding.as_ref(), intent).await?,
            Err(error) => looking.findings.push(Finding::mistake("", error.what, "")),
        }
    }
    Ok(looking.end())
}

/// What is in the way of publishing.
pub(super) async fn topic(server: &Server, topic: &str) -> Result<Vec<Finding>> {
    let open = server.publishing.get().await?;
    let mut looking = Looking::new(&open, server.declare);
    match route(server, topic) {
        Route::Queue(queue) => {
            looking.there(&queue, false).await?;
            looking.write("", &queue.name).await?;
        }
        Route::Exchange(exchange, key) => {
            if looking.exchange(&exchange).await? {
                looking.write(&exchange.name, &key).await?;
            }
        }
        Route::Reply(_) => {}
    }
    Ok(looking.end())
}

impl<'a> Looking<'a> {
    fn new(open: &'a Open, declare: Declare) -> Self {
        Looking { open, declare, findings: Vec::new(), denied: BTreeSet::new() }
    }

    fn end(mut self) -> Vec<Finding> {
        if !self.denied.is_empty() {
            let list: Vec<&str> = self.denied.iter().map(String::as_str).collect();
            let help = "rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ; the page of RabbitMQ says what is needed";
            self.findings.push(Finding::mistake("", format!("the user of RabbitMQ has no right to {}", list.join(", ")), help));
        }
        self.findings
    }

    /// A queue that is consumed, what it is bound to, and where its retries wait.
    async fn queue(&mut self, queue: &Queue, binding: Option<&Binding>, intent: &Intent) -> Result<()> {
        let is_there = queue.exclusive || self.there(queue, intent.subscribe.start == Start::None).await?;
        if is_there && !queue.exclusive {
            self.read(&queue.name).await?;
        }
        if let Some(binding) = binding
            && self.exchange(&binding.exchange).await?
            && (self.declare == Declare::Create || queue.exclusive)
        {
            self.bind(queue, &binding.exchange.name).await?;
        }
        self.waits(queue, &intent.subscribe.delays).await
    }

    /// Whether a queue is there, as it is to be. `must`: it is not made.
    async fn there(&mut self, queue: &Queue, must: bool) -> Result<bool> {
        let (name, is_there) = (&queue.name, look(self.open, &queue.name).await?.is_some());
        match self.declare {
            Declare::Create if !is_there && must => {
                let problem = format!("the queue {name:?} is not there on RabbitMQ, and start = \"none\" makes none");
                self.findings.push(Finding::mistake("start", problem, "begin with \"earliest\", which makes it"));
            }
            Declare::Create => {
                if self.configure(name).await? && is_there {
                    // It is declared as it is, which makes nothing, or refused with what is different.
                    self.refused(queue.declare(self.open, Declare::Create).await)?;
                }
            }
            Declare::Passive | Declare::None if !is_there => self.absent("topic", format!("queue {name:?}")),
            Declare::Passive | Declare::None => {}
        }
        Ok(is_there)
    }

    /// Whether an exchange is there, as it is to be.
    async fn exchange(&mut self, exchange: &Exchange) -> Result<bool> {
        let name = &exchange.name;
        let is_there = match exchange.declare(self.open, Declare::Passive).await {
            Ok(()) => true,
            Err(error) if error.fix == Fix::GiveUp => false,
            Err(error) => return Err(error),
        };
        self.open.is_gone(&format!("exchange {name}"));
        match self.declare {
            Declare::Create => {
                if self.configure_exchange(name).await? && is_there {
                    self.refused(exchange.declare(self.open, Declare::Create).await)?;
                }
            }
            Declare::Passive | Declare::None if !is_there => self.absent("exchange", format!("exchange {name:?}")),
            Declare::Passive | Declare::None => {}
        }
        Ok(is_there)
    }

    /// The queues in which retries wait.
    async fn waits(&mut self, queue: &Queue, delays: &[(Duration, Duration)]) -> Result<()> {
        if queue.exclusive || delays.is_empty() {
            return Ok(());
        }
        self.write("", &queue.name).await?;
        let mut missing = Vec::new();
        for name in Tier::of_all(delays).into_iter().map(|tier| tier.queue(&queue.name)) {
            match self.declare {
                Declare::Create => drop(self.configure(&name).await?),
                Declare::Passive | Declare::None if look(self.open, &name).await?.is_none() => missing.push(name),
                Declare::Passive | Declare::None => {}
            }
        }
        if !missing.is_empty() {
            let problem = format!("retries wait in queues that are not there on RabbitMQ: {}", missing.join(", "));
            let help = "make them as the page of RabbitMQ says, or write declare = \"create\" in the broker's table";
            self.findings.push(Finding::mistake("retry", problem, help));
        }
        Ok(())
    }

    /// Something that is not there and that nobody makes.
    fn absent(&mut self, key: &'static str, what: String) {
        let help = "make it, or write declare = \"create\" in the broker's table";
        self.findings.push(Finding::mistake(key, format!("there is no {what} on RabbitMQ"), help));
    }

    /// A declaration that does not fit.
    fn refused(&mut self, declared: Result<()>) -> Result<()> {
        match declared {
            Err(error) if error.fix == Fix::GiveUp => {
                self.findings.push(Finding::mistake("", error.what, ""));
                Ok(())
            }
            other => other,
        }
    }

    /// Whether the user may make or change a queue: one that lets messages go before they came is refused.
    async fn configure(&mut self, queue: &str) -> Result<bool> {
        let channel = self.open.channel().await?;
        let arguments = with("x-message-ttl", AMQPValue::LongLongInt(-1));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let answer = self.open.within(channel.queue_declare(short(queue)?, options, arguments)).await;
        self.may(format!("configure queue {queue:?}"), answer.map(drop))
    }

    /// The same for an exchange: one whose alternate is a number is refused.
    async fn configure_exchange(&mut self, exchange: &str) -> Result<bool> {
        let channel = self.open.channel().await?;
        let arguments = with("alternate-exchange", AMQPValue::LongLongInt(1));
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let answer = self.open.within(channel.exchange_declare(short(exchange)?, ExchangeKind::Direct, options, arguments)).await;
        self.may(format!("configure exchange {exchange:?}"), answer)
    }

    /// Whether the user may consume from a queue: a consumer whose priority is no number is refused.
    async fn read(&mut self, queue: &str) -> Result<bool> {
        let channel = self.open.channel().await?;
        let arguments = with("x-priority", AMQPValue::LongString("none".into()));
        let consuming = channel.basic_consume(short(queue)?, "".into(), BasicConsumeOptions::default(), arguments);
        let answer = self.open.within(consuming).await;
        self.may(format!("read queue {queue:?}"), answer.map(drop))
    }

    /// Whether the user may bind a queue: it is unbound from a key that it is not bound by.
    async fn bind(&mut self, queue: &Queue, exchange: &str) -> Result<bool> {
        let channel = self.open.channel().await?;
        let key = format!("longshore-{:016x}", random());
        let unbinding = channel.queue_unbind(short(&queue.name)?, short(exchange)?, short(&key)?, FieldTable::default());
        let answer = self.open.within(unbinding).await;
        self.may(format!("bind queue {:?} (write) to exchange {exchange:?} (read)", queue.name), answer)
    }

    /// Whether the user may publish to an exchange: a message whose life is no number is refused.
    async fn write(&mut self, exchange: &str, key: &str) -> Result<bool> {
        let channel = self.open.channel().await?;
        let named = if exchange.is_empty() { DEFAULT_EXCHANGE } else { exchange };
        let selecting = channel.confirm_select(Default::default());
        self.open.within(selecting).await.map_err(|e| trouble::told("asking for confirms", &e))?;
        let properties = BasicProperties::default().with_expiration("none".into());
        let (exchange, key) = (short(exchange)?, short(key)?);
        let publishing = async { channel.basic_publish(exchange, key, BasicPublishOptions::default(), b"", properties).await?.await };
        let answer = self.open.within(publishing).await;
        self.may(format!("write exchange {named:?}"), answer.map(drop))
    }

    /// What an answer says of a right. What is not there is told elsewhere.
    fn may(&mut self, to: String, answer: std::result::Result<(), lapin::Error>) -> Result<bool> {
        match answer.as_ref().map_err(code) {
            Ok(()) | Err(Some(code::PRECONDITION_FAILED | code::NOT_FOUND)) => Ok(true),
            Err(Some(code::ACCESS_REFUSED)) => {
                self.denied.insert(to);
                Ok(false)
            }
            Err(_) => answer.map(|()| true).map_err(|e| trouble::told(&format!("asking whether the user may {to}"), &e)),
        }
    }
}

/// One argument.
fn with(name: &str, value: AMQPValue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(name.into(), value);
    table
}
