//! From `subscribe` lists to trusted values.

use std::collections::BTreeMap;
use std::time::Duration;

use longshore_core::{DeadLetterPolicy, DedupTimes, Delivery, Fetch, Flag, OwnKeys, Pattern, Span, Start};

use super::assemble::{Assembly, DEFAULT_BROKER};
use super::elements::{Dedup, Mode, Policy, Subscription};
use super::mistake::Mistake;
use super::node::Node;
use super::own_keys::Extended;
use super::path::KeyPath;
use super::start::{FORMS, start};
use super::trusted::{Copied, DedupConfig, SubscriptionConfig};

/// What adapters add to an entry of `subscribe`.
pub(crate) const SUBSCRIPTION: Extended = Extended::new::<Subscription>(|adapter| adapter.subscription);

/// How long a pull waits at a broker that does not say.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// Keys of the common ones that mean nothing where a job asks for messages itself.
pub(crate) const NOT_FOR_JOBS: [&str; 2] = ["batch", "concurrency"];

/// The subscriptions of a handler.
pub(crate) fn of_handler(assembly: &mut Assembly<'_>, handler: &str, node: &Node, path: &KeyPath) -> Vec<SubscriptionConfig> {
    let mut made = entries(assembly, handler, node, Some(node), path);
    tell_apart(&mut made);
    made
}

/// The subscriptions of a job.
pub(crate) fn of_job(assembly: &mut Assembly<'_>, job: &str, node: &Node, path: &KeyPath) -> Vec<SubscriptionConfig> {
    for (i, entry) in list(node).iter().enumerate() {
        for key in NOT_FOR_JOBS {
            if let Some(value) = entry.get(key) {
                let path = path.key("subscribe").index(i).key(key);
                let mistake = Mistake::new(&path, &value.place, format!("`{key}` means nothing in a job, which asks for messages itself"));
                assembly.tell(mistake.help("take it out"));
            }
        }
    }
    entries(assembly, job, node, None, path)
}

fn list(node: &Node) -> &[Node] {
    node.get("subscribe").map(Node::list).unwrap_or_default()
}

fn entries(assembly: &mut Assembly<'_>, owner: &str, node: &Node, layer: Option<&Node>, path: &KeyPath) -> Vec<SubscriptionConfig> {
    let path = path.key("subscribe");
    let whole = list(node).iter().enumerate().filter(|(_, entry)| !entry.is_broken());
    whole.filter_map(|(i, entry)| one(assembly, owner, entry, layer, &path.index(i))).collect()
}

fn one(assembly: &mut Assembly<'_>, owner: &str, entry: &Node, layer: Option<&Node>, path: &KeyPath) -> Option<SubscriptionConfig> {
    let raw: Subscription = assembly.read(assembly.layers.own(&SUBSCRIPTION.common(entry)), entry, path)?;
    let merged = assembly.layers.policy(assembly.tree.get("defaults"), layer, entry);
    let policy: Policy = assembly.read(merged.json(), entry, path)?;
    let topics = topics(assembly, &raw, entry, path);
    let start = begin(assembly, &raw, entry, path);
    let dedup = policy.dedup.dedup().and_then(|raw| dedup(assembly, &raw, merged.get("dedup").unwrap_or(entry), path));
    let named = raw.broker.clone().unwrap_or_else(|| DEFAULT_BROKER.into());
    let short = raw.name.clone().unwrap_or_else(|| topics.iter().map(Pattern::as_str).collect::<Vec<_>>().join("+"));
    let wait = raw.fetch.max_wait.map(Span::get).or_else(|| assembly.kinds.get(&named)?.max_wait).unwrap_or(USUAL_WAIT);
    let asked = group(assembly, &raw, owner, &named);
    let own = SUBSCRIPTION.own(assembly, entry, &named, path);
    let forgets = assembly.kinds.get(&named).is_some_and(|kind| kind.forgets.is_some());
    let (broker, group, own, copied) = match raw.persist.then(|| log(assembly, &named, entry, path)).flatten() {
        Some(log) => {
            let group = raw.group.clone().unwrap_or_else(|| owner.into());
            (log, Some(group), OwnKeys::default(), Some(Copied { broker: named, group: asked, own }))
        }
        None => (named, asked, own, None),
    };
    // What nobody keeps is delivered once at most, and what fails goes nowhere.
    let once = forgets && copied.is_none();
    let dead_letter = if once { DeadLetterPolicy { topic: None, ..policy.dead_letter.policy() } } else { policy.dead_letter.policy() };
    Some(SubscriptionConfig {
        name: format!("{owner}/{short}"),
        handler: owner.into(),
        broker,
        topics,
        group,
        order: raw.order.into(),
        delivery: if once { Delivery::AtMostOnce } else { raw.delivery.into() },
        start,
        fetch: Fetch { max_messages: raw.fetch.max_messages.unwrap_or(policy.max_in_flight), max_wait: wait },
        concurrency: policy.concurrency,
        max_in_flight: policy.max_in_flight,
        max_bytes_in_flight: policy.max_bytes_in_flight.length(),
        batching: policy.batch.batching(),
        retry: policy.retry.policy(),
        dead_letter,
        breaker: policy.circuit_breaker.breaker(),
        dedup,
        max_deliveries: policy.max_deliveries,
        own,
        copied,
        path: path.clone(),
    })
}

/// The group. Where nothing is said about it, a broker without groups is consumed without one.
fn group(assembly: &Assembly<'_>, raw: &Subscription, owner: &str, broker: &str) -> Option<String> {
    let has_groups = assembly.kinds.get(broker).is_none_or(|adapter| adapter.capabilities.has(Flag::ConsumerGroups));
    let queue = match raw.mode {
        Some(mode) => mode == Mode::Queue,
        None => has_groups || raw.group.is_some(),
    };
    queue.then(|| raw.group.clone().unwrap_or_else(|| owner.into()))
}

/// The broker that keeps copies: the embedded one of the configuration.
fn log(assembly: &mut Assembly<'_>, from: &str, entry: &Node, path: &KeyPath) -> Option<String> {
    let from_kind = *assembly.kinds.get(from)?;
    let place = &entry.get("persist").unwrap_or(entry).place;
    if from_kind.capabilities.has(Flag::AckNack) {
        let problem = format!("the broker {from:?} ({}) keeps its messages by itself", from_kind.name);
        assembly.tell(Mistake::new(&path.key("persist"), place, problem).help("take it out"));
        return None;
    }
    let kept = assembly.kinds.iter().find(|(_, kind)| kind.in_process && kind.capabilities.has(Flag::Durable));
    let kept = kept.map(|(name, _)| name.clone());
    if kept.is_none() {
        let mistake = Mistake::new(&path.key("persist"), place, "there is no embedded broker that could keep the copies");
        assembly.tell(mistake.help("add [brokers.log] with type = \"embedded\""));
    }
    kept
}

fn begin(assembly: &mut Assembly<'_>, raw: &Subscription, entry: &Node, path: &KeyPath) -> Start {
    let place = &entry.get("start").unwrap_or(entry).place;
    start(&raw.start.0).unwrap_or_else(|| {
        let problem = format!("the time {:?} lacks its date, its time of day or its offset", raw.start.0);
        assembly.tell(Mistake::new(&path.key("start"), place, problem).help(FORMS));
        Start::default()
    })
}

fn dedup(assembly: &mut Assembly<'_>, raw: &Dedup, node: &Node, path: &KeyPath) -> Option<DedupConfig> {
    let times = DedupTimes { window: raw.window.get(), lease: raw.lease.get() };
    match raw.key.parse() {
        Ok(key) => Some(DedupConfig { key, times, store: raw.store.clone() }),
        Err(why) => {
            let place = &node.get("key").unwrap_or(node).place;
            assembly.tell(Mistake::new(&path.key("dedup").key("key"), place, why).help("write key = \"id\", for one"));
            None
        }
    }
}

fn topics(assembly: &mut Assembly<'_>, raw: &Subscription, entry: &Node, path: &KeyPath) -> Vec<Pattern> {
    let mut made = Vec::new();
    for (key, texts) in [("topic", raw.topic.as_slice()), ("patterns", raw.patterns.as_slice())] {
        let node = entry.get(key).unwrap_or(entry);
        for text in texts {
            let Some(pattern) = assembly.pattern(text, node, &path.key(key)) else { continue };
            if pattern.is_wild() && key == "topic" {
                let mistake = Mistake::new(&path.key(key), &node.place, format!("{text:?} is a pattern"));
                assembly.tell(mistake.help(format!("write patterns = [{text:?}]")));
            }
            made.push(pattern);
        }
    }
    if made.is_empty() && assembly.mistakes.is_empty_below(path) {
        let mistake = Mistake::new(path, &entry.place, "neither a topic nor patterns are given");
        assembly.tell(mistake.help(r#"add topic = "orders", or patterns = ["orders.*"]"#));
    }
    made
}

/// Makes equal names different: by their broker, then by a number.
fn tell_apart(subscriptions: &mut [SubscriptionConfig]) {
    for by_number in [false, true] {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        subscriptions.iter().for_each(|s| *seen.entry(s.name.clone()).or_default() += 1);
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for subscription in subscriptions.iter_mut().filter(|s| seen[&s.name] > 1) {
            let number = count.entry(subscription.name.clone()).or_default();
            *number += 1;
            let mark = if by_number { format!("#{number}") } else { format!("@{}", subscription.broker) };
            subscription.name.push_str(&mark);
        }
    }
}
