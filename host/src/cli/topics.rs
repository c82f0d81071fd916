//! `topics`: list, describe, create, delete, purge.

use std::time::Duration;

use clap::{Args, Subcommand};
use longshore_admin::model::{NewTopic, Topic};
use longshore_core::Size;

use super::App;
use super::confirm::Confirm;
use super::failure::Failure;
use super::output::{Column, Output, json, line, number};
use super::session::{Need, Session};
use super::times::{millis, span};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all topics
    List(On),
    /// Show one topic
    Describe(Named),
    /// Make a topic, or change how it is kept
    Create(Create),
    /// Remove a topic with its messages and the positions of its groups
    Delete(Remove),
    /// Remove a topic's messages
    Purge(Remove),
}

#[derive(Debug, Args)]
pub(super) struct On {
    /// The broker
    #[arg(long)]
    broker: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The topic
    topic: String,
    #[command(flatten)]
    on: On,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The topic
    topic: String,
    /// Age after which messages go
    #[arg(long, value_parser = span, value_name = "SPAN")]
    retention: Option<Duration>,
    /// Bytes above which the oldest messages go
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
    /// Remove messages once every group has finished them
    #[arg(long)]
    until_finished: bool,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The topic
    topic: String,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
    #[command(flatten)]
    confirm: Confirm,
}

const COLUMNS: [Column<Topic>; 5] = [
    ("topic", |t| t.name.clone()),
    ("messages#", |t| t.messages.to_string()),
    ("bytes#", |t| number(t.bytes)),
    ("delayed#", |t| t.delayed.to_string()),
    ("groups#", |t| t.groups.to_string()),
];

const DETAILS: [Column<Topic>; 8] = [
    ("topic", |t| t.name.clone()),
    ("broker", |t| t.broker.clone()),
    ("messages", |t| t.messages.to_string()),
    ("bytes", |t| number(t.bytes)),
    ("delayed", |t| t.delayed.to_string()),
    ("first", |t| number(t.first)),
    ("last", |t| number(t.last)),
    ("groups", |t| t.groups.to_string()),
];

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(On { broker, output }) => {
            let broker = broker.as_deref();
            let topics = Session::with(app, Need::One(broker), async |s| Ok(s.control.topics(broker).await?)).await?;
            output.list(&topics, &COLUMNS)
        }
        Command::Describe(Named { topic, on }) => {
            let broker = on.broker.as_deref();
            let topic = Session::with(app, Need::One(broker), async |s| Ok(s.control.topic(broker, &topic).await?)).await?;
            match on.output.is_json() {
                true => json(&topic),
                false => on.output.one(&topic, &DETAILS),
            }
        }
        Command::Create(create) => create_topic(app, create).await,
        Command::Delete(Remove { topic, broker, confirm }) => {
            let broker = broker.as_deref();
            confirm.ask(&format!("Remove topic {topic:?} with all its messages and positions?"))?;
            Session::with(app, Need::One(broker), async |s| Ok(s.control.delete_topic(broker, &topic).await?)).await?;
            line(&format!("removed {topic}"))
        }
        Command::Purge(Remove { topic, broker, confirm }) => {
            let broker = broker.as_deref();
            confirm.ask(&format!("Remove all messages of topic {topic:?}?"))?;
            let gone = Session::with(app, Need::One(broker), async |s| Ok(s.control.purge_topic(broker, &topic).await?)).await?;
            line(&format!("removed {} messages", gone.count))
        }
    }
}

async fn create_topic(app: &App<'_>, create: Create) -> Result<(), Failure> {
    let Create { topic: name, retention, max_size, until_finished, broker } = create;
    let new = NewTopic {
        broker: broker.clone(),
        name: name.clone(),
        retention_ms: retention.map(millis),
        max_size: max_size.map(Size::bytes),
        until_finished,
    };
    let said = retention.is_some() || max_size.is_some() || until_finished;
    let (made, configured) = Session::with(app, Need::One(broker.as_deref()), async |s| {
        let on = broker.as_deref().unwrap_or("default");
        let configured = s.config.topics.iter().any(|topic| topic.broker == on && topic.name == name);
        Ok((s.control.create_topic(new).await?, configured))
    })
    .await?;
    line(&match made.created {
        true => format!("made {name}"),
        false if said => format!("{name} was there; it is kept as said from now on"),
        false if configured => format!("{name} was there; it is kept as the configuration says from now on"),
        false => format!("{name} was there"),
    })
}
