//! `check`: mistakes in the configuration and in what it names, without running anything; with `--connect`, also whether brokers answer, and
//! have and allow what is wanted of them.

mod connect;
mod stores;

use longshore_runtime::{LoadError, Runtime, Settings, World};

use super::App;
use super::failure::Failure;
use super::output::line;
use crate::app::cache_folder;
use crate::config::{Config, KeyPath, Mistake, explain, hints};

/// Finds mistakes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Connect to every broker too, and look whether it has and allows what is wanted of it; nothing is changed there
    #[arg(long)]
    connect: bool,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let config = app.config()?;
    let components = Components::of(&config)?;
    let hints = config.mistakes(hints(&config));
    if !hints.is_empty() {
        eprintln!("{}", hints.pictures(super::look()).trim_end());
    }
    if !components.mistakes.is_empty() {
        return Err(Failure::usage(config.mistakes(components.mistakes).render(super::look())));
    }
    for explained in explain(&config) {
        line(&format!("{}: {}", explained.subscription, explained.guarantee))?;
    }
    if args.connect {
        connect::run(&config).await?;
    }
    line("no mistakes found")
}

/// What is wrong, or worth knowing, about the components that a configuration names.
struct Components {
    mistakes: Vec<Mistake>,
}

impl Components {
    fn of(config: &Config) -> Result<Self, Failure> {
        let settings = Settings { cache: cache_folder(), ..Settings::default() };
        let runtime = Runtime::new(&settings).map_err(|e| Failure::failed(e.to_string()))?;
        let mut components = Components { mistakes: Vec::new() };
        let handlers = config.handlers.values().filter_map(|h| Some(("handlers", &h.name, h.component.file()?, h.build.is_some())));
        let jobs = config.jobs.values().map(|j| ("jobs", &j.name, j.component.as_path(), j.build.is_some()));
        for (table, name, file, builds) in handlers.chain(jobs) {
            let path = KeyPath::of([table, name, "component"]);
            match runtime.load(file) {
                Ok(module) => components.look_at(config, &path, table, &module),
                Err(error) => components.mistakes.push(config.mistake(&path, error.to_string(), help(&error, builds))),
            }
        }
        Ok(components)
    }

    fn look_at(&mut self, config: &Config, path: &KeyPath, table: &str, module: &longshore_runtime::Module) {
        let is_job = module.world() == World::Job;
        if is_job != (table == "jobs") {
            let (problem, help) = match is_job {
                true => ("this component is a job, not a handler of messages", "name it in a [jobs.…] table"),
                false => ("this component handles messages, it is no job", "name it in a [handlers.…] table"),
            };
            self.mistakes.push(config.mistake(path, problem, help));
        }
    }
}

fn help(error: &LoadError, builds: bool) -> &'static str {
    match (error, builds) {
        (LoadError::Read { .. }, true) => "build it: longshore build",
        (LoadError::Read { .. }, false) => "build it, or correct the path; it starts in the folder of the configuration",
        _ => "longshore inspect shows what a component is",
    }
}
