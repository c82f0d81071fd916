//! Asking every broker whether it has and allows what the configuration wants of it, and every store whether it answers. Nothing is changed there.

use std::time::Duration;

use futures::future::join_all;
use longshore_core::{BrokerError, Finding, Fix, Intent};

use super::stores;
use crate::cli::failure::Failure;
use crate::cli::output::line;
use crate::cli::session::open_one;
use crate::config::{BrokerConfig, Config, KeyPath, Mistake, SubscriptionConfig};
use crate::findings::{told, within};
use crate::opened::{Opened, close};

/// How long a broker may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// What was found, told like mistakes in the file.
#[derive(Default)]
struct Found {
    mistakes: Vec<Mistake>,
    advice: Vec<Mistake>,
    /// What may be right another time.
    unreachable: Vec<Mistake>,
    /// What no other configuration mends.
    broken: Vec<Mistake>,
}

impl Found {
    fn failed(&mut self, config: &Config, path: &KeyPath, error: BrokerError) {
        match error.fix {
            Fix::GiveUp => self.mistakes.push(config.mistake(path, error.what, "")),
            Fix::Repair => self.broken.push(config.mistake(path, error.what, "")),
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
        all.broken.extend(found.broken);
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
    let told = |lists: &[Vec<Mistake>]| config.mistakes(lists.concat()).pictures(look);
    let Found { mistakes, unreachable, broken, .. } = all;
    match (mistakes.is_empty(), broken.is_empty(), unreachable.is_empty()) {
        (true, true, true) => Ok(()),
        (true, true, false) => Err(Failure::unreachable(told(&[unreachable]))),
        (true, false, _) => Err(Failure::failed(told(&[broken, unreachable]))),
        (false, ..) => Err(Failure::usage(told(&[mistakes, broken, unreachable]))),
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
        Found { mistakes, broken, .. } if !mistakes.is_empty() || !broken.is_empty() => "not as it is needed",
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
        for (path, topic) in self.config.published_on(&self.broker.name) {
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
            Some((s.path.clone(), Intent { subscribe: s.asked_of(&self.broker.name)?, deadline }))
        };
        self.config.subscriptions().filter_map(intent).collect()
    }

    fn take(&mut self, path: &KeyPath, answer: Result<Vec<Finding>, BrokerError>) {
        let findings = match answer {
            Ok(findings) => findings,
            Err(error) => return self.failed(path, error),
        };
        for finding in findings {
            let list = if finding.is_mistake { &mut self.found.mistakes } else { &mut self.found.advice };
            list.push(told(self.config, path, finding));
        }
    }

    fn failed(&mut self, path: &KeyPath, error: BrokerError) {
        self.found.failed(self.config, path, error);
    }
}
