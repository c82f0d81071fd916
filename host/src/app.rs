//! The composition root: configuration -> brokers -> modules -> engine -> admin, and the way back. The only place where they meet.

mod cache;
mod gauges;
mod handlers;
mod idle;
mod jobs;
pub mod metrics;
mod pass_through;
mod ready;
pub mod running;
mod signals;
mod start;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use longshore_admin::model::Host;
use longshore_admin::{ListenError, Listener, Readiness, Serve, Server};
use longshore_core::Clock;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Mistake, Mistakes, explain};
use crate::control::HostControl;
use crate::opened::{self, Brokers, OpenError};
use crate::stores::{self, StoreOpenError, Stores};

pub(crate) use cache::cache_folder;
use metrics::HostMetrics;
use running::Running;
use signals::Signals;
use start::Started;
use tasks::Tasks;

/// How long a broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// What `run` was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Handlers and jobs to run; none named: all.
    pub only: Vec<String>,
    /// End when nothing is left to do.
    pub until_idle: bool,
}

/// Who reads along while a host runs.
pub trait Audience {
    /// Something that a person wants to read.
    fn line(&mut self, text: String);
    /// Everything runs; nobody has to do anything with it.
    fn started(&mut self, running: &Arc<Running>) {
        let _ = running;
    }
    /// Nothing runs any more.
    fn stopped(&mut self) {}
}

/// Why a host did not run, or ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration, or what it names, is wrong.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// A broker or store refuses what is configured.
    #[error("{0}")]
    Refused(Mistakes),
    /// A broker cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A store cannot be opened.
    #[error(transparent)]
    OpenStore(#[from] StoreOpenError),
    /// The administration interface cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Nothing to run has that name.
    #[error("there is no handler or job {name:?} in this configuration: there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A broker was not reached as often as it may be tried.
    #[error("{0}")]
    Unreachable(String),
    /// A subscription or job ended for good.
    #[error("{0}")]
    Failed(String),
    /// The machine does not give what a host needs.
    #[error("{0}")]
    System(String),
}

/// Runs a host until a signal, until nothing runs any more, or until idle where that was asked for.
pub async fn run(config: Arc<Config>, options: Options, audience: &mut dyn Audience) -> Result<(), RunError> {
    let mut signals = Signals::listen().map_err(|e| RunError::System(format!("signals: {e}")))?;
    check_names(&config, &options.only)?;
    let listener = Listener::bind(config.admin.listen, config.admin.token.as_ref().map(|t| t.expose().to_owned()))?;
    let admin = listener.address().to_string();
    let (readiness, metrics) = (Readiness::new(), HostMetrics::default());
    let text = metrics.clone();
    let serve = Serve {
        readiness: readiness.clone(),
        host: Host {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            config: Some(config.place().display().to_string()),
        },
        metrics: config.admin.metrics.then(|| Arc::new(move || text.render()) as _),
    };
    let server = Server::start(listener, serve).map_err(|e| RunError::System(format!("admin: {e}")))?;

    let (brokers, stores) = tokio::select! {
        opened = open(&config, &admin) => opened?,
        signal = signals.next() => {
            tracing::info!("{signal} while connecting: nothing was consumed yet");
            return Ok(());
        }
    };
    let started = tokio::select! {
        started = start::start(&config, &options, &brokers, &stores, &readiness, &metrics) => started.map(Some),
        signal = signals.next() => {
            tracing::info!("{signal} while starting: nothing was consumed yet");
            Ok(None)
        }
    };
    let outcome = match started {
        Ok(Some(started)) => {
            let control = HostControl::new(&config, brokers.clone())
                .with_stores(stores.clone())
                .with_running(started.running.clone(), readiness.clone());
            server.open(Arc::new(control), tokio::runtime::Handle::current());
            for explained in explain(&config) {
                audience.line(format!("{}: {}", explained.subscription, explained.guarantee.promise));
            }
            audience.line(format!("admin: http://{admin}"));
            live(started, &config, &options, &brokers, &readiness, &mut signals, audience).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    tokio::select! {
        ((), ()) = async { futures::join!(opened::close(&brokers, CLOSE), stores::close(&stores, CLOSE)) } => {}
        signal = signals.next() => end_at_once(signal),
    }
    server.stop();
    audience.stopped();
    outcome
}

/// From the first message to the last settlement.
async fn live(
    started: Started,
    config: &Config,
    options: &Options,
    brokers: &Brokers,
    readiness: &Readiness,
    signals: &mut Signals,
    audience: &mut dyn Audience,
) -> Result<(), RunError> {
    let Started { running, mut tasks, drain, abort } = started;
    audience.started(&running);
    tokio::select! {
        signal = signals.next() => tracing::info!(grace = ?config.shutdown_grace, "{signal}: stopping; once more ends at once"),
        () = idle::wait(&running, brokers), if options.until_idle => {}
        () = tasks.all_ended() => {}
    }
    readiness.stop();
    drain.cancel();
    tokio::select! {
        () = stop(&mut tasks, &abort, config.shutdown_grace) => {}
        signal = signals.next() => end_at_once(signal),
    }
    audience.stopped();
    running.subscriptions().for_each(|s| audience.line(format!("{}: {}", s.name, s.summary())));
    tasks.first_failure().map_or(Ok(()), |failure| Err(failure.into()))
}

/// Opens all brokers and stores at once, however long that takes.
async fn open(config: &Config, admin: &str) -> Result<(Brokers, Stores), RunError> {
    let opening = config.brokers.values().map(|b| opened::open_patiently(config, b, Some(admin.to_owned()), Clock::system()));
    let told = |mistake: Option<Mistake>, error: RunError| match mistake {
        Some(mistake) => RunError::Refused(config.mistakes(vec![mistake])),
        None => error,
    };
    let no_broker = |error: OpenError| told(error.as_mistake(config), error.into());
    let no_store = |error: StoreOpenError| told(error.as_mistake(config), error.into());
    let brokers = async { futures::future::try_join_all(opening).await.map_err(no_broker) };
    let stores = async { stores::open_all(config, admin).await.map_err(no_store) };
    let (brokers, stores) = futures::try_join!(brokers, stores)?;
    Ok((brokers.into_iter().map(|o| (o.config.name.clone(), o)).collect(), stores))
}

/// Lets what runs end within the grace, then interrupts it.
async fn stop(tasks: &mut Tasks, abort: &CancellationToken, grace: Duration) {
    if tokio::time::timeout(grace, tasks.drained()).await.is_err() {
        tracing::warn!("the grace of {grace:?} is over: what still runs is interrupted and comes again");
        abort.cancel();
        tasks.drained().await;
    }
}

fn end_at_once(signal: &str) -> ! {
    tracing::warn!("{signal} again: ending at once");
    std::process::exit(130)
}

fn check_names(config: &Config, only: &[String]) -> Result<(), RunError> {
    let names: Vec<&str> = config.handlers.keys().chain(config.jobs.keys()).map(String::as_str).collect();
    match only.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(RunError::Unknown { name: name.clone(), known: names.join(", ") }),
        None => Ok(()),
    }
}
