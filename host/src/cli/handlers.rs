//! `handlers`: list, status, pause, resume.

use clap::{Args, Subcommand};
use longshore_admin::model::{HandlerStatus, Paused, SubscriptionState, SubscriptionStatus};

use super::App;
use super::failure::Failure;
use super::output::{Column, Output, line, number, text};
use super::session::{Need, Session, find_host};
use crate::config::{Config, explain};

/// What to do with handlers.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the handlers
    List(Output),
    /// Show what subscriptions do
    Status(Named),
    /// Stop fetching for a handler, or for one subscription by its name; what is in flight ends
    Pause(Switch),
    /// Go on fetching
    Resume(Switch),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The handler; all without
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Switch {
    /// The handler, or the subscription (`handler/topic`)
    name: String,
}

const HANDLERS: [Column<HandlerStatus>; 5] = [
    ("handler", |h| h.name.clone()),
    ("version", |h| text(h.version.as_deref())),
    ("digest", |h| text(h.digest.as_deref().map(|d| d.get(..12).unwrap_or(d)))),
    ("subscriptions#", |h| h.subscriptions.len().to_string()),
    ("component", |h| h.component.clone()),
];

pub(super) const SUBSCRIPTIONS: [Column<SubscriptionStatus>; 10] = [
    ("subscription", |s| s.name.clone()),
    ("broker", |s| s.broker.clone()),
    ("group", |s| text(s.group.as_deref())),
    ("state", |s| s.state.name().into()),
    ("in flight#", |s| s.in_flight.to_string()),
    ("lag#", |s| number(s.lag)),
    ("ok#", |s| s.ok.to_string()),
    ("failed#", |s| s.failed.to_string()),
    ("dead#", |s| s.dead.to_string()),
    ("error", |s| text(s.error.as_deref())),
];

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(output) => output.list(&handlers(app).await?, &HANDLERS),
        Command::Status(Named { name, output }) => {
            let mut handlers = handlers(app).await?;
            if let Some(name) = &name {
                let known: Vec<String> = handlers.iter().map(|h| h.name.clone()).collect();
                handlers.retain(|h| h.name == *name);
                if handlers.is_empty() {
                    return Err(Failure::not_found(format!("there is no handler {name:?}; there are {}", known.join(", "))));
                }
            }
            let subscriptions: Vec<SubscriptionStatus> = handlers.into_iter().flat_map(|h| h.subscriptions).collect();
            output.list(&subscriptions, &SUBSCRIPTIONS)
        }
        Command::Pause(Switch { name }) => told(Session::with(app, Need::All, async |s| Ok(s.control.pause(&name).await?)).await?),
        Command::Resume(Switch { name }) => told(Session::with(app, Need::All, async |s| Ok(s.control.resume(&name).await?)).await?),
    }
}

/// What the running host says; where none runs, what is configured.
async fn handlers(app: &App<'_>) -> Result<Vec<HandlerStatus>, Failure> {
    use longshore_admin::control::HandlerControl;
    let config = app.config()?;
    match find_host(&config, Need::All).await? {
        Some(host) => Ok(host.handlers().await?),
        None => Ok(configured(&config)),
    }
}

fn told(paused: Paused) -> Result<(), Failure> {
    let what = if paused.paused { "paused" } else { "resumed" };
    paused.subscriptions.iter().try_for_each(|name| line(&format!("{what} {name}")))
}

/// Handlers as the configuration has them, none of them running.
fn configured(config: &Config) -> Vec<HandlerStatus> {
    let explained = explain(config);
    let promise = |name: &str| explained.iter().find(|e| e.subscription == name).map(|e| e.guarantee.promise.to_string());
    let of_handlers = config.handlers.values().map(|h| HandlerStatus {
        name: h.name.clone(),
        component: h.component.to_string(),
        version: None,
        digest: None,
        subscriptions: h
            .subscriptions
            .iter()
            .map(|s| SubscriptionStatus {
                name: s.name.clone(),
                handler: h.name.clone(),
                broker: s.broker.clone(),
                topics: s.topics.iter().map(ToString::to_string).collect(),
                group: s.group.clone(),
                state: SubscriptionState::Stopped,
                guarantee: promise(&s.name).unwrap_or_default(),
                in_flight: 0,
                lag: None,
                retries: None,
                ok: 0,
                failed: 0,
                dead: 0,
                duplicates: 0,
                error: None,
            })
            .collect(),
    });
    of_handlers.collect()
}
