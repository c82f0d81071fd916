//! Longshore and its baselines take turns, each in a process of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use longshore_testkit::servers;

use crate::row::{Row, Server};
use crate::sample::{Sample, median};

/// First argument of a process that measures one side of one row once.
pub(crate) const MEASURE: &str = "measure-one";

/// A row with its medians.
pub(crate) struct Line<'a> {
    pub(crate) row: &'a Row,
    pub(crate) baseline: Option<Sample>,
    pub(crate) longshore: Sample,
}

/// Measures the rows that have all of `words` in their section or title.
pub(crate) fn take<'a>(rows: &'a [Row], words: &[String], rounds: usize, quick: bool) -> Result<Vec<Line<'a>>> {
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let name = format!("{}: {}", row.section, row.title);
        if !words.iter().all(|word| name.contains(word.as_str())) {
            continue;
        }
        eprintln!("{name}");
        let line = measure(row, number, rounds, quick).with_context(|| name)?;
        lines.push(line);
    }
    if lines.is_empty() {
        bail!("no benchmark has all of {words:?} in its section or title");
    }
    Ok(lines)
}

fn measure(row: &Row, number: usize, rounds: usize, quick: bool) -> Result<Line<'_>> {
    let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let url = row.server.map(url).transpose()?.unwrap_or_default();
    let (mut longshore, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let one = |is_baseline: bool, folder: &Path, batch: Option<f64>| {
            let batch = batch.map_or("none".into(), |b| b.to_string());
            process(&[
                quick.to_string(),
                number.to_string(),
                is_baseline.to_string(),
                round.to_string(),
                folder.display().to_string(),
                batch,
                url.clone(),
            ])
        };
        let sample = one(false, ours.path(), None)?;
        if row.baseline.is_some() {
            baseline.push(one(true, theirs.path(), sample.batch)?);
        }
        longshore.push(sample);
    }
    Ok(Line { row, baseline: row.baseline.is_some().then(|| median(&baseline)), longshore: median(&longshore) })
}

/// Where a server is, which is started when a row first needs it.
fn url(server: Server) -> Result<String> {
    let url = match server {
        Server::Redis => servers::redis().map(servers::Redis::url),
        Server::Nats => servers::nats().map(servers::Nats::url),
        Server::RabbitMq => servers::rabbitmq().map(servers::RabbitMq::url),
    };
    url.with_context(|| format!("{server:?} is not installed: tests/servers/install does that"))
}

fn process(arguments: &[String]) -> Result<Sample> {
    let output = Command::new(std::env::current_exe()?).arg(MEASURE).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the measurement ended with {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
