//! `publish`: one message from arguments, or many from a file.

use std::path::PathBuf;
use std::time::Duration;

use longshore_admin::model::{Line, Publish, Published, ToPublish};
use serde_json::json;

use super::App;
use super::failure::Failure;
use super::lines::{self, Message};
use super::output::{self, Output, line};
use super::session::{Need, Session};
use super::times::{millis, span};

/// Messages in one request.
const STEP: usize = 500;

/// Publishes messages; prints the id of each.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The topic; with --from it may be left out where every line names one
    #[arg(required_unless_present = "from")]
    topic: Option<String>,
    #[command(flatten)]
    message: Message,
    /// A file of messages as `consume` prints them, one a line; `-` is stdin. Ids and timestamps in it are not used
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "header"])]
    from: Option<PathBuf>,
    /// Deliver not before this span is over
    #[arg(long, value_parser = span, value_name = "SPAN")]
    delay: Option<Duration>,
    /// The broker
    #[arg(long)]
    broker: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let need = Need::One(args.broker.as_deref());
    match &args.from {
        None => {
            let message = args.to_publish(args.message.line()?);
            Session::with(app, need, async |session| {
                for answer in send(session, &args, vec![message]).await? {
                    args.print(&answer.result()?)?;
                }
                Ok(())
            })
            .await
        }
        Some(_) if args.message.has_payload() => Err(Failure::usage("a payload and --from: give one of the two")),
        Some(file) => {
            let lines = lines::of_file(file)?;
            Session::with(app, need, async |session| many(session, &args, lines).await).await
        }
    }
}

impl Args {
    fn to_publish(&self, line: Line) -> ToPublish {
        let message = Line { topic: self.topic.clone().or(line.topic), id: None, timestamp: None, ..line };
        ToPublish { message, delay_ms: self.delay.map_or(0, millis) }
    }

    fn print(&self, id: &str) -> Result<(), Failure> {
        match self.output.is_json() {
            true => output::json(&json!({ "id": id })),
            false => line(id),
        }
    }
}

async fn send(session: &Session, args: &Args, messages: Vec<ToPublish>) -> Result<Vec<Published>, Failure> {
    Ok(session.control.publish(Publish { broker: args.broker.clone(), messages }).await?)
}

/// Publishes the good lines in steps, reports the bad ones by number, and fails in the end if there were any.
async fn many(session: &Session, args: &Args, lines: impl Iterator<Item = (usize, Result<Line, String>)>) -> Result<(), Failure> {
    let (mut all, mut bad, mut step) = (0usize, 0usize, Vec::new());
    for (number, line) in lines {
        all += 1;
        match line {
            Ok(line) => step.push((number, args.to_publish(line))),
            Err(why) => bad += complain(number, &why),
        }
        if step.len() == STEP {
            bad += flush(session, args, &mut step).await?;
        }
    }
    bad += flush(session, args, &mut step).await?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{bad} of {all} lines were not published"))),
    }
}

/// Publishes what was gathered; says how many of it were refused.
async fn flush(session: &Session, args: &Args, step: &mut Vec<(usize, ToPublish)>) -> Result<usize, Failure> {
    if step.is_empty() {
        return Ok(0);
    }
    let (numbers, messages): (Vec<_>, Vec<_>) = step.drain(..).unzip();
    let mut bad = 0;
    for (number, answer) in numbers.into_iter().zip(send(session, args, messages).await?) {
        match answer.result() {
            Ok(id) => args.print(&id)?,
            Err(error) => bad += complain(number, &error.message),
        }
    }
    Ok(bad)
}

fn complain(number: usize, why: &str) -> usize {
    eprintln!("line {number}: {why}");
    1
}
