//! `run`: the host itself.

use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use super::App;
use super::failure::Failure;
use super::status_line::Terminal;
use super::{build, logging, output};
use crate::app::{self, Options};

/// Runs the host.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Handlers and jobs to run; all without
    handlers: Vec<String>,
    /// End once nothing is left to do
    #[arg(long)]
    until_idle: bool,
    /// Build first
    #[arg(long)]
    build: bool,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    // Quiet on a terminal but for what needs a person; everything where a machine reads.
    logging::start(if output::is_watched() { LevelFilter::WARN } else { LevelFilter::INFO });
    let config = app.config()?;
    if args.build {
        build::all(&config, &args.handlers).await?;
    }
    let options = Options { only: args.handlers, until_idle: args.until_idle };
    app::run(Arc::new(config), options, &mut Terminal::default()).await?;
    Ok(())
}
