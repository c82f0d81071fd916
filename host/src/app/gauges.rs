//! Gauges that have to be asked of brokers and stores: health, lag, depth. Asked in the background, so that reading metrics never waits for a broker.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use longshore_admin::Need;
use longshore_core::headers::DEAD_REASON;
use longshore_core::{Clock, GroupInfo, Page, TopicInfo, Topics};
use tokio_util::sync::CancellationToken;

use super::metrics::{Asked, HostMetrics, Sample};
use super::ready;
use super::running::Running;
use super::tasks::Failure;
use crate::opened::{Brokers, Opened};
use crate::stores::OpenedStore;

/// How often they are asked.
const ASK: Duration = Duration::from_secs(5);

/// Asks brokers until `stop`.
pub(super) async fn of_brokers(
    brokers: Brokers,
    running: Arc<Running>,
    metrics: HostMetrics,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let clock = Clock::system();
    loop {
        let mut samples = Vec::new();
        let now = clock.now();
        for opened in brokers.values() {
            opened.traffic.read(now, running.consumed(&opened.config.name));
        }
        for opened in brokers.values() {
            ask(opened, &running, &mut samples).await;
        }
        metrics.set_samples(Asked::Brokers, samples);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ASK) => {}
        }
    }
}

/// Asks stores until `stop`, apart from brokers, which may take their time. Each comes with what readiness hears of it.
pub(super) async fn of_stores(stores: Vec<(OpenedStore, Need)>, metrics: HostMetrics, stop: CancellationToken) -> Result<(), Failure> {
    loop {
        metrics.set_samples(Asked::Stores, join_all(stores.iter().map(|(store, need)| ask_store(store, need))).await);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ASK) => {}
        }
    }
}

/// One that does not answer leaves the host not ready: what its handlers do with it fails.
async fn ask_store(store: &OpenedStore, need: &Need) -> Sample {
    let (name, trouble) = (&store.config.name, store.trouble().await);
    match &trouble {
        None => need.met(),
        Some(why) => need.unmet(ready::of_store(name, why)),
    }
    Sample::new("longshore_store_health", &[("store", name)], if trouble.is_none() { 1.0 } else { 0.0 })
}

async fn ask(opened: &Opened, running: &Running, samples: &mut Vec<Sample>) {
    let (name, bound) = (&opened.config.name, opened.config.ping_timeout);
    let pinged = tokio::time::timeout(bound, opened.roles.connection.ping()).await;
    let healthy = matches!(pinged, Ok(Ok(())));
    samples.push(Sample::new("messaging_broker_health", &[("broker", name)], if healthy { 1.0 } else { 0.0 }));
    if let Some(open) = opened.roles.connection.connections() {
        samples.push(Sample::new("longshore_broker_connections", &[("broker", name), ("state", "open")], open as f64));
    }
    // What a broker does not tell in time is absent, not 0.
    if let Some(groups) = &opened.roles.groups
        && let Ok(Ok(groups)) = tokio::time::timeout(bound, groups.list()).await
    {
        lags(name, &groups, running, samples);
    }
    if let Some(topics) = &opened.roles.topics
        && let Ok(Ok(list)) = tokio::time::timeout(bound, topics.list()).await
    {
        depths(name, topics.as_ref(), &list, bound, samples).await;
    }
}

fn lags(broker: &str, groups: &[GroupInfo], running: &Running, samples: &mut Vec<Sample>) {
    for s in running.subscriptions().filter(|s| s.broker == broker) {
        let mut mine = groups.iter().filter(|g| s.reads(&g.group, &g.topic)).peekable();
        if mine.peek().is_some()
            && let Some(lag) = mine.map(|g| g.lag).sum::<Option<u64>>()
        {
            samples.push(Sample::new("longshore_lag", &[("subscription", &s.name)], lag as f64));
        }
    }
}

/// Messages kept by topic; of dead letters apart.
async fn depths(broker: &str, topics: &dyn Topics, list: &[TopicInfo], bound: Duration, samples: &mut Vec<Sample>) {
    for topic in list {
        let newest = tokio::time::timeout(bound, topics.browse(&topic.name, Page::Before(u64::MAX, 1))).await;
        let dead = matches!(newest, Ok(Ok(batch)) if !batch.is_empty() && batch.row(0).header(DEAD_REASON).is_some());
        let name = if dead { "longshore_dead_letter_depth" } else { "longshore_topic_depth" };
        samples.push(Sample::new(name, &[("broker", broker), ("topic", &topic.name)], topic.messages as f64));
    }
}
