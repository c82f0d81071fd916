//! `build`: the build commands of handlers and jobs, each once, in the folder of the configuration.

use std::process::Stdio;

use tokio::process::Command;

use super::App;
use super::failure::Failure;
use crate::config::{BuildConfig, Config};

/// Builds components.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Handlers and jobs to build; all that have a build command without
    handlers: Vec<String>,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    all(&app.config()?, &args.handlers).await
}

/// What can be built: name and how.
pub(super) fn builds<'a>(config: &'a Config, only: &[String]) -> Vec<(&'a str, &'a BuildConfig)> {
    let handlers = config.handlers.values().map(|h| (h.name.as_str(), h.build.as_ref()));
    let jobs = config.jobs.values().map(|j| (j.name.as_str(), j.build.as_ref()));
    let chosen = handlers.chain(jobs).filter(|(name, _)| only.is_empty() || only.iter().any(|o| o == name));
    chosen.filter_map(|(name, build)| Some((name, build?))).collect()
}

/// Runs every build command once, and stops at the first that fails. The build's own output goes to stderr.
pub(super) async fn all(config: &Config, only: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = only.iter().find(|o| !config.handlers.contains_key(*o) && !config.jobs.contains_key(*o)) {
        let known: Vec<&str> = config.handlers.keys().chain(config.jobs.keys()).map(String::as_str).collect();
        return Err(Failure::usage(format!("there is no handler or job {unknown:?}; the configuration has {}", known.join(", "))));
    }
    let mut done: Vec<&str> = Vec::new();
    for (name, build) in builds(config, only) {
        if !done.contains(&build.command.as_str()) {
            one(config, name, build).await?;
            done.push(&build.command);
        }
    }
    Ok(())
}

async fn one(config: &Config, name: &str, build: &BuildConfig) -> Result<(), Failure> {
    eprintln!("building {name}: {}", build.command);
    let status = Command::new("sh")
        .args(["-c", &build.command])
        .current_dir(&config.folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|e| Failure::failed(format!("handler {name:?}: the build command {:?} cannot be started: {e}", build.command)))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::failed(format!("handler {name:?}: the build command {:?} failed ({status})", build.command))),
    }
}
