//! Subscribing: the consuming role, and what it asks of the server.

use std::sync::Arc;

use futures::stream;
use longshore_core::{BoxFuture, BrokerError, Consumer, Finding, Intent, Lanes, Start, Subscribe};

use super::check;
use super::roles::Shared;
use super::subscription::Subscription;
use crate::redis::position::EntryId;

/// The consuming role.
pub(super) struct StreamConsumer(pub(super) Arc<Shared>);

impl Consumer for StreamConsumer {
    fn subscribe(&self, subscribe: Subscribe) -> BoxFuture<'_, Result<Lanes, BrokerError>> {
        Box::pin(async move {
            let mut subscription = Subscription::new(self.0.clone(), subscribe)?;
            subscription.open_first().await?;
            Ok(Box::pin(stream::unfold(subscription, |mut subscription| async move {
                let lane = subscription.next().await;
                Some((lane, subscription))
            })) as Lanes)
        })
    }

    fn check<'a>(&'a self, intent: &'a Intent) -> BoxFuture<'a, Result<Vec<Finding>, BrokerError>> {
        Box::pin(check::subscription(&self.0.server, intent))
    }
}

/// The id behind which a new group begins; empty where it must have a position already. An error says what is wrong with the start.
pub(super) fn start_id(start: &Start) -> Result<String, String> {
    match start {
        Start::Earliest => Ok("0".into()),
        Start::Latest => Ok("$".into()),
        Start::None => Ok(String::new()),
        Start::Time(millis) => Ok(EntryId { millis: *millis, number: 0 }.before().to_string()),
        Start::Position(text) => {
            let whole = if text.contains('-') { text.clone() } else { format!("{text}-0") };
            let id = EntryId::parse(&whole).ok_or_else(|| format!("{text:?} is no id of a stream entry"))?;
            Ok(id.before().to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_the_id_before_the_first_that_is_wanted() {
        let check = |start: Start, id: &str| assert_eq!(start_id(&start).as_deref(), Ok(id));
        check(Start::Earliest, "0");
        check(Start::Latest, "$");
        check(Start::None, "");
        check(Start::Time(1000), "999-18446744073709551615");
        check(Start::Position("5-3".into()), "5-2");
        check(Start::Position("5".into()), "4-18446744073709551615");
        assert!(start_id(&Start::Position("soon".into())).is_err());
    }
}
