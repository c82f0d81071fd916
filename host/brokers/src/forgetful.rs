//! What brokers that keep nothing have in common: what they are asked and cannot do.

use longshore_core::{BrokerError, SettleError, Settled, TopicSettings};

/// Nothing is to be told to a broker that keeps nothing. What is to come again would be lost.
pub(crate) fn settle(round: &Settled) -> Result<(), SettleError> {
    if round.again.is_empty() {
        return Ok(());
    }
    Err(BrokerError::give_up("this broker keeps nothing, so no message of it comes again: consume from it at most once").into())
}

/// Refuses topics that are to be kept in some way; `instead` is the kind of broker that keeps them.
pub(crate) fn check_topics(topics: &[(String, TopicSettings)], instead: Option<&str>) -> Result<(), BrokerError> {
    let kept = topics.iter().find(|(_, TopicSettings { retention, max_size, until_finished, own: _ })| {
        retention.is_some() || max_size.is_some() || *until_finished
    });
    let Some((topic, _)) = kept else { return Ok(()) };
    let what = "nothing is kept here, so retention, max-size and until-finished mean nothing";
    Err(BrokerError::give_up(format!("topic {topic:?}: {what}; take them out, or use {}", instead.unwrap_or("another kind of broker"))))
}

#[cfg(test)]
mod tests {
    use longshore_core::{Fix, Receipt};

    use super::*;

    #[test]
    fn what_is_to_come_again_or_to_be_kept_is_refused() {
        let mut round = Settled::default();
        round.finished.push(Receipt { position: 1, token: &[] });
        assert_eq!(settle(&round), Ok(()));
        round.again.push(Receipt { position: 2, token: &[] });
        assert!(matches!(settle(&round), Err(SettleError::Broker(error)) if error.fix == Fix::GiveUp));
        let kept = TopicSettings { max_size: Some(1), ..TopicSettings::default() };
        let topics = [("a".to_owned(), TopicSettings::default()), ("b".to_owned(), kept)];
        assert_eq!(check_topics(&topics[..1], None), Ok(()));
        let error = check_topics(&topics, Some("nats-jetstream")).expect_err("b is to be kept");
        assert!(error.what.contains("\"b\"") && error.what.contains("nats-jetstream"), "{error}");
    }
}
