//! Whose trouble it is when the brokers refuse a transaction: that of one lane where its record will not pass, and everybody's else.

use std::collections::BTreeSet;

use longshore_core::{BrokerError, Fix, PublishError, SettleError};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::desk::{Entry, Trouble};
use super::member::Membership;
use super::post::Fate;
use super::rights::{self, WRITE};
use super::{publisher, trouble};

/// Of records that were not taken, each with its answer.
pub(super) fn of_records(member: &Membership, batch: &[Entry], fates: &[Vec<Fate>]) -> Trouble {
    let mut later = None;
    for (at, (entry, fates)) in batch.iter().zip(fates).enumerate() {
        for (index, fate) in fates.iter().enumerate() {
            let Err(code) = *fate else { continue };
            if matches!(code, Code::PurgeQueue | Code::PurgeInflight) {
                continue;
            }
            let (topic, output) = entry.record(index);
            let error = publisher::refused(&member.broker, topic, code);
            let passes = matches!(error, PublishError::Timeout | PublishError::Unavailable(_));
            let what = output.map_or_else(|| not_kept(topic), |_| format!("an output cannot be published to {topic:?}"));
            let told = BrokerError::retry(trouble::of_code(&what, code).what);
            match output {
                _ if passes => {
                    later.get_or_insert(told);
                }
                Some(index) => return Trouble::Of(at, SettleError::Output { index, error }),
                None => return Trouble::Of(at, told.into()),
            }
        }
    }
    Trouble::Later(later.unwrap_or_else(|| BrokerError::retry(format!("group {:?}: a transaction came to nothing", member.group))))
}

/// Of a right to a topic that our user lacks. The client does not tell which topic, so the brokers are asked. Blocks.
pub(super) fn of_a_right(member: &Membership, batch: &[Entry], error: BrokerError) -> Trouble {
    let written: BTreeSet<String> =
        batch.iter().flat_map(|entry| (0..entry.records()).map(|index| entry.record(index).0.to_owned())).collect();
    let topics: Vec<String> = written.into_iter().collect();
    let told = match rights::of_topics(member.broker.admin.inner(), &topics, member.broker.patience()) {
        Ok(told) => told,
        Err(code) => return Trouble::Later(BrokerError::retry(trouble::of_code(&error.what, code).what)),
    };
    let is_denied = |topic: &str| match told.get(topic) {
        Some(Ok(told)) => told.rights.lack(WRITE),
        Some(Err(code)) => *code == Code::TopicAuthorizationFailed,
        None => false,
    };
    for (at, entry) in batch.iter().enumerate() {
        let denied = (0..entry.records()).map(|index| entry.record(index)).find(|(topic, _)| is_denied(topic));
        let Some((topic, output)) = denied else { continue };
        let how = format!(
            "our user has no right to write to it: kafka-acls.sh --add --allow-principal User:NAME --operation Write --topic {topic}"
        );
        return Trouble::Of(
            at,
            match output {
                Some(index) => SettleError::Output { index, error: PublishError::Denied(format!("topic {topic:?}: {how}")) },
                None => BrokerError::retry(format!("{}: {how}", not_kept(topic))).into(),
            },
        );
    }
    // It was given meanwhile, or it is the right to read what was read.
    Trouble::Later(BrokerError { fix: Fix::Retry, ..error })
}

/// Such a message is not lost: it is tried again for as long as it takes.
fn not_kept(topic: &str) -> String {
    format!("a retry cannot be kept in topic {topic:?}")
}
