//! A bucket on the server.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use longshore_core::{Bucket, KeyPage, KeyPattern, Left, MAX_COUNT, StoreAnswer, StoreError};
use redis::{Cmd, FromRedisValue, Script, Value, from_redis_value};

use super::said;
use super::scan::page;
use crate::counter::{beyond, no_number};
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, StoreError>;

static SWAP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/swap.lua")));
static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/increment.lua")));

/// One bucket.
pub(super) struct OnServer {
    pub(super) server: Arc<Server>,
    /// What its keys begin with.
    pub(super) start: String,
}

impl OnServer {
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.start)
    }

    async fn run<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T> {
        self.server.try_run(key, command).await.map_err(|error| said::about(&self.server, key, &error))
    }

    /// Commands in one go; the answers of all, or the first error.
    async fn all(&self, commands: Vec<(String, Cmd)>) -> Result<Vec<Value>> {
        if let [(key, command)] = commands.as_slice() {
            return Ok(vec![self.run(key, command).await?]);
        }
        let asked = commands.iter().map(|(key, command)| (key.as_str(), command.clone())).collect();
        let answers = self.server.pipeline(asked).await;
        let told = |((key, _), answer): (&(String, Cmd), redis::RedisResult<Value>)| {
            answer.map_err(|error| said::about(&self.server, key, &error))
        };
        commands.iter().zip(answers).map(told).collect()
    }

    fn setting(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> (String, Cmd) {
        let (key, mut command) = (self.key(key), redis::cmd("SET"));
        command.arg(&key).arg(value);
        if let Some(ttl) = ttl {
            command.arg("PX").arg(millis(ttl));
        }
        (key, command)
    }
}

impl Bucket for OnServer {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        // Not MGET, to which a key of another type is one that is not there.
        let getting = |key: &String| {
            let (key, mut command) = (self.key(key), redis::cmd("GET"));
            command.arg(&key);
            (key, command)
        };
        Box::pin(async move {
            let values = self.all(keys.iter().map(getting).collect()).await?;
            values.into_iter().map(|value| from_redis_value(value).map_err(|_| foreign())).collect()
        })
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        Box::pin(async move { self.all(entries.iter().map(|(key, value)| self.setting(key, value, ttl)).collect()).await.map(drop) })
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        Box::pin(async move {
            let Some(expected) = expected else {
                let (key, mut command) = self.setting(key, value, ttl);
                return Ok(self.run::<Value>(&key, command.arg("NX")).await? != Value::Nil);
            };
            let key = self.key(key);
            let mut script = SWAP.key(&key);
            script.arg(expected).arg(value).arg(span(ttl));
            self.server.call(&key, &script).await.map_err(|error| said::about(&self.server, &key, &error))
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        Box::pin(async move {
            if by.unsigned_abs() > MAX_COUNT {
                return Err(beyond(key));
            }
            let on_server = self.key(key);
            let mut script = INCREMENT.key(&on_server);
            script.arg(by).arg(span(ttl));
            let answer: String =
                self.server.call(&on_server, &script).await.map_err(|error| said::about(&self.server, &on_server, &error))?;
            match answer.as_str() {
                "no number" => Err(no_number(key)),
                "beyond" => Err(beyond(key)),
                sum => sum.parse().map_err(|_| foreign()),
            }
        })
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        Box::pin(async move {
            let keys: Vec<String> = keys.iter().map(|key| self.key(key)).collect();
            let Some(first) = keys.first() else { return Ok(0) };
            self.run(first, redis::cmd("UNLINK").arg(&keys)).await
        })
    }

    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left> {
        Box::pin(async move {
            let key = self.key(key);
            let left: i64 = self.run(&key, redis::cmd("PTTL").arg(&key)).await?;
            Ok(match u64::try_from(left) {
                Ok(left) => Left::Span(Duration::from_millis(left)),
                Err(_) if left == -1 => Left::Forever,
                Err(_) => Left::Missing,
            })
        })
    }

    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        Box::pin(page(&self.server, &self.start, pattern, cursor))
    }
}

/// A span for a script.
fn span(ttl: Option<Duration>) -> String {
    ttl.map(|ttl| millis(ttl).to_string()).unwrap_or_default()
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn foreign() -> StoreError {
    StoreError::Other("the server answers as no Redis does".into())
}
