//! The command line: what can be said, and who does it. One command per file.
//!
//! Commands ask through the admin crate's `Control` and do not know whether a running host answers or brokers that were opened here
//! ([`session`]). What they print is data or a table ([`output`]); what goes wrong goes to stderr and into the exit code ([`failure`]).

mod brokers;
mod build;
mod check;
mod completions;
mod confirm;
mod consume;
mod dev;
mod dlq;
mod explain;
mod failure;
mod groups;
mod handlers;
mod inspect;
mod lines;
mod locks;
mod logging;
mod new;
mod output;
mod publish;
mod request;
mod run;
mod session;
mod status;
mod status_line;
mod test;
mod times;
mod topics;
mod values;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use longshore_admin::model::BucketKind;
use longshore_core::Registration;

use crate::config::{self, Ask, Config, Look};
use failure::Failure;

/// Runs sandboxed WebAssembly handlers on message brokers.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
struct Global {
    /// Configuration file [default: longshore.toml here or in a parent folder, else LONGSHORE_CONFIG]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one value, in place of what the file says: handlers.billing.reuse=fresh
    #[arg(long, global = true, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Lay longshore.<ENV>.toml over the configuration [default: LONGSHORE_ENV]
    #[arg(long, global = true, value_name = "ENV")]
    env: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: all handlers and jobs, or those named
    Run(run::Args),
    /// Run the host, build and start again whenever a source file changes
    Dev(dev::Args),
    /// Build the components that have a build command
    Build(build::Args),
    /// Make a handler's project
    New(new::Args),
    /// Find mistakes in the configuration and in what it names
    Check(check::Args),
    /// Show the effective policy and guarantee of each subscription
    Explain(explain::Args),
    /// Show what a component is and what it needs
    Inspect(inspect::Args),
    /// Run cases from files through handlers, without a broker
    Test(test::Args),
    /// Publish messages
    Publish(publish::Args),
    /// Print messages, one line of JSON each
    Consume(consume::Args),
    /// Publish a message and print the answer to it
    Request(request::Args),
    /// Topics
    #[command(subcommand)]
    Topics(topics::Command),
    /// Groups
    #[command(subcommand)]
    Groups(groups::Command),
    /// Dead letters
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Values in caches
    #[command(subcommand)]
    Cache(values::Command),
    /// Values in key-value buckets
    #[command(subcommand)]
    Kv(values::Command),
    /// Locks that are held
    #[command(subcommand)]
    Locks(locks::Command),
    /// Brokers
    #[command(subcommand)]
    Brokers(brokers::Command),
    /// Handlers
    #[command(subcommand)]
    Handlers(handlers::Command),
    /// Show the host, its brokers and its subscriptions
    Status(status::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// What commands work with.
struct App<'a> {
    adapters: &'a [Registration],
    global: Global,
}

impl App<'_> {
    fn ask(&self) -> Result<Ask, Failure> {
        let Global { config, set, env } = self.global.clone();
        let folder = std::env::current_dir().map_err(|e| Failure::failed(format!("the working folder cannot be read: {e}")))?;
        Ok(Ask { file: config, env, set, folder })
    }

    /// The checked configuration; all its mistakes at once otherwise.
    fn config(&self) -> Result<Config, Failure> {
        config::load(&self.ask()?, self.adapters, &config::environment).map_err(|e| Failure::usage(e.render(look())))
    }
}

/// How mistakes are drawn where stderr goes.
fn look() -> Look {
    match (std::io::stderr().is_terminal(), output::wants_colour()) {
        (true, true) => Look::Coloured,
        (true, false) => Look::Lined,
        (false, _) => Look::Plain,
    }
}

/// The whole program, for a host with these adapters.
pub(crate) fn main_with(adapters: &[Registration]) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures; clap says which exit code is whose.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let app = App { adapters, global: cli.global };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("no threads to run on: {error}")).report(),
    };
    let outcome = runtime.block_on(Box::pin(dispatch(&app, cli.command)));
    // A handler that blocks a thread must not hold the process up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => Box::pin(run::run(app, args)).await,
        Command::Dev(args) => dev::run(app, args).await,
        Command::Build(args) => build::run(app, args).await,
        Command::New(args) => new::run(args),
        Command::Check(args) => check::run(app, args).await,
        Command::Explain(args) => explain::run(app, args),
        Command::Inspect(args) => inspect::run(args),
        Command::Test(args) => test::run(app, args).await,
        Command::Publish(args) => publish::run(app, args).await,
        Command::Consume(args) => consume::run(app, args).await,
        Command::Request(args) => request::run(app, args).await,
        Command::Topics(command) => topics::run(app, command).await,
        Command::Groups(command) => groups::run(app, command).await,
        Command::Dlq(command) => dlq::run(app, command).await,
        Command::Cache(command) => values::run(app, BucketKind::Cache, command).await,
        Command::Kv(command) => values::run(app, BucketKind::KeyValue, command).await,
        Command::Locks(command) => locks::run(app, command).await,
        Command::Brokers(command) => brokers::run(app, command).await,
        Command::Handlers(command) => handlers::run(app, command).await,
        Command::Status(args) => status::run(app, args).await,
        Command::Completions(args) => completions::run(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
