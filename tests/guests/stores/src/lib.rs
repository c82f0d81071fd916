//! Touches the store that its payload names (`cache`, `key-value` or `lock`), in the bucket or under the name after it, and publishes how
//! that went: `ok`, or the error's text. `compute` asks a cache for a value that takes a while to make, and counts how often that is done. `leak`, `trap` and `wait` take a lock and do not let it go: they forget it, panic, or wait for one
//! that is held.

use std::time::Duration;

use longshore_sdk::{Error, Failure, Message, OrFail, Outgoing, cache, key_value, lock};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<Outgoing, Failure> {
    let text = message.text()?;
    let (store, name) = text.split_once(' ').or_reject("a payload is `cache|compute|key-value|lock|leak|trap|wait <name>`")?;
    let tried = match store {
        "cache" => try_cache(name),
        "compute" => try_compute(name),
        "key-value" => try_key_value(name),
        "lock" => try_lock(name),
        "leak" => lock::acquire(name, MINUTE, Duration::ZERO).map(std::mem::forget),
        "trap" => {
            let _guard = lock::acquire(name, MINUTE, Duration::ZERO)?;
            panic!("with a lock in its hands")
        }
        "wait" => {
            let _guard = lock::acquire(name, MINUTE, Duration::ZERO)?;
            lock::acquire("charge:held", MINUTE, MINUTE).map(drop)
        }
        _ => return Err(Failure::reject(format!("no store is called {store}"))),
    };
    let went = tried.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    Ok(Outgoing::output().key(store).payload(went))
}

fn try_cache(name: &str) -> Result<(), Error> {
    let bucket = cache::open(name)?;
    bucket.set("touched", "yes", Some(SECOND))?;
    expect(bucket.get("touched")?)
}

fn try_compute(name: &str) -> Result<(), Error> {
    let bucket = cache::open(name)?;
    let value = bucket.get_or_compute("page", Some(MINUTE), || {
        bucket.increment("computed", 1, None)?;
        std::thread::sleep(SECOND / 2);
        Ok::<_, Error>(b"yes".to_vec())
    })?;
    expect(Some(value))
}

fn try_key_value(name: &str) -> Result<(), Error> {
    let bucket = key_value::open(name)?;
    bucket.set("touched", "yes")?;
    expect(bucket.get("touched")?)
}

fn try_lock(name: &str) -> Result<(), Error> {
    let guard = lock::acquire(name, SECOND, Duration::ZERO)?;
    guard.renew(SECOND)?;
    guard.keep()?;
    if !guard.is_held() {
        return Err(Error::Other("it was not kept".to_owned()));
    }
    guard.release()
}

fn expect(value: Option<Vec<u8>>) -> Result<(), Error> {
    if value.as_deref() == Some(b"yes") { Ok(()) } else { Err(Error::Other("it was not kept".to_owned())) }
}
