//! `brokers`: list, ping, capabilities.

use clap::{Args, Subcommand};
use longshore_admin::model::{BrokerCapabilities, BrokerStatus, Ping, Provided};

use super::App;
use super::failure::Failure;
use super::output::{Column, Output, json, line, number, text};
use super::session::{Need, Session};
use crate::control::capabilities;

/// What to do with brokers.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the configured brokers, pinged
    List(Output),
    /// Whether brokers answer, and how fast; exit code 3 when one does not
    Ping(Named),
    /// What a broker can do: a configured one, a type, or all types of this build
    Capabilities(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The broker; all without
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

const COLUMNS: [Column<BrokerStatus>; 12] = [
    ("broker", |b| b.name.clone()),
    ("type", |b| b.kind.clone()),
    ("status", |b| b.status.name().into()),
    ("ping ms#", |b| b.ping_ms.map_or_else(|| "–".into(), |ms| format!("{ms:.1}"))),
    ("connections#", |b| number(b.connections)),
    ("published#", |b| number(b.published)),
    ("consumed#", |b| number(b.consumed)),
    ("msg/s#", |b| b.request_rate.map_or_else(|| "–".into(), |rate| format!("{rate:.1}"))),
    ("topics#", |b| number(b.topics)),
    ("messages#", |b| number(b.messages)),
    ("groups#", |b| number(b.groups)),
    ("error", |b| text(b.error.as_deref())),
];

const PINGS: [Column<Ping>; 4] = [
    ("broker", |p| p.broker.clone()),
    ("state", |p| if p.up { "up" } else { "down" }.into()),
    ("ms#", |p| format!("{:.1}", p.took_ms)),
    ("error", |p| text(p.error.as_deref())),
];

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(output) => {
            let brokers = Session::with(app, Need::All, async |s| Ok(s.control.brokers().await?)).await?;
            output.list(&brokers, &COLUMNS)
        }
        Command::Ping(Named { name, output }) => ping(app, name.as_deref(), output).await,
        Command::Capabilities(Named { name, output }) => show_capabilities(app, name.as_deref(), output),
    }
}

async fn ping(app: &App<'_>, name: Option<&str>, output: Output) -> Result<(), Failure> {
    let pings = Session::with(app, Need::All, async |session| {
        let names: Vec<String> = match name {
            Some(name) => vec![name.into()],
            None => session.config.brokers.keys().cloned().collect(),
        };
        let pings = futures::future::join_all(names.iter().map(|name| session.control.ping(name))).await;
        Ok(pings.into_iter().collect::<Result<Vec<Ping>, _>>()?)
    })
    .await?;
    output.list(&pings, &PINGS)?;
    let down: Vec<&str> = pings.iter().filter(|p| !p.up).map(|p| p.broker.as_str()).collect();
    match down.is_empty() {
        true => Ok(()),
        false => Err(Failure::unreachable(format!("no answer from {}", down.join(", ")))),
    }
}

fn show_capabilities(app: &App<'_>, name: Option<&str>, output: Output) -> Result<(), Failure> {
    let types = || app.adapters.iter().map(|a| capabilities(None, a));
    let Some(name) = name else {
        return show(&types().collect::<Vec<_>>(), output);
    };
    if let Some(of_type) = types().find(|t| t.kind == name) {
        return show(&[of_type], output);
    }
    let config = app.config()?;
    let broker = config.brokers.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.brokers.keys().map(String::as_str).chain(app.adapters.iter().map(|a| a.name)).collect();
        Failure::not_found(format!("there is no broker or type {name:?}; there are {}", known.join(", ")))
    })?;
    show(&[capabilities(Some(name), &broker.registration)], output)
}

/// A heading with the tier, then every flag and who provides it.
fn show(all: &[BrokerCapabilities], output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return all.iter().try_for_each(json);
    }
    for (i, one) in all.iter().enumerate() {
        if i > 0 {
            line("")?;
        }
        let name = one.broker.as_ref().map_or_else(|| one.kind.clone(), |broker| format!("{broker} ({})", one.kind));
        line(&format!("{name}: {}", one.tier.as_deref().unwrap_or("no tier")))?;
        for (flag, provided) in &one.flags {
            let by = match provided {
                Provided::Broker => "yes",
                Provided::Host => "by the host",
                Provided::No => "no",
            };
            line(&format!("  {flag:<21}  {by}"))?;
        }
    }
    Ok(())
}
