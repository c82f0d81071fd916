//! The dead letter of a message: the original byte for byte, and the facts in added headers.

use longshore_core::{Batch, Message, Outbox, headers};

use crate::policy::Policy;
use crate::text::{cut, rfc3339};
use crate::verdict::{DeadReason, Fault};

/// Bytes that all added headers may take, names included.
const MAX_FACTS: usize = 4096;
/// Bytes of the failure's message.
const MAX_MESSAGE: usize = 1024;
/// Bytes of any other fact.
const MAX_FACT: usize = 256;

/// How much of what is known a dead letter carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facts {
    All,
    /// What a redrive cannot do without, for a message that is almost as large as its broker takes.
    Brief,
}

/// Headers of a brief one.
const BRIEF: [&str; 6] =
    [headers::DEAD_REASON, headers::DEAD_CLASS, headers::DEAD_ID, headers::DEAD_TOPIC, headers::DEAD_GROUP, headers::DEAD_REDRIVES];

/// Appends the dead letter of the message at `index` of `batch` to `outbox`, addressed to `topic`.
pub(crate) fn append(
    outbox: &mut Outbox,
    topic: &str,
    policy: &Policy,
    (batch, index): (&Batch, usize),
    (reason, fault, how_much): (DeadReason, &Fault, Facts),
    now: u64,
) {
    let original = batch.get(index);
    let mut facts = facts(policy, batch, index, reason, fault, now);
    if how_much == Facts::Brief {
        let untold = batch.facts(index).redrives == 0;
        facts.retain(|(name, _)| BRIEF.contains(name) && !(untold && *name == headers::DEAD_REDRIVES));
    }
    let added = facts.iter().map(|(name, value)| (*name, value.as_bytes()));
    // Facts of an earlier death that a redrive left behind would stand twice.
    let kept = original.headers.clone().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    let message = Message {
        id: original.id,
        topic,
        key: original.key,
        payload: original.payload,
        headers: kept.chain(added),
        timestamp: original.timestamp,
        attempt: 1,
    };
    outbox.push(&message, 0, batch.receipt(index).position);
}

fn facts(policy: &Policy, batch: &Batch, index: usize, reason: DeadReason, fault: &Fault, now: u64) -> Vec<(&'static str, String)> {
    let (row, known, info) = (batch.row(index), batch.facts(index), &policy.info);
    let position = batch.receipt(index).position;
    let first = if known.first_failed_at == 0 { now } else { known.first_failed_at };
    let text = |value: &str| cut(value, MAX_FACT);
    let mut facts = vec![
        (headers::DEAD_REASON, reason.name().into()),
        (headers::DEAD_CLASS, fault.class.into()),
        (headers::DEAD_ATTEMPTS, row.attempt().to_string()),
        (headers::DEAD_DELIVERIES, known.deliveries.to_string()),
        (headers::DEAD_REDRIVES, known.redrives.to_string()),
        (headers::DEAD_FIRST_FAILED_AT, rfc3339(first)),
        (headers::DEAD_LAST_FAILED_AT, rfc3339(now)),
        (headers::DEAD_TOPIC, text(row.topic())),
        (headers::DEAD_GROUP, text(info.group.as_deref().unwrap_or_default())),
        (headers::DEAD_SOURCE, text(&format!("{}/{}/{position}", info.broker, row.topic()))),
        (headers::DEAD_ID, text(row.id())),
        (headers::DEAD_SUBSCRIPTION, text(&info.name)),
        (headers::DEAD_COMPONENT, text(&policy.component)),
        (headers::DEAD_MESSAGE, cut(&fault.message, MAX_MESSAGE)),
    ];
    if let Some(trace) = row.header(headers::TRACEPARENT) {
        facts.push((headers::DEAD_TRACEPARENT, text(&String::from_utf8_lossy(trace))));
    }
    debug_assert!(facts.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() <= MAX_FACTS, "the single limits add up to less");
    facts
}
