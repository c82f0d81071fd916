//! Locks on the server: a string for each that is held, `longshore:lock:name`, with the server's own time to live, and one number, the last
//! fence of all. Each operation is one script, so one step and one round trip.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use longshore_core::{Held, HeldPage, KeyPattern, Owner, StoreError};
use redis::{Cmd, FromRedisValue, Script, ScriptInvocation, Value, from_redis_value};
use serde::{Deserialize, Serialize};

use super::said;
use super::scan::page;
use crate::leases::{Claim, Register, Taken, WAITS, Which};
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, StoreError>;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/take.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/renew.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/end.lua")));

/// The locks of a store.
pub(super) struct OnServer {
    server: Arc<Server>,
    /// What the keys of locks begin with.
    locks: String,
    /// What the keys begin with that say who waits.
    waits: String,
    /// The key of the last fence.
    fence: String,
}

/// Who holds a lock, as it stands in its value.
#[derive(Serialize, Deserialize)]
struct Told {
    host: String,
    handler: String,
    message: String,
}

impl OnServer {
    pub(super) fn new(server: Arc<Server>, prefix: &str) -> Self {
        let (locks, waits) = (format!("{prefix}:lock:"), format!("{prefix}:lock-waits:"));
        OnServer { server, locks, waits, fence: format!("{prefix}:lock-fence") }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.locks)
    }

    async fn call<T: FromRedisValue>(&self, key: &str, script: &ScriptInvocation<'_>) -> Result<T> {
        self.server.call(key, script).await.map_err(|error| said::about(&self.server, key, &error))
    }

    /// Those of these locks that are held.
    async fn look(&self, names: Vec<String>) -> Result<Vec<Held>> {
        let keys: Vec<String> = names.iter().map(|name| self.key(name)).collect();
        let of_key = |command: &str, key: &str| -> Cmd {
            let mut asked = redis::cmd(command);
            asked.arg(key);
            asked
        };
        let mut asked = vec![(self.locks.as_str(), redis::cmd("TIME"))];
        for key in &keys {
            asked.extend(["GET", "PTTL"].map(|command| (key.as_str(), of_key(command, key))));
        }
        let about = |key: &str, error| said::about(&self.server, key, &error);
        let mut answers = self.server.pipeline(asked).await.into_iter();
        let mut next = |key: &str| answers.next().ok_or_else(foreign)?.map_err(|error| about(key, error));
        let (seconds, micros): (u64, u64) = from_redis_value(next(&self.locks)?).map_err(|_| foreign())?;
        let now = seconds * 1000 + micros / 1000;
        let mut found = Vec::new();
        for (name, key) in names.into_iter().zip(&keys) {
            let value: Option<String> = from_redis_value(next(key)?).map_err(|_| foreign())?;
            let left: i64 = from_redis_value(next(key)?).map_err(|_| foreign())?;
            // Its time may be over between the two.
            if let (Some(value), Ok(left)) = (value, u64::try_from(left)) {
                found.push(read(name, &value, Duration::from_millis(left), now).ok_or_else(|| no_lock(key))?);
            }
        }
        Ok(found)
    }
}

impl Register for OnServer {
    async fn take(&self, claim: &Claim, _again: bool) -> Result<Taken> {
        let key = self.key(&claim.name);
        let Owner { host, handler, message } = claim.holder.clone();
        let holder = serde_json::to_string(&Told { host, handler, message }).map_err(|error| StoreError::Other(error.to_string()))?;
        let mut script = TAKE.key(&key);
        script.key(&self.fence).arg(&claim.token).arg(holder).arg(millis(claim.ttl));
        let answer: Vec<Value> = self.call(&key, &script).await?;
        let mut answer = answer.into_iter();
        let mut next = || answer.next().ok_or_else(foreign);
        let number = |value: Value| from_redis_value::<i64>(value).map_err(|_| foreign());
        match number(next()?)? {
            1 => Ok(Taken::Yes { fence: from_redis_value(next()?).map_err(|_| foreign())?, mark: 0 }),
            0 => {
                let left = Duration::from_millis(u64::try_from(number(next()?)?).unwrap_or(0));
                Ok(Taken::No { left, token: from_redis_value(next()?).map_err(|_| foreign())? })
            }
            _ => Err(no_lock(&key)),
        }
    }

    async fn renew(&self, claim: &Claim, _fence: u64, _mark: u64, ttl: Duration) -> Result<Option<u64>> {
        let key = self.key(&claim.name);
        let mut script = RENEW.key(&key);
        script.arg(&claim.token).arg(millis(ttl));
        Ok(self.call::<bool>(&key, &script).await?.then_some(0))
    }

    async fn end(&self, name: &str, which: Which<'_>) -> Result<bool> {
        let (key, (token, fence)) = (
            self.key(name),
            match which {
                Which::Token(token, _) => (token, String::new()),
                Which::Fence(fence) => ("", fence.to_string()),
            },
        );
        let mut script = END.key(&key);
        script.arg(token).arg(fence);
        self.call(&key, &script).await
    }

    async fn held(&self, name: &str) -> Result<Option<Held>> {
        Ok(self.look(vec![name.to_owned()]).await?.pop())
    }

    async fn list(&self, pattern: &KeyPattern, cursor: Option<&str>) -> Result<HeldPage> {
        let page = page(&self.server, &self.locks, pattern, cursor).await?;
        Ok(HeldPage { held: self.look(page.keys).await?, next: page.next })
    }

    async fn say_waiting(&self, name: &str, seat: &str) -> Result<()> {
        let (key, mut command) = (format!("{}{name}", self.waits), redis::cmd("SET"));
        command.arg(&key).arg(seat).arg("PX").arg(millis(WAITS));
        self.server.try_run(&key, &command).await.map_err(|error| said::about(&self.server, &key, &error))
    }

    async fn others_wait(&self, name: &str, seat: &str) -> Result<bool> {
        let (key, mut command) = (format!("{}{name}", self.waits), redis::cmd("GET"));
        command.arg(&key);
        let waits: Option<String> = self.server.try_run(&key, &command).await.map_err(|error| said::about(&self.server, &key, &error))?;
        Ok(waits.is_some_and(|other| other != seat))
    }
}

/// What a value says: `<fence> <since> <token> <holder>`.
fn read(name: String, value: &str, left: Duration, now: u64) -> Option<Held> {
    let mut parts = value.splitn(4, ' ');
    let (fence, since, _token) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let Told { host, handler, message } = serde_json::from_str(parts.next()?).ok()?;
    let age = Duration::from_millis(now.saturating_sub(since));
    Some(Held { name, holder: Owner { host, handler, message }, fence, age, left })
}

/// Never less than is asked for.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

fn no_lock(key: &str) -> StoreError {
    StoreError::Other(format!("the key {key:?} on the server is no lock of ours: delete it there, or choose another prefix"))
}

fn foreign() -> StoreError {
    StoreError::Other("the server answers as no Redis does".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_who_holds_the_lock_and_since_when() {
        let value = r#"17 1000 seat-1 {"host":"a b/7","handler":"h","message":"m 1"}"#;
        let held = read("l".into(), value, Duration::from_secs(1), 3000).expect("it is one");
        let holder = Owner { host: "a b/7".into(), handler: "h".into(), message: "m 1".into() };
        assert_eq!(held, Held { name: "l".into(), holder, fence: 17, age: Duration::from_secs(2), left: Duration::from_secs(1) });
        for foreign in ["", "x", "17 1000 seat-1", "17 1000 seat-1 {}", "x 1000 t {}"] {
            assert_eq!(read("l".into(), foreign, Duration::ZERO, 0), None, "{foreign:?}");
        }
    }
}
