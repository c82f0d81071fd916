//! `groups`: list, describe, seek.

use clap::{Args, Subcommand};
use longshore_admin::model::{Group, SeekGroup};

use super::App;
use super::failure::Failure;
use super::output::{Column, Output, line, number, time};
use super::session::{Need, Session};

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List all groups
    List(On),
    /// Show one group on each of its topics
    Describe(Named),
    /// Move a group that nobody uses now; its waiting retries go
    Seek(Seek),
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
    /// The group
    group: String,
    #[command(flatten)]
    on: On,
}

#[derive(Debug, Args)]
pub(super) struct Seek {
    /// The group
    group: String,
    /// The topic
    topic: String,
    /// Where to: beginning, end, a position, or a time such as 2026-01-31T08:00:00Z
    #[arg(long)]
    to: String,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
}

const COLUMNS: [Column<Group>; 8] = [
    ("group", |g| g.group.clone()),
    ("topic", |g| g.topic.clone()),
    ("position#", |g| g.position.to_string()),
    ("lag#", |g| number(g.lag)),
    ("retries#", |g| g.retries.to_string()),
    ("dead#", |g| number(g.dead_letters)),
    ("members#", |g| g.members.to_string()),
    ("created", |g| time(g.created_at)),
];

/// The same with what is too long for a list of many.
const DETAILS: [Column<Group>; 9] = {
    let [group, topic, position, lag, retries, dead, members, created] = COLUMNS;
    [group, topic, position, lag, retries, dead, members, created, ("consumers", |g| g.consumers.join(", "))]
};

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(On { broker, output }) => {
            let broker = broker.as_deref();
            let groups = Session::with(app, Need::One(broker), async |s| Ok(s.control.groups(broker).await?)).await?;
            output.list(&groups, &COLUMNS)
        }
        Command::Describe(Named { group, on }) => {
            let broker = on.broker.as_deref();
            let groups = Session::with(app, Need::One(broker), async |s| Ok(s.control.group(broker, &group).await?)).await?;
            on.output.list(&groups, &DETAILS)
        }
        Command::Seek(Seek { group, topic, to, broker }) => {
            let seek = SeekGroup { broker: broker.clone(), group, topic, to };
            let at = Session::with(app, Need::One(broker.as_deref()), async |s| Ok(s.control.seek(seek).await?)).await?;
            line(&format!("everything up to position {} counts as finished", at.position))
        }
    }
}
