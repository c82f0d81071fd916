//! The host at a glance and its brokers. A broker that hangs costs its ping timeout and nothing else.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use longshore_admin::control::{Answer, BrokerControl, HandlerControl};
use longshore_admin::model::{BrokerCapabilities, BrokerStatus, Health, Ping, Provided, Status};
use longshore_admin::{ControlError, Kind};
use longshore_core::{BoxFuture, Capabilities, Flag, Registration};
use tokio::time::Instant;

use super::HostControl;
use super::asked::Asked;

/// What the host makes up for where a broker lacks it: dead letters are messages on a topic, which any broker that takes messages can keep.
const BY_HOST: Capabilities = Capabilities::of(&[Flag::DeadLetterQueue]);

impl BrokerControl for HostControl {
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move {
            let (brokers, stores, handlers) = futures::join!(self.brokers(), self.stores(), self.handlers());
            Ok(Status {
                version: env!("CARGO_PKG_VERSION").into(),
                pid: std::process::id(),
                config: Some(self.file.display().to_string()),
                started_at: self.started_at,
                ready: self.readiness.is_ready(),
                missing: self.readiness.missing(),
                brokers: brokers?,
                stores,
                handlers: handlers?,
            })
        })
    }

    fn brokers(&self) -> Answer<'_, Vec<BrokerStatus>> {
        Box::pin(async move { Ok(join_all(self.brokers.iter().map(|broker| self.look_at(broker))).await) })
    }

    fn ping<'a>(&'a self, broker: &'a str) -> Answer<'a, Ping> {
        Box::pin(async move { Ok(ping(self.broker(Some(broker))?).await) })
    }

    fn capabilities<'a>(&'a self, broker: &'a str) -> Answer<'a, BrokerCapabilities> {
        Box::pin(async move {
            let broker = &self.broker(Some(broker))?.config;
            Ok(capabilities(Some(&broker.name), &broker.registration))
        })
    }
}

impl HostControl {
    fn look_at<'a>(&'a self, broker: &'a Asked) -> BoxFuture<'a, BrokerStatus> {
        Box::pin(async move {
            let ping = ping(broker).await;
            let (mut topics, mut messages, mut groups, mut error) = (None, None, None, ping.error.clone());
            if ping.up {
                match within(broker, count(broker)).await {
                    Ok(counts) => (topics, messages, groups) = counts,
                    Err(e) => error = Some(e.message),
                }
            }
            let status = match (ping.up, &error) {
                (true, None) => Health::Healthy,
                (true, Some(_)) => Health::Degraded,
                (false, _) => Health::Unhealthy,
            };
            let now = self.clock.now();
            let consumed = self.running.as_ref().map(|running| running.consumed(&broker.config.name));
            if ping.up {
                broker.last_ping.store(now, Ordering::Relaxed);
            }
            BrokerStatus {
                name: broker.config.name.clone(),
                kind: broker.config.registration.name.into(),
                status,
                healthy: status == Health::Healthy,
                connected: ping.up,
                last_ping_at: Some(broker.last_ping.load(Ordering::Relaxed)).filter(|at| *at > 0),
                ping_ms: ping.up.then_some(ping.took_ms),
                uptime_ms: ping.up.then(|| now.saturating_sub(broker.opened_at)),
                connections: broker.roles().ok().and_then(|roles| roles.connection.connections()),
                request_rate: consumed.and_then(|consumed| broker.traffic.rate(now, consumed)),
                published: consumed.map(|_| broker.traffic.published()),
                consumed,
                topics,
                messages,
                groups,
                settings: broker.config.shown.clone(),
                error,
            }
        })
    }
}

/// What a type of broker can do, and who provides it.
pub(crate) fn capabilities(broker: Option<&str>, registration: &Registration) -> BrokerCapabilities {
    let own = registration.capabilities;
    let by = |flag| match (own.has(flag), BY_HOST.has(flag) && own.has(Flag::Publish)) {
        (true, _) => Provided::Broker,
        (false, true) => Provided::Host,
        (false, false) => Provided::No,
    };
    BrokerCapabilities {
        broker: broker.map(Into::into),
        kind: registration.name.into(),
        tier: own.tier().map(|tier| tier.name().into()),
        flags: Flag::ALL.into_iter().map(|flag| (flag.name().into(), by(flag))).collect(),
    }
}

async fn ping(broker: &Asked) -> Ping {
    let start = Instant::now();
    let answer = match broker.connection() {
        Ok(connection) => within(broker, async { connection.ping().await.map_err(|e| broker.told(e)) }).await,
        Err(error) => Err(error),
    };
    Ping {
        broker: broker.config.name.clone(),
        up: answer.is_ok(),
        took_ms: start.elapsed().as_secs_f64() * 1000.0,
        error: answer.err().map(|e| e.message),
    }
}

type Counts = (Option<u64>, Option<u64>, Option<u64>);

/// Topics, their messages, and groups, as far as the broker has such things.
async fn count(broker: &Asked) -> Result<Counts, ControlError> {
    let roles = broker.roles()?;
    let (mut topics, mut messages, mut groups) = (None, None, None);
    if let Some(role) = &roles.topics {
        let list = role.list().await.map_err(|e| broker.told(e))?;
        (topics, messages) = (Some(list.len() as u64), Some(list.iter().map(|t| t.messages).sum()));
    }
    if let Some(role) = &roles.groups {
        let mut names: Vec<String> = role.list().await.map_err(|e| broker.told(e))?.into_iter().map(|g| g.group).collect();
        names.sort_unstable();
        names.dedup();
        groups = Some(names.len() as u64);
    }
    Ok((topics, messages, groups))
}

async fn within<T>(broker: &Asked, what: impl Future<Output = Result<T, ControlError>>) -> Result<T, ControlError> {
    let timeout = broker.config.ping_timeout;
    match tokio::time::timeout(timeout, what).await {
        Ok(answer) => answer,
        Err(_) => Err(broker.told(ControlError::new(Kind::Timeout, format!("no answer within {timeout:?}")))),
    }
}
