//! The reading half of a lane: as many as there is room for in one script, and a wait for the first where there is nothing.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Room, Source};
use redis::{RedisError, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::acks::lane_error;
use super::keys::LaneKeys;
use super::roles::Shared;
use super::waiter::Waiter;
use super::{decode, scripts};
use crate::chunk::Chunk;
use crate::redis::alarms::Alarm;
use crate::redis::entry::{int, list};
use crate::redis::errors::{foreign_answer, stands};
use crate::redis::sizes::Sizes;

type Result<T> = std::result::Result<T, BrokerError>;

/// Longest time between two looks for what other hosts scheduled or left. A look is a heartbeat too.
const LOOK: Duration = Duration::from_secs(1);

/// The reading half.
pub(super) struct ListSource {
    shared: Arc<Shared>,
    keys: Arc<LaneKeys>,
    /// That the lane is there.
    _presence: Arc<()>,
    waiter: Waiter,
    max_wait: Duration,
    alarm: Alarm,
    look_at: Instant,
    /// Whether there may be more where the last came from.
    more: bool,
    /// A script under way, at most one. It is kept between fetches, so that a dropped fetch loses nothing.
    taking: JoinSet<std::result::Result<Value, RedisError>>,
    /// Whether what waited comes first where both are there.
    waited_first: bool,
    chunk: Chunk,
    sizes: Sizes,
}

impl ListSource {
    pub(super) fn new(shared: Arc<Shared>, keys: Arc<LaneKeys>, presence: Arc<()>, max_wait: Duration) -> Self {
        ListSource {
            waiter: Waiter::new(shared.clone(), keys.clone()),
            alarm: shared.alarms.listen(&keys.topic),
            shared,
            keys,
            _presence: presence,
            max_wait,
            look_at: Instant::now(),
            more: true,
            taking: JoinSet::new(),
            waited_first: true,
            chunk: Chunk::default(),
            sizes: Sizes::default(),
        }
    }

    /// Brings something into the chunk, or nothing after a while.
    async fn bring(&mut self, room: Room) -> Result<()> {
        if let Some(at) = self.alarm.heard() {
            self.look_at = self.look_at.min(at);
        }
        if self.more || !self.taking.is_empty() || Instant::now() >= self.look_at {
            return self.take(room).await;
        }
        let (look_at, alarm) = (self.look_at, &mut self.alarm);
        tokio::select! {
            came = self.waiter.wait(self.max_wait) => {
                self.more = came.map_err(stands)?;
                Ok(())
            }
            () = sleep_until(look_at) => Ok(()),
            at = alarm.next() => {
                self.look_at = look_at.min(at);
                Ok(())
            }
        }
    }

    /// Takes what is there.
    async fn take(&mut self, room: Room) -> Result<()> {
        if self.taking.is_empty() {
            let (shared, keys, count) = (self.shared.clone(), self.keys.clone(), self.sizes.fit(room));
            let (waited_first, look) = (self.waited_first, Instant::now() >= self.look_at);
            if look {
                self.look_at = Instant::now() + LOOK.min(self.keys.lease / 3);
            }
            self.waited_first = !waited_first;
            self.taking.spawn(async move {
                let mut script = keys.invoke(&scripts::TAKE);
                script.arg(&keys.consumer).arg(keys.lease_millis()).arg(count).arg(u8::from(waited_first)).arg(u8::from(look));
                shared.server.call(&keys.topic, &script).await
            });
        }
        let answer = self.taking.join_next().await.expect("one is under way");
        let answer = answer.map_err(|e| BrokerError::retry(format!("taking messages ended: {e}")))?;
        let answer = answer.map_err(|e| lane_error(&self.shared.server, &self.keys, &e))?;
        self.brought(&answer)
    }

    fn brought(&mut self, answer: &Value) -> Result<()> {
        let [fresh, waited, next, returned] = list(answer) else {
            return Err(foreign_answer());
        };
        if let Some(millis) = int(next) {
            self.look_at = self.look_at.min(Instant::now() + Duration::from_millis(millis));
        }
        if let Some(count) = int(returned).filter(|count| *count > 0) {
            tracing::warn!(topic = %self.keys.topic, group = %self.keys.group, count, "a consumer is gone: what it had comes again");
        }
        let chunk = self.chunk.anew();
        decode::waited(&self.keys.topic, waited, chunk);
        decode::fresh(&self.keys.topic, fresh, chunk);
        self.more = !chunk.is_empty();
        self.sizes.learn(chunk);
        Ok(())
    }
}

impl Source for ListSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            while self.chunk.is_used_up() {
                self.bring(room).await?;
            }
            self.chunk.hand_over(room, into);
            Ok(())
        })
    }
}
