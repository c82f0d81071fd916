//! At most so many requests for each customer and window of time, over all hosts that share the store; what is over the limit waits for the
//! next window and uses no attempt.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_sdk::{Failure, Message, OrFail, Outgoing, cache, config};

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<Outgoing, Failure> {
    let customer = message.key().and_then(|key| std::str::from_utf8(key).ok()).or_reject("a request has a key: its customer")?;
    let (limit, window): (i64, Duration) = (setting("limit", 10), Duration::from_secs(setting("window-seconds", 60)));

    // The number of the window is part of the key, so that every host counts in the same one and an old count is of no meaning.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).or_retry("the clock stands before 1970")?;
    let number = now.as_millis() / window.as_millis();
    // One step in the store: no two hosts get the same number. It goes by itself once nobody can need it.
    let count = cache::open("rates")?.increment(&format!("{customer}:{number}"), 1, Some(window * 2))?;
    if count > limit {
        let until = window.as_millis() * (number + 1) - now.as_millis();
        return Err(Failure::snooze(Duration::from_millis(u64::try_from(until).unwrap_or(u64::MAX))));
    }
    Ok(Outgoing::to("admitted").key(customer).header("window", number.to_string()).payload(message.payload()))
}

/// A number of the handler's `config`.
fn setting<T: std::str::FromStr>(name: &str, usual: T) -> T {
    config::get(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use longshore_sdk::testing::{Host, Message};

    use super::*;

    fn request(customer: &str) -> Message {
        Message::new("requests").key(customer).payload("hello")
    }

    #[test]
    fn so_many_are_admitted_and_the_next_waits_for_the_next_window() {
        // Thirty years: no test sees the end of such a window.
        let host = Host::new().config("limit", "2").config("window-seconds", "1000000000");
        for n in 1..=4 {
            let done = host.run(handle, request("ada"));
            match n {
                1 | 2 => assert_eq!((done.outcome, done.outputs[0].text().as_str()), (Ok(()), "hello"), "{n}"),
                _ => assert!(matches!(done.outcome, Err(Failure::Snooze(wait)) if wait <= Duration::from_secs(1_000_000_000)), "{n}"),
            }
        }
        assert_eq!(host.run(handle, request("grace")).outcome, Ok(()), "each customer has a count of their own");
    }

    #[test]
    fn a_request_without_a_customer_is_rejected() {
        let done = Host::new().run(handle, Message::new("requests").payload("hello"));
        assert!(matches!(done.outcome, Err(Failure::Reject(reason)) if reason.contains("customer")));
    }
}
