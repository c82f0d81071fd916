//! `explain`: what the configuration means for each subscription, and where each value comes from.

use serde::Serialize;
use serde_json::json;

use super::App;
use super::failure::Failure;
use super::output::{Output, json, line};
use crate::config::{self, Explained};

/// Shows effective policies.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A handler, or a subscription by its name; all without
    name: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let mut explained = config::explain(&app.config()?);
    if let Some(name) = &args.name {
        explained.retain(|e| e.subscription == *name || e.subscription.split_once('/').is_some_and(|(handler, _)| handler == name));
        if explained.is_empty() {
            return Err(Failure::not_found(format!("there is no handler or subscription {name:?} in the configuration")));
        }
    }
    explained.iter().try_for_each(|e| match args.output.is_json() {
        true => json(&data(e)),
        false => line(&e.to_string()),
    })
}

fn data(e: &Explained) -> impl Serialize {
    let settings = e.settings.iter().map(|s| (s.key.clone(), json!({ "value": s.value, "from": s.origin.to_string() })));
    json!({
        "subscription": e.subscription,
        "broker": e.broker.0,
        "type": e.broker.1,
        "guarantee": e.guarantee.promise.to_string(),
        "outputs": e.guarantee.outputs.to_string(),
        "durable": e.guarantee.durable,
        "settings": settings.collect::<serde_json::Map<_, _>>(),
    })
}
