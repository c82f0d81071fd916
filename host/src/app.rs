//! The composition root: configuration -> brokers -> modules -> engine -> admin, and the way back. The only place where they meet.

mod handlers;
mod idle;
mod jobs;
pub mod metrics;
pub mod running;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use longshore_admin::{ListenError, Listener, Need, Readiness, Serve, Server};
use longshore_core::{BrokerError, Clock, Handler};
use longshore_engine::{Activity, Gate, Policy, Status, Subscription};
use longshore_runtime::{Runtime, Settings};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Mistakes, explain};
use crate::control::HostControl;
use crate::opened::{self, Brokers, OpenError};

use handlers::{Loaded, LoadedJob};
use running::{Running, RunningHandler, RunningSubscription};
use signals::Signals;

/// How long a broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);
/// Compiled components, beside the configuration.
pub(crate) const CACHE: &str = ".longshore/components";

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
    /// A broker cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
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
    /// A subscription or job ended for good.
    #[error("{0}")]
    Failed(String),
    /// The machine does not give what a host needs.
    #[error("{0}")]
    System(String),
}

/// Runs a host until a signal, or until idle where that was asked for.
pub async fn run(config: Arc<Config>, options: Options, audience: &mut dyn Audience) -> Result<(), RunError> {
    let mut signals = Signals::listen().map_err(|e| RunError::System(format!("signals: {e}")))?;
    check_names(&config, &options.only)?;
    let listener = Listener::bind(config.admin.listen, config.admin.token.as_ref().map(|t| t.expose().to_owned()))?;
    let admin = listener.address().to_string();
    let readiness = Readiness::new();
    let metrics = metrics::HostMetrics::default();
    let text = metrics.clone();
    let serve = Serve { readiness: readiness.clone(), metrics: config.admin.metrics.then(|| Arc::new(move || text.render()) as _) };
    let server = Server::start(listener, serve).map_err(|e| RunError::System(format!("admin: {e}")))?;

    let started = tokio::select! {
        started = start(&config, &options, &admin, &readiness, &metrics) => started?,
        signal = signals.next() => {
            tracing::info!("{signal} while starting: nothing was consumed yet");
            return Ok(());
        }
    };
    let Started { brokers, running, mut tasks, drain, abort } = started;
    let control = HostControl::new(&config, brokers.clone()).with_running(running.clone(), readiness.clone());
    server.open(Arc::new(control), tokio::runtime::Handle::current());
    for explained in explain(&config) {
        audience.line(format!("{}: {}", explained.subscription, explained.guarantee.promise));
    }
    audience.line(format!("admin: http://{admin}"));
    audience.started(&running);

    let outcome = tokio::select! {
        signal = signals.next() => {
            tracing::info!(grace = ?config.shutdown_grace, "{signal}: stopping; once more ends at once");
            Ok(())
        }
        () = idle::wait(&running, &brokers), if options.until_idle => Ok(()),
        failed = first_failure(&mut tasks) => Err(RunError::Failed(failed)),
    };
    readiness.stop();
    drain.cancel();
    stop(&mut tasks, &mut signals, &abort, config.shutdown_grace).await;
    opened::close(&brokers, CLOSE).await;
    server.stop();
    audience.stopped();
    running.subscriptions().for_each(|s| audience.line(format!("{}: {}", s.name, s.summary())));
    outcome
}

/// What a started host is made of.
struct Started {
    brokers: Brokers,
    running: Arc<Running>,
    tasks: JoinSet<Result<(), String>>,
    drain: CancellationToken,
    abort: CancellationToken,
}

async fn start(
    config: &Config,
    options: &Options,
    admin: &str,
    readiness: &Readiness,
    metrics: &metrics::HostMetrics,
) -> Result<Started, RunError> {
    let opening = config.brokers.values().map(|b| opened::open_patiently(config, b, Some(admin.to_owned()), Clock::system()));
    let opened = futures::future::try_join_all(opening).await?;
    let brokers: Brokers = opened.into_iter().map(|o| (o.config.name.clone(), o)).collect();

    let settings = Settings { cache: Some(config.folder.join(CACHE)), ..Settings::default() };
    let runtime = Runtime::new(&settings).map_err(|e| RunError::System(e.to_string()))?;
    let chosen = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    let (loaded, jobs, mistakes) = handlers::load(config, &runtime, &brokers, &chosen).await;
    if !mistakes.is_empty() {
        opened::close(&brokers, CLOSE).await;
        return Err(RunError::Mistakes(config.mistakes(mistakes)));
    }

    let mut host = Host {
        brokers,
        readiness,
        metrics,
        tasks: JoinSet::new(),
        running: Running::default(),
        drain: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    loaded.into_iter().for_each(|l| host.run_handler(l));
    jobs.into_iter().for_each(|j| host.run_job(j));
    readiness.started();
    let running = Arc::new(host.running);
    metrics.watch(Arc::clone(&running));
    Ok(Started { brokers: host.brokers, running, tasks: host.tasks, drain: host.drain, abort: host.abort })
}

/// A host on its way up.
struct Host<'a> {
    brokers: Brokers,
    readiness: &'a Readiness,
    metrics: &'a metrics::HostMetrics,
    tasks: JoinSet<Result<(), String>>,
    running: Running,
    drain: CancellationToken,
    abort: CancellationToken,
}

impl Host<'_> {
    fn run_handler(&mut self, loaded: Loaded) {
        let Loaded { config, module, handler, policies } = loaded;
        let subscriptions = policies.into_iter().map(|p| self.subscribe(p, Arc::clone(&handler))).collect();
        self.running.handlers.push(RunningHandler {
            name: config.name,
            component: config.component,
            version: module.version().map(str::to_owned),
            digest: module.digest().to_string(),
            instances: (*handler).clone(),
            subscriptions,
        });
    }

    fn run_job(&mut self, loaded: LoadedJob) {
        for (policy, inbox) in loaded.inboxes {
            let pulled = self.subscribe(policy, inbox);
            self.running.pulled.push(pulled);
        }
        let (drain, abort, config, job) = (self.drain.clone(), self.abort.clone(), loaded.config, loaded.job);
        self.tasks.spawn(async move {
            let ended = jobs::run(&config.name, &job, config.restart, drain, abort).await;
            ended.map_err(|e| format!("job {:?}: {e}", config.name))
        });
    }

    /// Starts a subscription, and a watch over it for readiness.
    fn subscribe<H: Handler>(&mut self, policy: Policy, handler: Arc<H>) -> RunningSubscription {
        let (status, gate) = (Arc::new(Status::default()), Arc::new(Gate::default()));
        let running = RunningSubscription {
            name: policy.info.name.clone(),
            broker: policy.info.broker.clone(),
            group: policy.info.group.clone(),
            topics: policy.subscribe.topics.iter().map(ToString::to_string).collect(),
            handler: policy.info.handler.clone(),
            status: Arc::clone(&status),
            gate: Arc::clone(&gate),
        };
        let name = policy.info.name.clone();
        let need = self.readiness.need(format!("subscription {name}: not confirmed yet"));
        let consumer = self.brokers.get(&policy.info.broker).and_then(|o| o.roles.consumer.clone());
        let (metrics, drain, abort) = (self.metrics.engine(), self.drain.clone(), self.abort.clone());
        self.tasks.spawn(async move {
            let no_consumer = || BrokerError::give_up(format!("broker {:?} cannot consume", policy.info.broker));
            let consumer = consumer.ok_or_else(no_consumer).map_err(|e| e.to_string())?;
            let watch = readiness_follows(Arc::clone(&status), need, name.clone());
            let subscription = Subscription { policy, handler, consumer, clock: Clock::system(), metrics, status, gate };
            let ended = tokio::select! {
                ended = subscription.run(drain, abort) => ended,
                () = watch => unreachable!("it watches for ever"),
            };
            ended.map_err(|e| format!("subscription {name}: {e}"))
        });
        running
    }
}

/// Keeps what `/readyz` says of a subscription true, for ever.
async fn readiness_follows(status: Arc<Status>, need: Need, name: String) {
    let mut activity = status.activity();
    loop {
        match &*activity.borrow_and_update() {
            Activity::Running | Activity::Stopped(None) => need.met(),
            Activity::Connecting => need.unmet(format!("subscription {name}: not confirmed yet")),
            Activity::Waiting(why) | Activity::Stopped(Some(why)) => need.unmet(format!("subscription {name}: {why}")),
        }
        if activity.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Ends with the first task that failed for good; never when all goes well.
async fn first_failure(tasks: &mut JoinSet<Result<(), String>>) -> String {
    loop {
        match tasks.join_next().await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(failure))) => return failure,
            Some(Err(panic)) => return format!("a task ended by a bug: {panic}"),
            None => std::future::pending().await,
        }
    }
}

/// Lets what runs end within the grace, then interrupts it; a second signal ends the process at once.
async fn stop(tasks: &mut JoinSet<Result<(), String>>, signals: &mut Signals, abort: &CancellationToken, grace: Duration) {
    let all = async {
        let ended = async {
            while let Some(joined) = tasks.join_next().await {
                if let Ok(Err(failure)) = joined {
                    tracing::warn!("while stopping: {failure}");
                }
            }
        };
        tokio::pin!(ended);
        if tokio::time::timeout(grace, &mut ended).await.is_err() {
            tracing::warn!("the grace of {grace:?} is over: what still runs is interrupted and comes again");
            abort.cancel();
            ended.await;
        }
    };
    tokio::select! {
        () = all => {}
        signal = signals.next() => {
            tracing::warn!("{signal} again: ending at once");
            std::process::exit(130);
        }
    }
}

fn check_names(config: &Config, only: &[String]) -> Result<(), RunError> {
    let names: Vec<&str> = config.handlers.keys().chain(config.jobs.keys()).map(String::as_str).collect();
    match only.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(RunError::Unknown { name: name.clone(), known: names.join(", ") }),
        None => Ok(()),
    }
}
