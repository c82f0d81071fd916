//! A bucket on the server.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::HeaderMap;
use futures::{StreamExt, TryStreamExt, stream};
use longshore_core::{Bucket, KeyPage, KeyPattern, Left, StoreAnswer, StoreError};

use super::Server;
use super::ask::{Failed, Wrote};
use super::clock::ServerClock;
use super::entry::{Entry, OPERATION, Value};
use super::expiry::Expiry;
use super::keys;
use super::stream::{Info, Purpose};
use crate::counter;

type Result<T> = std::result::Result<T, StoreError>;

/// Questions of one call that are on their way at once.
const WINDOW: usize = 256;
/// How often in a row somebody else may be faster before a change is given up.
const TRIES: usize = 256;
/// What a message expects of its subject: the last sequence, 0 for none.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// What removes a key is removed itself after that: everybody who watches has seen it, and nothing of the key is left.
const MARKER_TTL: &str = "1s";

/// One bucket.
pub(super) struct OnServer {
    pub(super) server: Arc<Server>,
    /// Its name on the server.
    bucket: String,
    pub(super) stream: String,
    pub(super) clock: ServerClock,
    /// The stream as it was when it was last looked at.
    known: Mutex<Option<Arc<Info>>>,
    purpose: Purpose,
}

/// What becomes of a key.
pub(super) enum Change {
    Put(Vec<u8>, Expiry),
    Purge,
}

impl Change {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Change::Put(_, expiry) => expiry.write(&mut headers),
            Change::Purge => {
                headers.insert(OPERATION, "PURGE");
                headers.insert("Nats-Rollup", "sub");
                headers.insert("Nats-TTL", MARKER_TTL);
            }
        }
        headers
    }

    fn payload(&self) -> Vec<u8> {
        match self {
            Change::Put(value, _) => value.clone(),
            Change::Purge => Vec::new(),
        }
    }
}

impl OnServer {
    pub(super) fn new(server: Arc<Server>, bucket: &str, purpose: Purpose) -> Self {
        let (stream, known, clock) = (format!("KV_{bucket}"), Mutex::default(), ServerClock::default());
        OnServer { server, bucket: bucket.into(), stream, clock, known, purpose }
    }

    /// What subjects of the bucket begin with, as the stream has them.
    pub(super) fn start(&self) -> String {
        format!("$KV.{}.", self.bucket)
    }

    pub(super) fn subject(&self, key: &str) -> Result<String> {
        let name = keys::encode(key);
        match name.len() {
            0 => Err(StoreError::Invalid("an empty key".into())),
            length if length > keys::LONGEST => {
                let (bytes, most) = (key.len(), keys::LONGEST);
                Err(StoreError::TooLarge(format!(
                    "a key of {bytes} bytes is {length} in a subject of NATS, more than the {most} that fit there"
                )))
            }
            _ => Ok(format!("{}{name}", self.start())),
        }
    }

    /// The stream, which is there now or was a while ago.
    pub(super) async fn known(&self) -> Result<Arc<Info>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.look().await,
        }
    }

    async fn look(&self) -> Result<Arc<Info>> {
        let info = Arc::new(self.server.stream(&self.bucket, self.purpose).await?);
        self.clock.hear(info.time()?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        Ok(info)
    }

    /// The server's time.
    pub(super) async fn now(&self) -> Result<u64> {
        match self.clock.now() {
            Some(now) => Ok(now),
            None => self.look().await?.time(),
        }
    }

    /// What a key holds now.
    pub(super) async fn read(&self, subject: &str) -> Result<Entry> {
        let found = match self.try_read(subject).await {
            Err(Failed::NoStream) => {
                self.look().await?;
                self.try_read(subject).await
            }
            answer => answer,
        };
        let Some(message) = found? else { return Ok(Entry::default()) };
        let kept = u64::try_from(message.time.unix_timestamp_nanos()).unwrap_or(0);
        let entry = Entry::of(message.sequence, &message.headers, kept, message.payload.into());
        Ok(if entry.has_time() { entry.at(self.now().await?) } else { entry })
    }

    async fn try_read(&self, subject: &str) -> std::result::Result<Option<async_nats::jetstream::message::StreamMessage>, Failed> {
        if self.known().await?.is_alone() {
            self.server.read_any(&self.stream, subject).await
        } else {
            self.server.read_leader(&self.stream, subject).await
        }
    }

    /// Changes a key, if `expected` is still its revision where one is given.
    pub(super) async fn write(&self, subject: &str, change: &Change, expected: Option<u64>) -> Result<Wrote> {
        self.known().await?;
        let mut headers = change.headers();
        if let Some(revision) = expected {
            headers.insert(EXPECTED, revision.to_string());
        }
        let whole = format!("{}{subject}", self.server.place);
        match self.server.write(&whole, headers.clone(), change.payload()).await {
            // Nothing took it, so nothing is done twice.
            Err(Failed::NoStream) => {
                self.look().await?;
                Ok(self.server.write(&whole, headers, change.payload()).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Changes a key as `decide` says of what it holds, and decides again whenever somebody else was faster.
    async fn change<T>(&self, key: &str, decide: impl Fn(Option<&Value>, u64) -> Result<(T, Option<Change>)>) -> Result<T> {
        let subject = self.subject(key)?;
        let _turn = self.server.turns.wait(&subject).await;
        for _ in 0..TRIES {
            let entry = self.read(&subject).await?;
            // Only a value with a time asks for it, and then it has just been heard.
            let (answer, change) = decide(entry.value.as_ref(), self.clock.now().unwrap_or(0))?;
            let Some(change) = change else { return Ok(answer) };
            if matches!(self.write(&subject, &change, Some(entry.revision)).await?, Wrote::Done(_)) {
                return Ok(answer);
            }
        }
        Err(StoreError::Unavailable(format!("others changed {key:?} {TRIES} times while this tried to: too many want it at once")))
    }
}

impl Bucket for OnServer {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            let subjects = keys.iter().map(|key| self.subject(key)).collect::<Result<Vec<_>>>()?;
            if subjects.is_empty() {
                return Ok(Vec::new());
            }
            self.known().await?;
            let reading = subjects.into_iter().map(|subject| async move { self.read(&subject).await });
            let entries: Vec<Entry> = stream::iter(reading).buffered(WINDOW).try_collect().await?;
            Ok(entries.into_iter().map(|entry| entry.value.map(|value| value.bytes)).collect())
        })
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        Box::pin(async move {
            // Of two values for one key the later counts, in whatever order they would come there.
            let mut seen = HashSet::new();
            let last = entries.iter().rev().filter(|(key, _)| seen.insert(key));
            let puts = last.map(|(key, value)| Ok((self.subject(key)?, value))).collect::<Result<Vec<_>>>()?;
            if puts.is_empty() {
                return Ok(());
            }
            self.known().await?;
            let puts = &puts;
            let putting = (0..puts.len()).map(|i| async move {
                let (subject, value) = &puts[i];
                self.write(subject, &Change::Put(value.to_vec(), Expiry::after(ttl)), None).await.map(drop)
            });
            stream::iter(putting).buffer_unordered(WINDOW).try_collect().await
        })
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        Box::pin(self.change(key, move |held, _| {
            let fits = held.map(|held| held.bytes.as_slice()) == expected;
            Ok((fits, fits.then(|| Change::Put(value.to_vec(), Expiry::after(ttl)))))
        }))
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        Box::pin(self.change(key, move |held, now| {
            let sum = counter::sum(key, held.map(|held| held.bytes.as_slice()), by)?;
            let expiry = held.map_or(Expiry::after(ttl), |held| held.expiry(now));
            Ok((sum, Some(Change::Put(sum.to_string().into_bytes(), expiry))))
        }))
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            let mut gone = 0;
            let purge = |held: Option<&Value>, _| Ok((held.is_some(), held.map(|_| Change::Purge)));
            let deleting = (0..keys.len()).map(|i| async move { self.change(&keys[i], purge).await });
            let mut answers = stream::iter(deleting).buffer_unordered(WINDOW);
            while let Some(was_there) = answers.try_next().await? {
                gone += u64::from(was_there);
            }
            Ok(gone)
        })
    }

    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left> {
        Box::pin(async move {
            let Some(value) = self.read(&self.subject(key)?).await?.value else { return Ok(Left::Missing) };
            Ok(value.left(self.clock.now().unwrap_or(0)).map_or(Left::Forever, Left::Span))
        })
    }

    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        Box::pin(self.page(pattern, cursor))
    }
}
