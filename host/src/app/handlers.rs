//! From configured handlers and jobs to what runs: components loaded, pools made, policies filled in. Everything that can be wrong with a
//! component or a grant shows here, before the first message.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, DeadLetterPolicy, Delivery, Grant, Order, Outlet, Outlets, Pattern, SubscriptionInfo};
use longshore_engine::{Dedup, Policy};
use longshore_runtime::{HandlerSettings, Inbox, Job, JobSettings, Module, Reuse as Instances, Runtime, WasmHandler, inbox};

use crate::config::{
    Component, Config, Copied, HandlerConfig, JobConfig, KeyPath, Mistake, PASS_THROUGH, PublishConfig, Reuse, Secret, SubscriptionConfig,
};
use crate::opened::{Brokers, Opened};
use crate::stores::{self, Stores};

/// The copy of a broker's messages into the log, by the engine as everything else.
pub(super) fn copies(config: &Config, brokers: &Brokers, chosen: &dyn Fn(&str) -> bool) -> Vec<Planned> {
    let mut made: Vec<(&Copied, Planned)> = Vec::new();
    for subscription in config.subscriptions().filter(|s| chosen(&s.handler)) {
        let Some(copied) = &subscription.copied else { continue };
        if made.iter().any(|(other, made)| *other == copied && made.policy.subscribe.topics == subscription.topics) {
            continue;
        }
        let grants: Vec<PublishConfig> = subscription.topics.iter().map(|topic| to_log(topic, subscription)).collect();
        let outlets = outlets(brokers, &grants, None, Opened::outlet);
        let open = Open { brokers, stores: &Stores::new() };
        let mut planned = planned(subscription, &open, &outlets, longshore_core::Limits::default(), PASS_THROUGH);
        let policy = &mut planned.policy;
        policy.dedup = None;
        policy.subscribe = subscription.subscribe_to_copy(copied);
        policy.info = Arc::new(SubscriptionInfo {
            name: format!("{}/{}", copied.broker, subscription.short_name()),
            handler: copied.broker.clone(),
            group: copied.group.clone(),
            broker: copied.broker.clone(),
            order: Order::None,
            max_attempts: policy.retry.max_attempts,
        });
        // What came is copied to the end when the host stops: it cannot be handed back.
        policy.delivery = Delivery::AtMostOnce;
        policy.breaker = None;
        policy.dead_letter = DeadLetterPolicy { topic: None, ..DeadLetterPolicy::default() };
        policy.concurrency = 1;
        made.push((copied, planned));
    }
    made.into_iter().map(|(_, planned)| planned).collect()
}

fn to_log(topic: &Pattern, subscription: &SubscriptionConfig) -> PublishConfig {
    PublishConfig { topics: topic.clone(), broker: subscription.broker.clone(), alias: None, path: subscription.path.clone() }
}

/// A subscription before it runs.
pub(super) struct Planned {
    pub(super) policy: Policy,
    /// Where it stands in the file.
    pub(super) path: KeyPath,
}

/// A handler, loaded.
pub(super) struct Loaded {
    pub(super) config: HandlerConfig,
    pub(super) runs: Runs,
    pub(super) subscriptions: Vec<Planned>,
}

/// What its messages are given to.
pub(super) enum Runs {
    /// Instances of a component.
    Component(Module, Arc<WasmHandler>),
    /// What comes with Longshore.
    PassThrough,
}

/// A job, loaded.
pub(super) struct LoadedJob {
    pub(super) config: JobConfig,
    pub(super) job: Job,
    /// What it pulls from.
    pub(super) inboxes: Vec<(Planned, Arc<Inbox>)>,
}

/// What is open when components are loaded.
pub(super) struct Open<'a> {
    pub(super) brokers: &'a Brokers,
    pub(super) stores: &'a Stores,
}

/// Loads what the configuration names, and tells all mistakes at once.
pub(super) async fn load(
    config: &Config,
    runtime: &Runtime,
    open: &Open<'_>,
    chosen: &dyn Fn(&str) -> bool,
) -> (Vec<Loaded>, Vec<LoadedJob>, Vec<Mistake>) {
    let (mut handlers, mut jobs, mut mistakes) = (Vec::new(), Vec::new(), Vec::new());
    for handler in config.handlers.values().filter(|h| chosen(&h.name)) {
        match load_handler(config, runtime, open, handler).await {
            Ok(loaded) => handlers.push(loaded),
            Err(mistake) => mistakes.push(*mistake),
        }
    }
    for job in config.jobs.values().filter(|j| chosen(&j.name)) {
        match load_job(config, runtime, open, job) {
            Ok(loaded) => jobs.push(loaded),
            Err(mistake) => mistakes.push(*mistake),
        }
    }
    (handlers, jobs, mistakes)
}

async fn load_handler(config: &Config, runtime: &Runtime, open: &Open<'_>, handler: &HandlerConfig) -> Result<Loaded, Box<Mistake>> {
    let brokers = open.brokers;
    let outlets_by = |way| outlets(brokers, &handler.publish, handler.output.clone(), way);
    let plans = |component: &str| -> Vec<Planned> {
        let lanes = outlets_by(Opened::outlet);
        handler.subscriptions.iter().map(|s| planned(s, open, &lanes, handler.limits, component)).collect()
    };
    let Component::File(file) = &handler.component else {
        return Ok(Loaded { config: handler.clone(), runs: Runs::PassThrough, subscriptions: plans(PASS_THROUGH) });
    };
    let path = ["handlers", &handler.name, "component"];
    let module = component(config, runtime, &path, file, handler.build.is_some())?;
    let subscriptions = plans(&describe(&handler.name, &module));
    let settings = HandlerSettings {
        limits: handler.limits,
        reuse: match handler.reuse {
            Reuse::After(calls) => Instances::Calls(calls),
            Reuse::Fresh => Instances::Fresh,
        },
        concurrency: subscriptions.iter().map(|s| s.policy.concurrency).sum(),
        outlets: outlets_by(Opened::patient_outlet),
        stores: stores::granted(open.stores, &handler.stores),
        config: values(&handler.config),
        publish_timeout: longest_send(brokers, &handler.publish),
        ..HandlerSettings::new(&handler.name)
    };
    let handler_made = WasmHandler::new(runtime, &module, settings).map_err(|e| mistake(config, &path, e.to_string(), ""))?;
    handler_made.smoke().await.map_err(|e| mistake(config, &path, e.to_string(), "the component traps while it starts; run its tests"))?;
    Ok(Loaded { config: handler.clone(), runs: Runs::Component(module, Arc::new(handler_made)), subscriptions })
}

fn load_job(config: &Config, runtime: &Runtime, open: &Open<'_>, job: &JobConfig) -> Result<LoadedJob, Box<Mistake>> {
    let brokers = open.brokers;
    let path = ["jobs", &job.name, "component"];
    let module = component(config, runtime, &path, &job.component, job.build.is_some())?;
    let lanes = outlets(brokers, &job.publish, None, Opened::outlet);
    let component = describe(&job.name, &module);
    let (mut inboxes, mut subscriptions) = (Vec::new(), HashMap::new());
    for subscription in &job.subscriptions {
        let (offer, outlook) = inbox(subscription.short_name());
        subscriptions.insert(subscription.short_name().to_owned(), outlook);
        inboxes.push((planned(subscription, open, &lanes, job.limits, &component), Arc::new(offer)));
    }
    let settings = JobSettings {
        memory: job.limits.memory,
        output_size: job.limits.output_size,
        outlets: outlets(brokers, &job.publish, None, Opened::patient_outlet),
        stores: stores::granted(open.stores, &job.stores),
        config: values(&job.config),
        publish_timeout: longest_send(brokers, &job.publish),
        subscriptions,
        ..JobSettings::new(&job.name)
    };
    let made = Job::new(runtime, &module, settings).map_err(|e| mistake(config, &path, e.to_string(), ""))?;
    Ok(LoadedJob { config: job.clone(), job: made, inboxes })
}

fn component(config: &Config, runtime: &Runtime, path: &[&str], file: &std::path::Path, has_build: bool) -> Result<Module, Box<Mistake>> {
    let help = match (file.exists(), has_build) {
        (true, _) => "",
        (false, true) => "build it first: `longshore build`, or `longshore run --build`",
        (false, false) => "the path is relative to the configuration file; a `build` command beside it lets Longshore build it",
    };
    runtime.load(file).map_err(|e| mistake(config, path, e.to_string(), help))
}

fn mistake(config: &Config, path: &[&str], problem: String, help: &str) -> Box<Mistake> {
    Box::new(config.mistake(&KeyPath::of(path.iter().copied()), problem, help))
}

/// What the handler may publish to, bound to open brokers by `way`.
fn outlets(brokers: &Brokers, grants: &[PublishConfig], output: Option<String>, way: fn(&Opened) -> Option<Outlet>) -> Outlets {
    let mut outlets = Outlets { output, ..Outlets::default() };
    for grant in grants {
        let Some(outlet) = brokers.get(&grant.broker).and_then(way) else { continue };
        let broker = index(&mut outlets.brokers, outlet);
        outlets.grants.push(Grant { topics: grant.topics.clone(), alias: grant.alias.clone(), broker });
    }
    outlets
}

fn index(brokers: &mut Vec<Outlet>, outlet: Outlet) -> usize {
    brokers.iter().position(|b| b.broker == outlet.broker).unwrap_or_else(|| {
        brokers.push(outlet);
        brokers.len() - 1
    })
}

/// The longest that a `send` can take: every try of it, and the waits between. The call's own deadline bounds it besides.
fn longest_send(brokers: &Brokers, grants: &[PublishConfig]) -> Duration {
    let longest = |o: &Opened| (o.config.publish_timeout + o.config.publish_retry.max_delay) * o.config.publish_retry.max_attempts;
    grants.iter().filter_map(|g| brokers.get(&g.broker)).map(longest).max().unwrap_or_default()
}

fn values(config: &std::collections::BTreeMap<String, Secret>) -> HashMap<String, String> {
    config.iter().map(|(key, value)| (key.clone(), value.expose().to_owned())).collect()
}

fn describe(name: &str, module: &Module) -> String {
    let digest = module.digest().to_string();
    match module.version() {
        Some(version) => format!("{name} {version} sha256:{digest}"),
        None => format!("{name} sha256:{digest}"),
    }
}

/// What is done about duplicates: remembered by the broker itself, or in a store.
fn dedup(s: &SubscriptionConfig, open: &Open<'_>) -> Option<Dedup> {
    let (config, group) = (s.dedup.as_ref()?, s.group.as_deref()?);
    let able = open.brokers.get(&s.broker)?.config.registration.capabilities;
    let store = s.inbox_store(able).and_then(|name| open.stores.get(name));
    let inbox = store.map(|store| stores::inbox(store, &s.broker, group, config.times));
    // Whatever seeds a table of the standard library differs from process to process.
    let process = RandomState::new().hash_one((std::process::id(), Clock::system().now()));
    Some(Dedup { key: config.key.clone(), times: config.times, inbox, process })
}

fn planned(s: &SubscriptionConfig, open: &Open<'_>, outlets: &Outlets, limits: longshore_core::Limits, component: &str) -> Planned {
    let opened = open.brokers.get(&s.broker);
    let reconnect = opened.map(|o| o.config.reconnect);
    let policy = Policy {
        info: Arc::new(SubscriptionInfo {
            name: s.name.clone(),
            handler: s.handler.clone(),
            group: s.group.clone(),
            broker: s.broker.clone(),
            order: s.order,
            max_attempts: s.retry.max_attempts,
        }),
        subscribe: s.subscribe(),
        delivery: s.delivery,
        concurrency: s.concurrency,
        max_bytes_in_flight: s.max_bytes_in_flight,
        batching: s.batching,
        retry: s.retry.clone(),
        dead_letter: s.dead_letter.clone(),
        breaker: s.breaker,
        max_deliveries: s.max_deliveries,
        dedup: dedup(s, open),
        limits,
        outlets: outlets.clone(),
        home: opened.and_then(|opened| opened.home(&s.own)),
        component: component.to_owned(),
        reconnect: reconnect.unwrap_or_default(),
        seed: Clock::system().now(),
    };
    Planned { policy, path: s.path.clone() }
}
