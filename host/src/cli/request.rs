//! `request`: a message out, the answer to it back.

use std::time::Duration;

use longshore_admin::model::{Line, Request};

use super::App;
use super::failure::Failure;
use super::lines::Message;
use super::output::{Output, json, line};
use super::session::{Need, Session};
use super::times::{millis, span};

/// Publishes a message and prints the answer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic
    topic: String,
    #[command(flatten)]
    message: Message,
    /// How long to wait for the answer, at most 20s
    #[arg(long, value_parser = span, default_value = "5s", value_name = "SPAN")]
    timeout: Duration,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let message = Line { topic: Some(args.topic.clone()), ..args.message.line()? };
    let request = Request { broker: args.broker.clone(), message, timeout_ms: millis(args.timeout) };
    let answer = Session::with(app, Need::One(args.broker.as_deref()), async |session| Ok(session.control.request(request).await?)).await?;
    match args.output.is_json() {
        true => json(&answer),
        false => line(&answer.payload.map(|p| p.to_string()).unwrap_or_default()),
    }
}
