//! A line whenever a subscription did something: what became of how many messages since the last line.

use std::collections::HashMap;

use longshore_admin::Client;
use longshore_admin::control::HandlerControl;
use longshore_admin::model::SubscriptionStatus;

use crate::cli::session::{Need, find_host};
use crate::config::Config;

/// What was told last.
#[derive(Default)]
pub(super) struct Tail {
    host: Option<Client>,
    told: HashMap<String, [u64; 3]>,
}

impl Tail {
    /// Asks the host, if it is there yet, and tells what is new.
    pub(super) async fn look(&mut self, config: &Config) {
        if self.host.is_none() {
            self.host = find_host(config, Need::All).await.ok().flatten();
        }
        let Some(host) = &self.host else { return };
        let Ok(handlers) = host.handlers().await else { return };
        for subscription in handlers.iter().flat_map(|h| &h.subscriptions) {
            if let Some(line) = self.news(subscription) {
                eprintln!("{line}");
            }
        }
    }

    fn news(&mut self, s: &SubscriptionStatus) -> Option<String> {
        let now = [s.ok, s.failed, s.dead];
        let before = self.told.insert(s.name.clone(), now).unwrap_or_default();
        let more = now.into_iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let parts: Vec<String> =
            more.zip(["ok", "failed", "dead"]).filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (!parts.is_empty()).then(|| format!("{}: {}", s.name, parts.join(", ")))
    }
}
