//! What runs in this process, told as the admin crate's data.

use longshore_admin::model::{HandlerStatus, SubscriptionState, SubscriptionStatus};
use longshore_engine::{Activity, BreakerState};

use super::Running;
use crate::app::running::{Running as Runs, RunningSubscription};

impl Running for Runs {
    fn handlers(&self) -> Vec<HandlerStatus> {
        let of_handlers = self.handlers.iter().map(|h| HandlerStatus {
            name: h.name.clone(),
            component: h.component.to_string(),
            version: h.instances.as_ref().and_then(|i| i.version.clone()),
            digest: h.instances.as_ref().map(|i| i.digest.clone()),
            subscriptions: h.subscriptions.iter().map(told).collect(),
        });
        let of_jobs = self.pulled.chunk_by(|a, b| a.handler == b.handler).map(|pulled| HandlerStatus {
            name: pulled[0].handler.clone(),
            component: String::new(),
            version: None,
            digest: None,
            subscriptions: pulled.iter().map(told).collect(),
        });
        of_handlers.chain(of_jobs).collect()
    }

    fn consumed(&self, broker: &str) -> u64 {
        Runs::consumed(self, broker)
    }

    fn set_paused(&self, name: &str, paused: bool) -> Vec<String> {
        let meant = self.subscriptions().filter(|s| s.name == name || s.handler == name);
        let switched = meant.map(|s| {
            if paused {
                s.gate.pause()
            } else {
                s.gate.resume()
            }
            s.name.clone()
        });
        switched.collect()
    }
}

fn told(s: &RunningSubscription) -> SubscriptionStatus {
    let activity = s.status.activity().borrow().clone();
    let (state, error) = match activity {
        Activity::Connecting => (SubscriptionState::Starting, None),
        Activity::Running if s.gate.is_paused() => (SubscriptionState::Paused, None),
        Activity::Running if matches!(s.status.breaker(), BreakerState::Open(_)) => (SubscriptionState::BreakerOpen, None),
        Activity::Running => (SubscriptionState::Running, None),
        Activity::Waiting(why) => (SubscriptionState::Reconnecting, Some(why)),
        Activity::Stopped(why) => (SubscriptionState::Stopped, why),
    };
    SubscriptionStatus {
        name: s.name.clone(),
        handler: s.handler.clone(),
        broker: s.broker.clone(),
        topics: s.topics.iter().map(ToString::to_string).collect(),
        group: s.group.clone(),
        state,
        guarantee: String::new(),
        in_flight: s.status.in_flight() as u64,
        lag: None,
        retries: None,
        ok: s.status.done(),
        failed: s.status.retried() + s.status.dead(),
        dead: s.status.dead(),
        duplicates: s.status.duplicates(),
        error,
    }
}
