//! The reading half of a lane: new entries from the group, retries that are due, and what consumers left that are gone.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Fix, Room, Source};
use redis::{RedisError, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::decode;
use super::keys::{LaneKeys, Presence};
use super::losses::Seen;
use super::own::LostGroup;
use super::reader::{Answer, Reader};
use super::scripts;
use crate::chunk::Chunk;
use crate::redis::alarms::Alarm;
use crate::redis::entry::{int, list, text};
use crate::redis::errors::foreign_answer;
use crate::redis::server::Server;
use crate::redis::sizes::Sizes;

type Result<T> = std::result::Result<T, BrokerError>;

/// Longest time between two looks for what other hosts scheduled or left.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time between two looks for what consumers left that are gone.
const CLAIM: Duration = Duration::from_secs(5);

/// Entries that were trimmed while somebody had them are over: their content is gone.
pub(super) const TRIMMED: &str = "were trimmed from the stream before they were finished";
/// The server forgets who had them.
pub(super) const DELETED: &str = "were deleted from the stream before they were finished";
const UNREAD: &str = "were trimmed from the stream before the group read them";

/// Which connection something came over.
#[derive(Clone, Copy)]
enum Way {
    /// One of the pool, which is opened again by whoever needs it.
    Commands,
    /// The reader's own: when it is gone, so is the lane.
    Reads,
}

/// The reading half.
pub(super) struct StreamSource {
    server: Arc<Server>,
    keys: Arc<LaneKeys>,
    presence: Arc<Presence>,
    seen: Arc<Seen>,
    reader: Reader,
    max_wait: Duration,
    lost_group: LostGroup,
    alarm: Alarm,
    look_at: Instant,
    claim_at: Instant,
    /// What others left is still to be taken over, in a lane that sits alone: it stands before all that is new.
    inherits: bool,
    watch_at: Instant,
    /// A look under way, at most one. It is kept between fetches, so that a dropped fetch loses nothing.
    looking: JoinSet<std::result::Result<Value, RedisError>>,
    /// Whether retries come first where both are there.
    retries_first: bool,
    chunk: Chunk,
    brought_at: Instant,
    sizes: Sizes,
}

impl StreamSource {
    pub(super) fn new(server: Arc<Server>, presence: Arc<Presence>, seen: Arc<Seen>, reader: Reader, alarm: Alarm) -> Self {
        let (now, inherits) = (Instant::now(), presence.keys.exclusive);
        StreamSource {
            server,
            keys: presence.keys.clone(),
            presence,
            seen,
            reader,
            max_wait: LOOK,
            lost_group: LostGroup::default(),
            alarm,
            look_at: now,
            claim_at: now,
            inherits,
            watch_at: now,
            looking: JoinSet::new(),
            retries_first: true,
            chunk: Chunk::default(),
            brought_at: now,
            sizes: Sizes::default(),
        }
    }

    /// With what the subscription says.
    pub(super) fn configured(self, max_wait: Duration, lost_group: LostGroup) -> Self {
        StreamSource { max_wait, lost_group, ..self }
    }

    /// Brings something into the chunk, or nothing after a while.
    async fn bring(&mut self, room: Room) -> Result<()> {
        if self.inherits {
            return self.look(room).await;
        }
        if let Some(at) = self.alarm.heard() {
            self.look_at = self.look_at.min(at);
        }
        let due = !self.looking.is_empty() || Instant::now() >= self.look_at;
        if let Some(answer) = self.reader.ready() {
            return self.take_entries(answer);
        }
        // A read under way that has no answer says that there are no entries.
        if due && (self.retries_first || self.reader.is_asked()) {
            self.retries_first = false;
            return self.look(room).await;
        }
        self.reader.ask(self.sizes.fit(room), (!due).then_some(self.max_wait));
        let (look_at, alarm) = (self.look_at, &mut self.alarm);
        tokio::select! {
            answer = self.reader.answer() => match answer {
                Some(answer) => self.take_entries(answer),
                None => Err(BrokerError::reconnect(format!("the lane {:?} was closed", self.keys.topic))),
            },
            () = sleep_until(look_at), if !due => Ok(()),
            at = alarm.next(), if !due => {
                self.look_at = look_at.min(at);
                Ok(())
            }
        }
    }

    /// Looks for what is there besides new entries.
    async fn look(&mut self, room: Room) -> Result<()> {
        if self.looking.is_empty() {
            let (server, keys, room) = (self.server.clone(), self.keys.clone(), self.sizes.fit(room));
            let (is_old_due, watch) = (Instant::now() >= self.claim_at, Instant::now() >= self.watch_at);
            let claim = match (self.inherits, is_old_due) {
                (true, _) => "all",
                (false, true) => "old",
                (false, false) => "none",
            };
            if is_old_due {
                self.claim_at = Instant::now() + (self.keys.lease / 3).min(CLAIM);
            }
            if watch {
                self.watch_at = Instant::now() + LOOK.min(self.keys.lease / 3);
            }
            self.looking.spawn(async move {
                let mut script = keys.invoke(&scripts::RECOVER);
                script.key(&keys.later).key(&keys.later_kept);
                keys.who(&mut script);
                server.call(&keys.topic, script.arg(room).arg(claim).arg(u8::from(watch))).await
            });
        }
        let joined = self.looking.join_next().await.expect("it was begun above");
        let answer = joined.map_err(|e| BrokerError::reconnect(format!("a look at {:?} ended by a bug: {e}", self.keys.topic)))?;
        let answer = answer.map_err(|e| self.error_of_look(&e))?;
        let [next, trimmed, moved, retries, claimed, unread, last, added] = list(&answer) else {
            return Err(foreign_answer());
        };
        let longest = LOOK.min(self.keys.lease / 3);
        let wait = int(next).map_or(longest, |millis| longest.min(Duration::from_millis(millis)));
        // What was moved into the stream is read next, and more of it may wait.
        self.look_at = Instant::now() + wait;
        let trimmed = int(trimmed).unwrap_or(0);
        self.inherits &= trimmed > 0 || !list(claimed).is_empty();
        self.presence.losses.add(&self.keys, trimmed, TRIMMED);
        self.presence.losses.add(&self.keys, int(unread).unwrap_or(0), UNREAD);
        if let Some(last) = text(last).filter(|last| !last.is_empty()) {
            self.seen.note(&self.keys.topic, last, int(added).unwrap_or(0));
        }
        if int(moved).is_some_and(|moved| moved > 0) {
            tracing::debug!(topic = %self.keys.topic, "delayed messages went into the stream");
        }
        self.brought_at = Instant::now();
        let chunk = self.chunk.anew();
        decode::retries(&self.keys.topic, retries, chunk);
        decode::claimed(&self.keys.topic, claimed, chunk);
        Ok(())
    }

    fn take_entries(&mut self, answer: Answer) -> Result<()> {
        self.retries_first = true;
        let value = answer.value.map_err(|e| self.error(&e, Way::Reads))?;
        self.brought_at = answer.at;
        let chunk = self.chunk.anew();
        let Some([_, entries]) = list(&value).first().map(list) else { return Ok(()) };
        decode::entries(&self.keys.topic, entries, chunk);
        self.sizes.learn(chunk);
        Ok(())
    }

    /// What was brought so long ago that others may have it now is theirs. Beside who sits alone nobody has anything.
    fn forget_lost(&mut self) {
        if !self.keys.exclusive && !self.chunk.is_used_up() && self.brought_at.elapsed() > self.keys.lease / 3 {
            self.chunk.anew();
        }
    }

    /// What was taken over with an answer that did not come is a consumer's of this lane: the next lane takes it over from that one, before all
    /// that is new.
    fn error_of_look(&self, error: &RedisError) -> BrokerError {
        let error = self.error(error, Way::Commands);
        if self.inherits && error.fix == Fix::Retry { BrokerError::reconnect(error.what) } else { error }
    }

    fn error(&self, error: &RedisError, way: Way) -> BrokerError {
        let told = error.to_string();
        if !told.contains("NOGROUP") && !told.contains("UNBLOCKED") {
            return match way {
                Way::Commands => super::acks::lane_error(&self.server, &self.keys, error),
                Way::Reads => self.server.lost(error),
            };
        }
        let (group, topic) = (&self.keys.group, &self.keys.topic);
        let what = format!("group {group:?} of topic {topic:?} is gone from the server");
        tracing::error!(broker = %self.server.name, "{what}: somebody removed it, or the server lost it");
        match self.lost_group {
            LostGroup::Replay => BrokerError::reconnect(format!("{what}; making it again, to read all that is there")),
            LostGroup::Stop => {
                BrokerError::give_up(format!("{what}; make it again where it should read on: XGROUP CREATE {topic} {group} <id>"))
            }
        }
    }
}

impl Source for StreamSource {
    fn fetch<'a>(&'a mut self, room: Room, into: &'a mut Batch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.forget_lost();
            while self.chunk.is_used_up() {
                if self.presence.losses.take_news() {
                    return Ok(());
                }
                self.bring(room).await?;
                self.forget_lost();
            }
            self.chunk.hand_over(room, into);
            Ok(())
        })
    }

    fn take_lost(&mut self) -> u64 {
        self.presence.losses.take()
    }
}
