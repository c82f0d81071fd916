//! `test`: cases from files through the components themselves. No broker: messages in, outcomes and publishes out.

mod bench;
mod case;
mod compare;
mod outlet;

use std::path::{Path, PathBuf};

use longshore_runtime::{Runtime, Settings};

use super::App;
use super::failure::Failure;
use super::output::{Output, json, line};
use crate::app::cache_folder;
use crate::config::Config;
use bench::Bench;
use case::File;

/// Where cases are looked for, beside the configuration.
const FOLDER: &str = "cases";

/// Runs cases.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files of cases; cases/*.toml beside the configuration without
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// How a case went.
#[derive(Debug, serde::Serialize)]
struct Verdict {
    file: PathBuf,
    case: String,
    passed: bool,
    /// What differs, `-` expected and `+` got.
    difference: Vec<String>,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let config = app.config()?;
    let files = if args.files.is_empty() { found(&config)? } else { args.files };
    let settings = Settings { cache: cache_folder(), ..Settings::default() };
    let runtime = Runtime::new(&settings).map_err(|e| Failure::failed(e.to_string()))?;
    let (mut all, mut failed) = (0, 0);
    for file in &files {
        for verdict in run_file(&config, &runtime, file).await? {
            all += 1;
            failed += usize::from(!verdict.passed);
            tell(&verdict, args.output)?;
        }
    }
    if !args.output.is_json() {
        line(&format!("{} of {all} cases passed", all - failed))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::failed(format!("{failed} of {all} cases failed"))),
    }
}

fn tell(verdict: &Verdict, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return json(verdict);
    }
    line(&format!("{}  {}: {}", if verdict.passed { "ok    " } else { "FAILED" }, verdict.file.display(), verdict.case))?;
    verdict.difference.iter().try_for_each(|difference| line(&format!("        {difference}")))
}

async fn run_file(config: &Config, runtime: &Runtime, path: &Path) -> Result<Vec<Verdict>, Failure> {
    let file = File::read(path)?;
    let handler = file.handler(config, path)?;
    let bench = Bench::new(config, handler, runtime).await?;
    let mut verdicts = Vec::new();
    for case in &file.case {
        let difference = compare::difference(&case.expect, &bench.run(case).await?);
        verdicts.push(Verdict { file: path.into(), case: case.name.clone(), passed: difference.is_empty(), difference });
    }
    Ok(verdicts)
}

/// The files of cases beside a configuration, by name.
fn found(config: &Config) -> Result<Vec<PathBuf>, Failure> {
    let folder = config.folder.join(FOLDER);
    let missing = || Failure::not_found(format!("there are no cases: {} has no .toml files; name some, or write one", folder.display()));
    let entries = std::fs::read_dir(&folder).map_err(|_| missing())?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    if files.is_empty() { Err(missing()) } else { Ok(files) }
}
