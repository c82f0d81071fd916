//! `dlq show`, for a person: why it is there first, then what it was, then what to do.

use longshore_admin::model::DeadLetter;

use crate::cli::failure::Failure;
use crate::cli::output::{line, time};

pub(super) fn print(letter: &DeadLetter) -> Result<(), Failure> {
    let count = |n: Option<u32>| n.map_or_else(|| "–".into(), |n| n.to_string());
    let (facts, message) = (&letter.facts, &letter.message);
    let rows = [
        ("id", letter.id.clone()),
        ("reason", format!("{} (class {})", facts.reason, facts.class)),
        ("message", facts.message.clone()),
        ("attempts", format!("{} ({} deliveries, {} redrives)", count(facts.attempts), count(facts.deliveries), count(facts.redrives))),
        ("first failed", time(facts.first_failed_at)),
        ("last failed", time(facts.last_failed_at)),
        ("subscription", format!("{} (group {})", facts.subscription, facts.group)),
        ("component", facts.component.clone()),
        ("source", facts.source.clone()),
        ("original id", facts.id.clone()),
        ("key", message.key.as_ref().map_or_else(|| "–".into(), ToString::to_string)),
    ];
    rows.iter().try_for_each(|(name, value)| line(&format!("{name:<14}{}", value.replace('\n', &format!("\n{:14}", "")))))?;
    for (name, value) in &message.headers.0 {
        line(&format!("{:<14}{name}: {value}", "header"))?;
    }
    line(&format!("{:<14}{}", "payload", message.payload.as_ref().map_or_else(|| "(tombstone)".into(), ToString::to_string)))?;
    line(&format!("\nafter a fix: longshore dlq redrive {0}    to give it up: longshore dlq discard {0}", letter.id))
}
