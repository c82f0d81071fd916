//! A dead letter on Redis is a message like any other, with headers that say where it came from.

use std::fmt::Display;

use longshore_core::{Batch, Message, Outbox, headers};
use redis::{Script, ScriptInvocation};

use super::names::{REMEMBER, check_name, redriven};
use crate::letter::{self, Origin};

/// A message as it was before it died.
pub(super) struct Alive<'a> {
    /// The one message.
    pub(super) message: Outbox,
    /// Whose dead letter it was.
    #[cfg_attr(not(feature = "redis-streams"), expect(dead_code, reason = "a list has one group"))]
    pub(super) group: &'a str,
    /// How often it was given back before.
    pub(super) redrives: u32,
}

/// The first message of a page, alive; `None` where it is no dead letter, which is told.
pub(super) fn alive<'a>(page: &'a Batch, grave: &str, place: impl Display) -> Option<Alive<'a>> {
    let told = |what: String| {
        tracing::warn!("message {grave}/{place} is not given back: it is no dead letter: {what}; publish it where it should go instead")
    };
    revived(page).map_err(told).ok()
}

/// The same with what is missing.
fn revived(page: &Batch) -> Result<Alive<'_>, String> {
    let (row, message) = (page.row(0), page.get(0));
    let Origin { topic, group, id, redrives, .. } = letter::origin(|name| row.header(name))?;
    check_name(topic)?;
    let kept = message.headers.clone().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX));
    let (id, key, payload) = (id.unwrap_or(message.id), message.key, message.payload);
    let mut outbox = Outbox::default();
    outbox.push(&Message { id, topic, key, payload, headers: kept, timestamp: message.timestamp, attempt: 1 }, 0, 0);
    Ok(Alive { message: outbox, group, redrives })
}

/// A script that gives a letter back, with its first keys and arguments: `revive` where one node has the letter and the topic it goes back to;
/// else `readmit`, after which the letter is still to be removed. The message is there again before the letter goes.
pub(super) fn giving_back<'s>(
    (revive, readmit): (&'s Script, &'s Script),
    apart: bool,
    (topic, grave, id): (&str, &str, &str),
) -> ScriptInvocation<'s> {
    let mut script = if apart { readmit.prepare_invoke() } else { revive.prepare_invoke() };
    if apart {
        script.key(redriven(topic, grave, id)).arg(REMEMBER);
    } else {
        script.key(grave).arg(id);
    }
    script.key(topic);
    script
}
