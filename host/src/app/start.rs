//! From open brokers to everything that runs.

use std::sync::Arc;

use longshore_admin::Readiness;
use longshore_core::{BrokerError, Clock, Handler};
use longshore_engine::{Gate, Policy, Status, Subscription};
use longshore_runtime::{Runtime, Settings};
use tokio_util::sync::CancellationToken;

use super::handlers::{self, Loaded, LoadedJob, Open, Runs};
use super::metrics::HostMetrics;
use super::pass_through::PassThrough;
use super::running::{Instances, Running, RunningHandler, RunningJob, RunningSubscription};
use super::tasks::{Kind, Tasks};
use super::{Options, RunError, cache_folder, gauges, jobs, ready};
use crate::config::{Config, Restart};
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
    config: &Config,
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
        brokers,
        readiness,
        metrics,
        tasks: Tasks::default(),
        running: Running::default(),
        drain: CancellationToken::new(),
        abort: CancellationToken::new(),
    };
    for policy in handlers::copies(config, brokers, &chosen) {
        let copying = host.subscribe(policy, Arc::new(PassThrough::ToItsTopic), Kind::Served);
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
    let asked = gauges::Asked { brokers: brokers.clone(), stores: needed, running: Arc::clone(&running) };
    tasks.spawn("gauges", Kind::Served, gauges::run(asked, metrics.clone(), drain.clone()));
    Ok(Started { running, tasks, drain, abort })
}

/// A host on its way up.
struct Host<'a> {
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
        let Loaded { config, runs, policies } = loaded;
        let (subscriptions, instances) = match runs {
            Runs::Component(module, handler) => {
                let instances = Instances {
                    version: module.version().map(str::to_owned),
                    digest: module.digest().to_string(),
                    pool: (*handler).clone(),
                };
                (policies.into_iter().map(|p| self.subscribe(p, Arc::clone(&handler), Kind::Main)).collect(), Some(instances))
            }
            Runs::PassThrough => {
                let handler = Arc::new(PassThrough::ToOutput);
                (policies.into_iter().map(|p| self.subscribe(p, Arc::clone(&handler), Kind::Main)).collect(), None)
            }
        };
        self.running.handlers.push(RunningHandler { name: config.name, component: config.component, instances, subscriptions });
    }

    fn run_job(&mut self, loaded: LoadedJob) {
        for (policy, inbox) in loaded.inboxes {
            let pulled = self.subscribe(policy, inbox, Kind::Served);
            self.running.pulled.push(pulled);
        }
        let (drain, abort, config, job) = (self.drain.clone(), self.abort.clone(), loaded.config, loaded.job);
        let running = RunningJob::new(&config.name, config.restart != Restart::Always);
        self.running.jobs.push(running.clone());
        let name = format!("job {:?}", config.name);
        self.tasks.spawn(name, Kind::Main, async move {
            let ended = jobs::run(&config.name, &job, config.restart, drain, abort).await;
            running.end();
            ended
        });
    }

    /// Starts a subscription, and a watch over it for readiness.
    fn subscribe<H: Handler>(&mut self, policy: Policy, handler: Arc<H>, kind: Kind) -> RunningSubscription {
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
        let (metrics, drain, abort) = (self.metrics.engine(), self.drain.clone(), self.abort.clone());
        self.tasks.spawn(format!("subscription {name}"), kind, async move {
            let no_consumer = || BrokerError::give_up(format!("broker {:?} cannot consume", policy.info.broker));
            let consumer = consumer.ok_or_else(no_consumer).map_err(|e| e.to_string())?;
            let watch = ready::follow(Arc::clone(&status), need, name);
            let subscription = Subscription { policy, handler, consumer, clock: Clock::system(), metrics, status, gate };
            tokio::select! {
                ended = subscription.run(drain, abort) => ended.map_err(|e| e.to_string()),
                never = watch => match never {},
            }
        });
        running
    }
}
