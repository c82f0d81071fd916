//! Orders for items of which there are only so many. One host at a time counts a shelf, under a lock; the lock's fence, checked where the count
//! is kept, holds also when a host stood still for longer than its lease.

mod shelf;

use std::time::Duration;

use longshore_sdk::{Error, Failure, Message, OrFail, Outgoing, config, lock};
use shelf::Shelf;

/// How long an order waits for its shelf before it makes room for others.
const WAIT: Duration = Duration::from_secs(2);

#[longshore_sdk::handler]
fn handle(order: &Message) -> Result<Outgoing, Failure> {
    let item = order.key().and_then(|key| std::str::from_utf8(key).ok()).or_reject("an order has a key: its item")?;
    let count: u64 = order.text()?.parse().or_reject("an order says how many")?;
    let lease = Duration::from_secs(setting("lease-seconds", 5));

    let guard = match lock::acquire(&format!("shelf:{item}"), lease, WAIT) {
        Ok(guard) => guard,
        // It is nobody's fault that others are at the shelf: no attempt is used.
        Err(Error::Timeout | Error::Conflict) => return Err(Failure::snooze(Duration::from_millis(200))),
        Err(error) => return Err(error.into()),
    };
    let shelf = Shelf::read(item, setting("stock", 20))?;
    let to = if shelf.has(order.id()) {
        "reserved"
    } else if count > shelf.left {
        "sold-out"
    } else {
        // Where the lease was lost meanwhile, the shelf may refuse: the order comes again.
        shelf.take(guard.fence(), order.id(), count)?;
        "reserved"
    };
    Ok(Outgoing::to(to).key(item).header("order", order.id()).payload(order.payload()))
}

/// A number of the handler's `config`.
fn setting(name: &str, usual: u64) -> u64 {
    config::get(name).and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use longshore_sdk::testing::{Destination, Host, Message};

    use super::*;

    fn order(id: &str, count: &str) -> Message {
        Message::new("orders").id(id).key("tea").payload(count)
    }

    fn went(host: &Host, order: Message) -> Result<String, Failure> {
        let done = host.run(handle, order);
        done.outcome.map(|()| match &done.outputs[0].to {
            Destination::Topic(topic) => topic.clone(),
            other => panic!("it goes to {other:?}"),
        })
    }

    #[test]
    fn no_more_is_reserved_than_there_is() {
        let host = Host::new().config("stock", "5");
        let all = [("a", "2"), ("b", "4"), ("c", "3"), ("d", "1")].map(|(id, count)| went(&host, order(id, count)).unwrap());
        assert_eq!(all, ["reserved", "sold-out", "reserved", "sold-out"]);
    }

    #[test]
    fn an_order_that_comes_twice_counts_once() {
        let host = Host::new().config("stock", "5");
        for _ in 0..3 {
            assert_eq!(went(&host, order("a", "4")).unwrap(), "reserved");
        }
        assert_eq!(went(&host, order("b", "1")).unwrap(), "reserved");
    }

    #[test]
    fn an_order_whose_shelf_is_taken_waits_and_uses_no_attempt() {
        let host = Host::new();
        let _other = host.enter(|| lock::acquire("shelf:tea", WAIT, Duration::ZERO)).unwrap();
        assert!(matches!(went(&host, order("a", "1")), Err(Failure::Snooze(_))));
    }

    /// A host reads, stands still for longer than its lease, and writes after another one did.
    #[test]
    fn who_comes_late_is_refused() {
        let host = Host::new().config("stock", "5");
        let (late, read) = host.enter(|| (lock::acquire("shelf:tea", WAIT, Duration::ZERO).unwrap(), Shelf::read("tea", 5).unwrap()));
        host.advance(WAIT);
        assert_eq!(went(&host, order("b", "5")).unwrap(), "reserved");
        host.enter(|| {
            assert!(!late.is_held());
            assert_eq!(read.take(late.fence(), "a", 5), Err(Error::Conflict), "what it read does not stand any more");
            let again = Shelf::read("tea", 5).unwrap();
            assert_eq!(again.take(late.fence(), "a", 0), Err(Error::Conflict), "and its fence is too small");
        });
        assert_eq!(went(&host, order("a", "1")).unwrap(), "sold-out");
    }
}
