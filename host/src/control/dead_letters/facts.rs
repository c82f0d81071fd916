//! A dead letter from the message that it is: facts out of the headers, the rest as it was.

use std::time::UNIX_EPOCH;

use longshore_admin::model::{DeadFacts, DeadLetter, Line};
use longshore_core::headers;
use longshore_core::row::Row;

/// The dead letter at a position, or `None` when the message is none.
pub(super) fn dead_letter(broker: &str, position: u64, row: Row<'_>) -> Option<DeadLetter> {
    row.header(headers::DEAD_REASON)?;
    let mut message = Line::of(row.message());
    message.headers.0.retain(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    let facts = facts(row);
    message.id = Some(facts.id.clone()).filter(|id| !id.is_empty());
    if !facts.topic.is_empty() {
        message.topic = Some(facts.topic.clone());
    }
    let topic = row.topic().to_owned();
    Some(DeadLetter { id: format!("{topic}/{position}"), broker: broker.into(), topic, position, facts, message })
}

/// When it failed last; where no header tells, when it was produced.
pub(super) fn failed_at(letter: &DeadLetter) -> u64 {
    letter.facts.last_failed_at.or(letter.message.timestamp).unwrap_or(0)
}

fn facts(row: Row<'_>) -> DeadFacts {
    let text = |name: &str| row.header(name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
    let number = |name: &str| text(name).parse().ok();
    DeadFacts {
        reason: text(headers::DEAD_REASON),
        class: text(headers::DEAD_CLASS),
        message: text(headers::DEAD_MESSAGE),
        attempts: number(headers::DEAD_ATTEMPTS),
        deliveries: number(headers::DEAD_DELIVERIES),
        first_failed_at: millis(&text(headers::DEAD_FIRST_FAILED_AT)),
        last_failed_at: millis(&text(headers::DEAD_LAST_FAILED_AT)),
        source: text(headers::DEAD_SOURCE),
        topic: text(headers::DEAD_TOPIC),
        group: text(headers::DEAD_GROUP),
        id: text(headers::DEAD_ID),
        subscription: text(headers::DEAD_SUBSCRIPTION),
        component: text(headers::DEAD_COMPONENT),
        redrives: number(headers::DEAD_REDRIVES),
    }
}

fn millis(time: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(time).ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}
