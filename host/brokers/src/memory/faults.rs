//! Faults on purpose, for tests of what stands on a broker: they are put around a broker's roles and change nothing inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use longshore_core::{
    Acks, Batch, BoxFuture, BrokerError, Consumer, Lane, Lanes, Outbox, PublishError, Publisher, Receipts, Roles, Room, SettleError,
    Settled, Source, Span, Subscribe,
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;

/// What goes wrong, and when. Chance is drawn from `seed`, so that a run can be had again.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Faults {
    /// Time that every publish, fetch and settlement takes longer.
    pub delay: Span,
    /// Publishes and settlements that are refused, and work when tried again.
    pub refuse: When,
    /// Publishes, fetches and settlements at which the connection is lost.
    pub drop: When,
    /// Messages that are delivered twice.
    pub double: When,
    /// Where chance begins.
    pub seed: u64,
}

/// When a fault happens: each that is set is reason enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct When {
    /// The first so many times.
    pub first: u64,
    /// Every so many times: 3 is the third, the sixth, …; 0 is never.
    pub every: u64,
    /// This share of all times, from 0 to 1, by chance.
    pub rate: f64,
}

impl When {
    /// Whether it happens the `count`th time, from 1.
    fn happens(self, count: u64, seed: u64) -> bool {
        let chance = mix(seed ^ count) as f64 / u64::MAX as f64;
        count <= self.first || (self.every > 0 && count.is_multiple_of(self.every)) || chance < self.rate
    }
}

/// Splitmix64: spreads close numbers over all numbers.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The faults of one broker and how often each could have happened.
struct Fate {
    faults: Faults,
    refused: AtomicU64,
    dropped: AtomicU64,
    doubled: AtomicU64,
}

impl Fate {
    fn refuses(&self) -> bool {
        self.faults.refuse.happens(self.refused.fetch_add(1, Ordering::Relaxed) + 1, self.faults.seed)
    }

    fn doubles(&self) -> bool {
        self.faults.double.happens(self.doubled.fetch_add(1, Ordering::Relaxed) + 1, self.faults.seed)
    }

    /// Waits, and perhaps loses the connection.
    async fn pass(&self) -> Result<(), BrokerError> {
        if !self.faults.delay.is_zero() {
            sleep(self.faults.delay.get()).await;
        }
        if self.faults.drop.happens(self.dropped.fetch_add(1, Ordering::Relaxed) + 1, self.faults.seed) {
            return Err(BrokerError::reconnect("the connection was dropped on purpose"));
        }
        Ok(())
    }
}

/// Puts faults around the roles that carry messages.
pub(super) fn around(roles: Roles, faults: &Faults) -> Roles {
    if *faults == Faults::default() {
        return roles;
    }
    let fate = Arc::new(Fate { faults: faults.clone(), refused: 0.into(), dropped: 0.into(), doubled: 0.into() });
    let publisher = roles.publisher.map(|inner| Arc::new(Faulty { inner, fate: fate.clone() }) as Arc<dyn Publisher>);
    let consumer = roles.consumer.map(|inner| Arc::new(Faulty { inner, fate }) as Arc<dyn Consumer>);
    Roles { publisher, consumer, ..roles }
}

/// Something with a fate.
struct Faulty<T> {
    inner: T,
    fate: Arc<Fate>,
}

type Answers = Vec<Result<String, PublishError>>;

impl Publisher for Faulty<Arc<dyn Publisher>> {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Answers, BrokerError>> {
        Box::pin(async move {
            self.fate.pass().await?;
            if self.fate.refuses() {
                return Ok(vec![Err(PublishError::Unavailable("refused on purpose".into())); outbox.len()]);
            }
            self.inner.publish(outbox).await
        })
    }

    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        self.inner.request(outbox, timeout)
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        self.inner.is_reply_address(topic)
    }
}

impl Consumer for Faulty<Arc<dyn Consumer>> {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let lanes = self.inner.subscribe(subscribe).await?;
            let fate = self.fate.clone();
            Ok(lanes.map(move |lane| lane.map(|lane| doom(lane, &fate))).boxed())
        })
    }
}

fn doom(lane: Lane, fate: &Arc<Fate>) -> Lane {
    let source = Doubling { inner: lane.source, fate: fate.clone(), doubles: Batch::default() };
    let acks = Faulty { inner: lane.acks, fate: fate.clone() };
    Lane { source: Box::new(source), acks: Box::new(acks), ..lane }
}

/// A source that brings some messages twice.
struct Doubling {
    inner: Box<dyn Source>,
    fate: Arc<Fate>,
    doubles: Batch,
}

impl Source for Doubling {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move {
            self.fate.pass().await?;
            if !self.doubles.is_empty() {
                // One at a time: whatever the room, there is always room for one.
                into.push_from(&self.doubles, 0);
                let rest = std::mem::take(&mut self.doubles);
                (1..rest.len()).for_each(|i| self.doubles.push_from(&rest, i));
                return Ok(());
            }
            let before = into.len();
            self.inner.fetch(room, into).await?;
            for i in (before..into.len()).filter(|_| self.fate.doubles()) {
                self.doubles.push_from(into, i);
            }
            Ok(())
        })
    }
}

impl Acks for Faulty<Box<dyn Acks>> {
    fn settle<'a>(&'a mut self, round: &'a Settled) -> BoxFuture<'a, Result<(), SettleError>> {
        Box::pin(async move {
            self.fate.pass().await?;
            if self.fate.refuses() {
                return Err(BrokerError::retry("refused on purpose").into());
            }
            self.inner.settle(round).await
        })
    }

    fn close(self: Box<Self>, open: Receipts) -> BoxFuture<'static, Result<(), BrokerError>> {
        self.inner.close(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_by_count_or_by_rate() {
        let happening = |when: When| (1..=9).filter(|count| when.happens(*count, 1)).collect::<Vec<_>>();
        assert_eq!(happening(When::default()), [0u64; 0]);
        assert_eq!(happening(When { first: 2, ..When::default() }), [1, 2]);
        assert_eq!(happening(When { every: 3, ..When::default() }), [3, 6, 9]);
        let rate = When { rate: 0.25, ..When::default() };
        let count = (1..=10_000).filter(|count| rate.happens(*count, 7)).count();
        assert!((2300..2700).contains(&count), "a quarter of 10,000 is not {count}");
    }
}
