//! Longshore's benchmarks. `tests/bench/run` builds and starts them.
//!
//! A row of the table is Longshore and what it is measured against. Each side is measured in a process of its own, so that processor time
//! and peak memory are its own; the two take turns, round after round, and the medians count. What is measured is in the files named
//! after the sections: [`embedded`], [`engine`], [`guests`], [`start`], [`growth`], [`brokers`].

mod brokers;
mod embedded;
mod engine;
mod growth;
mod guests;
mod host;
mod pace;
mod report;
mod row;
mod sample;
mod sqlite;
mod start;
mod turns;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use row::{Round, Row};

/// How large everything is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    quick: bool,
}

impl Scale {
    /// A number of messages; a tenth of it for a quick look.
    fn of(self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }
}

fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(embedded::rows(scale));
    rows.extend(engine::rows(scale));
    rows.extend(guests::rows(scale));
    rows.extend(start::rows(scale));
    rows.extend(growth::rows(scale));
    rows.extend(brokers::rows(scale));
    rows
}

/// What was asked for.
struct Arguments {
    words: Vec<String>,
    rounds: usize,
    quick: bool,
}

fn arguments(mut all: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut arguments = Arguments { words: Vec::new(), rounds: 5, quick: false };
    while let Some(argument) = all.next() {
        match argument.as_str() {
            "--quick" => arguments.quick = true,
            "--rounds" => arguments.rounds = all.next().context("--rounds needs a number")?.parse().context("--rounds")?,
            option if option.starts_with('-') => bail!("unknown option {option}: there are --rounds N and --quick"),
            word => arguments.words.push(word.to_owned()),
        }
    }
    if arguments.rounds == 0 {
        bail!("--rounds must be at least 1");
    }
    Ok(arguments)
}

fn main() -> Result<()> {
    let all: Vec<String> = std::env::args().skip(1).collect();
    if let [measure, quick, row, baseline, number, folder, batch, url] = all.as_slice()
        && measure == turns::MEASURE
    {
        let rows = rows(Scale { quick: quick == "true" });
        let row = &rows[row.parse::<usize>()?];
        let measure = if baseline == "true" { row.baseline.as_ref().context("this row has no baseline")? } else { &row.longshore };
        let round = Round { number: number.parse()?, folder: PathBuf::from(folder), batch: batch.parse().ok(), url: url.clone() };
        println!("{}", serde_json::to_string(&measure(&round)?)?);
        return Ok(());
    }
    let arguments = arguments(all.into_iter())?;
    let rows = rows(Scale { quick: arguments.quick });
    let lines = turns::take(&rows, &arguments.words, arguments.rounds, arguments.quick)?;
    println!("{}", report::tables(&lines));
    if !arguments.quick
        && let Some(path) = report::write(&rows, &lines, arguments.rounds)?
    {
        println!("written to {}", path.display());
    }
    Ok(())
}
