//! Touches the store that its payload names (`cache`, `key-value` or `lock`), in the bucket or under the name after it, and publishes how
//! that went: `ok`, or the error's text.

use std::time::Duration;

use longshore_sdk::{Error, Failure, Message, OrFail, Outgoing, cache, key_value, lock};

const SECOND: Duration = Duration::from_secs(1);

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<Outgoing, Failure> {
    let text = message.text()?;
    let (store, name) = text.split_once(' ').or_reject("a payload is `cache|key-value|lock <name>`")?;
    let tried = match store {
        "cache" => try_cache(name),
        "key-value" => try_key_value(name),
        "lock" => try_lock(name),
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

fn try_key_value(name: &str) -> Result<(), Error> {
    let bucket = key_value::open(name)?;
    bucket.set("touched", "yes")?;
    expect(bucket.get("touched")?)
}

fn try_lock(name: &str) -> Result<(), Error> {
    let guard = lock::acquire(name, SECOND, Duration::ZERO)?;
    guard.renew(SECOND)?;
    guard.release()
}

fn expect(value: Option<Vec<u8>>) -> Result<(), Error> {
    if value.as_deref() == Some(b"yes") { Ok(()) } else { Err(Error::Other("it was not kept".to_owned())) }
}
