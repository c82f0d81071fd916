//! `dlq`: list, show, redrive, discard.

mod filter;
mod redrive;
mod show;

use clap::{Args, Subcommand};
use longshore_admin::model::{DeadLetter, DeadLetterFilter};
use longshore_core::Flag;

use super::App;
use super::confirm::Confirm;
use super::failure::Failure;
use super::output::{Column, Output, json, line, time};
use super::session::{Need, Session};
use crate::config::{BrokerConfig, Config};
use filter::Filter;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List dead letters, newest first
    List(List),
    /// Show one: why it is there, and what it was
    Show(Show),
    /// Give dead letters back to the group that failed, oldest first
    Redrive(redrive::Args),
    /// Remove dead letters
    Discard(Discard),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Say only how many there are
    #[arg(long)]
    count: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its id, or the id of the message that it was
    id: String,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Discard {
    /// The id of one; all that pass the filters without
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    confirm: Confirm,
}

const COLUMNS: [Column<DeadLetter>; 7] = [
    ("id", |d| d.id.clone()),
    ("reason", |d| d.facts.reason.clone()),
    ("class", |d| d.facts.class.clone()),
    ("attempts#", |d| d.facts.attempts.map_or_else(|| "–".into(), |n| n.to_string())),
    ("group", |d| d.facts.group.clone()),
    ("last failed", |d| time(d.facts.last_failed_at)),
    ("message", |d| shortened(&d.facts.message)),
];

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(list) => self::list(app, list).await,
        Command::Show(Show { id, broker, output }) => {
            let letter = over(app, broker.as_deref(), async |s| Ok(s.control.dead_letter(broker.as_deref(), &id).await?)).await?;
            match output.is_json() {
                true => json(&letter),
                false => show::print(&letter),
            }
        }
        Command::Redrive(args) => redrive::run(app, args).await,
        Command::Discard(args) => discard(app, args).await,
    }
}

/// Does `work`, and tells which brokers have dead letters that nobody looked at.
async fn over<T>(app: &App<'_>, broker: Option<&str>, work: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
    let (done, missed) = Session::with(app, need(broker), async |session| {
        let missed = if broker.is_none() { not_looked_at(&session.config) } else { Vec::new() };
        Ok((work(session).await?, missed))
    })
    .await?;
    // Not with what is printed: that may be read by a program.
    missed.iter().for_each(|line| eprintln!("{line}"));
    Ok(done)
}

/// Brokers that keep dead letters and cannot show them.
fn not_looked_at(config: &Config) -> Vec<String> {
    let cannot = |broker: &&BrokerConfig| {
        let kind = &broker.registration;
        kind.forgets.is_none() && kind.capabilities.has(Flag::Publish) && !kind.capabilities.has(Flag::DeadLetterQueue)
    };
    let told = |broker: &BrokerConfig| {
        let (name, kind) = (&broker.name, broker.registration.name);
        format!(
            "not looked at: broker {name:?}, as a broker of type {kind:?} cannot show its dead letters; read them by `longshore consume`"
        )
    };
    config.brokers.values().filter(cannot).map(told).collect()
}

fn need(broker: Option<&str>) -> Need<'_> {
    broker.map_or(Need::All, |name| Need::One(Some(name)))
}

async fn list(app: &App<'_>, list: List) -> Result<(), Failure> {
    let List { filter, limit, count, output } = list;
    let broker = filter.broker.clone();
    let wanted = DeadLetterFilter { limit: Some(limit.into()), ..filter.wanted(None) };
    if count {
        let count = over(app, broker.as_deref(), async |s| Ok(s.control.count_dead_letters(wanted).await?)).await?;
        return if output.is_json() { json(&count) } else { line(&count.count.to_string()) };
    }
    let letters = over(app, broker.as_deref(), async |s| Ok(s.control.dead_letters(wanted).await?)).await?;
    output.list(&letters, &COLUMNS)
}

/// Removes in steps; what is not there any more when its turn comes was somebody else's.
async fn discard(app: &App<'_>, args: Discard) -> Result<(), Failure> {
    let Discard { id, filter, confirm } = args;
    let broker = filter.broker.clone();
    let one = id.is_some();
    let wanted = filter.until_now().wanted(id);
    let gone = over(app, broker.as_deref(), async |session| {
        if !one {
            let count = session.control.count_dead_letters(wanted.clone()).await?.count;
            if count > 0 {
                confirm.ask(&format!("Remove {count} dead letters?"))?;
            }
        }
        let mut gone = 0;
        loop {
            let step = session.control.discard(wanted.clone()).await?.count;
            gone += step;
            if one || step == 0 {
                return Ok(gone);
            }
        }
    })
    .await?;
    line(&format!("removed {gone}"))
}

/// The first line, cut.
fn shortened(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    match first.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &first[..at]),
        None => first.into(),
    }
}
