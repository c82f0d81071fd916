//! From open brokers to everything that runs.

use std::sync::Arc;

use longshore_admin::Readiness;
use longshore_core::{BrokerError, Clock, Consumer, Fix, Handler, Intent};
use longshore_engine::{Gate, Status, Subscription};
use longshore_runtime::{Runtime, Settings};
use tokio_util::sync::CancellationToken;

use super::handlers::{self, Loaded, LoadedJob, Open, Planned, Runs};
use super::metrics::HostMetrics;
use super::pass_through::PassThrough;
use super::running::{Instances, Running, RunningHandler, RunningJob, RunningSubscription};
use super::tasks::{Failure, Kind, Tasks};
use super::{Options, RunError, cache_folder, gauges, jobs, ready};
use crate::config::{Config, KeyPath, Restart};
use crate::findings;
use crate::opened::Brokers;
use crate::stores::Stores;

/// Bounds of how many instances the runtime makes room for: enough for small configurations to grow, not more than address space allows.
const INSTANCES: std::ops::RangeInclusive<usize> = 100..=4000;

/// What a started host is made of.
pub(super) struct Started {
    pub(super) running: Arc<Running>,
    pub(super) tasks: Tasks,
    /// Stop reading, finish what runs, settle.
    pub(super) drain: CancellationToken,
    /// Let go of what runs.
    pub(super) abort: CancellationToken,
}

/// Starts what the options name.
pub(super) async fn start(
    config: &Arc<Config>,
    options: &Options,
    brokers: &Brokers,
    stores: &Stores,
    readiness: &Readiness,
    metrics: &HostMetrics,
) -> Result<Started, RunError> {
    let chosen = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    let wanted = config.subscriptions().filter(|s| chosen(&s.handler)).map(|s| s.concurrency).sum::<usize>();
    let instances = wanted.clamp(*INSTANCES.start(), *INSTANCES.end());
    let settings = Settings { cache: cache_folder(), instances: u32::try_from(instances).unwrap_or(u32::MAX), ..Settings::default() };
    let runtime = Runtime::new(&settings).map_err(|e| RunError::System(e.to_string()))?;
    let (loaded, jobs, mistakes) = handlers::load(config, &runtime, &Open { brokers, stores }, &chosen).await;
    if !mistakes.is_empty() {
        return Err(RunError::Mistakes(config.mistakes(mistakes)));
    }
    let mut host = Host {
        config,
        brokers,
        readiness,
        metrics,
        tasks: Tasks::default(),
        running: Running::default(),
        drain: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    for planned in handlers::copies(config, brokers, &chosen) {
        let copying = host.subscribe(planned, Arc::new(PassThrough::ToItsTopic), Kind::Served);
        host.running.copied.push(copying);
    }
    loaded.into_iter().for_each(|l| host.run_handler(l));
    jobs.into_iter().for_each(|j| host.run_job(j));
    metrics.loaded(host.running.handlers.len());
    let needed =
        stores.values().map(|store| (store.clone(), readiness.need(ready::of_store(&store.config.name, "not asked yet")))).collect();
    readiness.started();
    let Host { mut tasks, running, drain, abort, .. } = host;
    let running = Arc::new(running);
    metrics.watch(Arc::clone(&running), stores.clone());
    tasks.spawn("gauges", Kind::Served, gauges::of_brokers(brokers.clone(), Arc::clone(&running), metrics.clone(), drain.clone()));
    tasks.spawn("gauges of stores", Kind::Served, gauges::of_stores(needed, metrics.clone(), drain.clone()));
    Ok(Started { running, tasks, drain, abort })
}

/// A host on its way up.
struct Host<'a> {
    config: &'a Arc<Config>,
    brokers: &'a Brokers,
    readiness: &'a Readiness,
    metrics: &'a HostMetrics,
    tasks: Tasks,
    running: Running,
    drain: CancellationToken,
    abort: CancellationToken,
}

impl Host<'_> {
    fn run_handler(&mut self, loaded: Loaded) {
        let Loaded { config, runs, subscriptions: planned } = loaded;
        let (subscriptions, instances) = match runs {
            Runs::Component(module, handler) => {
                let instances = Instances {
                    version: module.version().map(str::to_owned),
                    digest: module.digest().to_string(),
                    pool: (*handler).clone(),
                };
                (planned.into_iter().map(|p| self.subscribe(p, Arc::clone(&handler), Kind::Main)).collect(), Some(instances))
            }
            Runs::PassThrough => {
                let handler = Arc::new(PassThrough::ToOutput);
                (planned.into_iter().map(|p| self.subscribe(p, Arc::clone(&handler), Kind::Main)).collect(), None)
            }
        };
        self.running.handlers.push(RunningHandler { name: config.name, component: config.component, instances, subscriptions });
    }

    fn run_job(&mut self, loaded: LoadedJob) {
        for (planned, inbox) in loaded.inboxes {
            let pulled = self.subscribe(planned, inbox, Kind::Served);
            self.running.pulled.push(pulled);
        }
        let (drain, abort, config, job) = (self.drain.clone(), self.abort.clone(), loaded.config, loaded.job);
        let running = RunningJob::new(&config.name, config.restart != Restart::Always);
        self.running.jobs.push(running.clone());
        let name = format!("job {:?}", config.name);
        self.tasks.spawn(name, Kind::Main, async move {
            let ended = jobs::run(&config.name, &job, config.restart, drain, abort).await;
            running.end();
            ended.map_err(Failure::Failed)
        });
    }

    /// Starts a subscription, and a watch over it for readiness.
    fn subscribe<H: Handler>(&mut self, planned: Planned, handler: Arc<H>, kind: Kind) -> RunningSubscription {
        let Planned { policy, path } = planned;
        let (status, gate) = (Arc::new(Status::default()), Arc::new(Gate::default()));
        let running = RunningSubscription {
            name: policy.info.name.clone(),
            broker: policy.info.broker.clone(),
            group: policy.info.group.clone(),
            topics: policy.subscribe.topics.clone(),
            handler: policy.info.handler.clone(),
            status: Arc::clone(&status),
            gate: Arc::clone(&gate),
        };
        let name = policy.info.name.clone();
        let need = self.readiness.need(format!("subscription {name}: not confirmed yet"));
        let consumer = self.brokers.get(&policy.info.broker).and_then(|o| o.roles.consumer.clone());
        let (config, metrics, drain, abort) = (Arc::clone(self.config), self.metrics.engine(), self.drain.clone(), self.abort.clone());
        self.tasks.spawn(format!("subscription {name}"), kind, async move {
            let no_consumer = || BrokerError::give_up(format!("broker {:?} cannot consume", policy.info.broker));
            let consumer = consumer.ok_or_else(no_consumer).map_err(|e| Failure::Failed(e.to_string()))?;
            let asked = Asked {
                config,
                path,
                consumer: Arc::clone(&consumer),
                intent: Intent { subscribe: policy.subscribe.clone(), deadline: policy.limits.deadline },
                status: Arc::clone(&status),
            };
            let watch = ready::follow(Arc::clone(&status), need, name);
            let subscription = Subscription { policy, handler, consumer, clock: Clock::system(), metrics, status, gate };
            tokio::select! {
                outcome = async { asked.outcome(subscription.run(drain, abort).await).await } => outcome,
                never = watch => match never {},
            }
        });
        running
    }
}

/// What was asked of a broker, where and how it went, for the day on which the answer is no.
struct Asked {
    config: Arc<Config>,
    path: KeyPath,
    consumer: Arc<dyn Consumer>,
    intent: Intent,
    status: Arc<Status>,
}

impl Asked {
    /// What a broker refuses before it ever gave a lane is wrong in the file; later, something has changed on the broker.
    async fn outcome(self, ended: Result<(), BrokerError>) -> Result<(), Failure> {
        match ended {
            Ok(()) => Ok(()),
            Err(error) if error.fix == Fix::GiveUp && !self.status.has_had_lane() => {
                let mistakes = findings::refusal(&self.config, &self.path, &*self.consumer, &self.intent, error).await;
                Err(Failure::Refused(self.config.mistakes(mistakes)))
            }
            Err(error) if error.fix.is_human() => Err(Failure::Failed(error.what)),
            Err(error) => Err(Failure::Unreachable(error.what)),
        }
    }
}
