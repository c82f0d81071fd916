//! What settling a round is on streams and on lists.

use longshore_core::Again;
use redis::ScriptInvocation;

/// Adds how a message comes again: milliseconds until then, attempt, first failure.
pub(super) fn add_again(script: &mut ScriptInvocation<'_>, how: &Again) {
    // Rounded up: a delay is a floor.
    let millis = u64::try_from(how.delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    script.arg(millis).arg(how.attempt).arg(how.first_failed_at);
}

/// Tells of settlements of what others have by now, if there were any.
pub(super) fn tell_stale(topic: &str, group: &str, stale: u64) {
    if stale > 0 {
        tracing::warn!(topic, group, stale, "settlements came too late and are ignored: others have the messages");
    }
}
