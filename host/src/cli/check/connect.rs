//! Asking every broker whether it has and allows what the configuration wants of it, and every store whether it answers. Nothing is changed there.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use longshore_core::{BrokerError, Finding, Fix, Intent};

use super::stores;
use crate::cli::failure::Failure;
use crate::cli::output::line;
use crate::cli::session::open_one;
use crate::config::{BrokerConfig, Config, KeyPath, Mistake, SubscriptionConfig};
use crate::opened::{Opened, close};

/// How long a broker may take to answer one question.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// What was found, told like mistakes in the file.
#[derive(Default)]
struct Found {
    mistakes: Vec<Mistake>,
    advice: Vec<Mistake>,
    /// What may be right another time.
    unreachable: Vec<Mistake>,
}

impl Found {
    fn failed(&mut self, config: &Config, path: &KeyPath, error: BrokerError) {
        match error.fix {
            Fix::GiveUp => self.mistakes.push(config.mistake(path, error.what, "")),
            Fix::Retry | Fix::Reconnect => {
                let help = "see whether the server runs, and whether this is where it is";
                self.unreachable.push(config.mistake(path, error.what, help));
            }
        }
    }
}

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let mut all = Found::default();
    for (broker, found) in config.brokers.values().zip(join_all(config.brokers.values().map(|broker| ask(config, broker))).await) {
        let Asked { found, says } = found;
        line(&format!("broker {} ({}): {says}", broker.name, broker.registration.name))?;
        all.mistakes.extend(found.mistakes);
        all.advice.extend(found.advice);
        all.unreachable.extend(found.unreachable);
    }
    let asked = join_all(config.stores.values().map(|store| stores::ask(config, store))).await;
    for (store, (says, answer)) in config.stores.values().zip(asked) {
        line(&format!("store {} ({}): {says}", store.name, store.registration.name))?;
        if let Err(error) = answer {
            all.failed(config, &KeyPath::of(["stores", &store.name]), error);
        }
    }
    let look = crate::cli::look();
    if !all.advice.is_empty() {
        eprintln!("{}", config.mistakes(all.advice).pictures(look).trim_end());
    }
    let told = |list: Vec<Mistake>| config.mistakes(list).pictures(look);
    match (all.mistakes.is_empty(), all.unreachable.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(Failure::unreachable(told(all.unreachable))),
        (false, _) => Err(Failure::usage(told([all.mistakes, all.unreachable].concat()))),
    }
}

/// What one broker answered.
struct Asked {
    found: Found,
    /// In a word.
    says: String,
}

async fn ask(config: &Config, broker: &BrokerConfig) -> Asked {
    let mut asking = Asking { config, broker, found: Found::default() };
    if let Some(holder) = (broker.registration.holder)(broker.settings.clone(), &config.folder) {
        return Asked { found: asking.found, says: format!("in use by process {}", holder.pid) };
    }
    match open_one(config, broker).await {
        Err(failed) => asking.failed(&asking.path(), failed.error),
        Ok(opened) => {
            asking.everything(&opened).await;
            close(&[(broker.name.clone(), opened)].into(), CLOSE).await;
        }
    }
    let says = match &asking.found {
        Found { unreachable, .. } if !unreachable.is_empty() => "unreachable",
        Found { mistakes, .. } if !mistakes.is_empty() => "not as it is needed",
        _ => "healthy",
    };
    Asked { found: asking.found, says: says.into() }
}

/// One broker that is asked.
struct Asking<'a> {
    config: &'a Config,
    broker: &'a BrokerConfig,
    found: Found,
}

impl Asking<'_> {
    fn path(&self) -> KeyPath {
        KeyPath::of(["brokers", &self.broker.name])
    }

    async fn everything(&mut self, opened: &Opened) {
        let (roles, path) = (&opened.roles, self.path());
        let alive = within(async { roles.connection.ping().await.map(|()| Vec::new()) }).await;
        self.take(&path, alive);
        if !self.found.unreachable.is_empty() {
            return;
        }
        self.take(&path, within(roles.connection.check_server()).await);
        for (path, intent) in self.intents() {
            if let Some(consumer) = &roles.consumer {
                self.take(&path, within(consumer.check(&intent)).await);
            }
        }
        for (path, topic) in self.destinations() {
            if let Some(publisher) = &roles.publisher {
                self.take(&path, within(publisher.check(&topic)).await);
            }
        }
    }

    /// What is subscribed to on this broker.
    fn intents(&self) -> Vec<(KeyPath, Intent)> {
        let intent = |s: &SubscriptionConfig| {
            let handler = self.config.handlers.get(&s.handler).map(|handler| handler.limits);
            let deadline = handler.or_else(|| Some(self.config.jobs.get(&s.handler)?.limits)).unwrap_or_default().deadline;
            let subscribe = match &s.copied {
                Some(copied) if copied.broker == self.broker.name => s.subscribe_to_copy(copied),
                _ => s.subscribe(),
            };
            Intent { subscribe, deadline }
        };
        let of = |s: &&SubscriptionConfig| s.broker == self.broker.name || s.named_broker() == self.broker.name;
        self.config.subscriptions().filter(of).map(|s| (s.path.clone(), intent(s))).collect()
    }

    /// What is published to on this broker, each once: what is granted by its name, and dead letters.
    fn destinations(&self) -> Vec<(KeyPath, String)> {
        let (handlers, jobs) = (self.config.handlers.values(), self.config.jobs.values());
        let grants = handlers.flat_map(|h| &h.publish).chain(jobs.flat_map(|j| &j.publish));
        let granted = grants.filter(|grant| grant.broker == self.broker.name && !grant.topics.is_wild());
        let granted = granted.map(|grant| (grant.path.clone(), grant.topics.as_str().to_owned()));
        let dead = self.config.subscriptions().filter(|s| s.broker == self.broker.name).flat_map(|s| {
            let group = s.group.as_deref().unwrap_or(&s.handler);
            let topics = s.topics.iter().filter(|topic| !topic.is_wild());
            topics.filter_map(move |topic| Some((s.path.key("dead-letter"), s.dead_letter.destination(topic.as_str(), group)?)))
        });
        let mut seen = BTreeSet::new();
        granted.chain(dead).filter(|(_, topic)| seen.insert(topic.clone())).collect()
    }

    fn take(&mut self, path: &KeyPath, answer: Result<Vec<Finding>, BrokerError>) {
        let findings = match answer {
            Ok(findings) => findings,
            Err(error) => return self.failed(path, error),
        };
        for Finding { is_mistake, key, problem, help } in findings {
            let path = if key.is_empty() { path.clone() } else { path.key(key) };
            let mistake = self.config.mistake(&path, problem, help);
            if is_mistake { self.found.mistakes.push(mistake) } else { self.found.advice.push(mistake) }
        }
    }

    fn failed(&mut self, path: &KeyPath, error: BrokerError) {
        self.found.failed(self.config, path, error);
    }
}

async fn within(answer: impl Future<Output = Result<Vec<Finding>, BrokerError>>) -> Result<Vec<Finding>, BrokerError> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(BrokerError::retry(format!("no answer within {ANSWER:?}"))),
    }
}
