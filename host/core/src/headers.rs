//! Names of the headers that the host itself writes and reads.

/// Prefix of the facts that a dead letter carries; they are taken off again when it is redriven.
pub const DEAD_PREFIX: &str = "longshore-dead-";
/// Why: exhausted, rejected, expired, undecodable, oversize, crashed.
pub const DEAD_REASON: &str = "longshore-dead-reason";
/// Class of the last failure: retry, reject, trap, timeout, memory, output, …
pub const DEAD_CLASS: &str = "longshore-dead-class";
/// What the last failure said, at most 1 KiB.
pub const DEAD_MESSAGE: &str = "longshore-dead-message";
/// Attempts used.
pub const DEAD_ATTEMPTS: &str = "longshore-dead-attempts";
/// How often the broker handed it over.
pub const DEAD_DELIVERIES: &str = "longshore-dead-deliveries";
/// RFC 3339, UTC.
pub const DEAD_FIRST_FAILED_AT: &str = "longshore-dead-first-failed-at";
/// RFC 3339, UTC.
pub const DEAD_LAST_FAILED_AT: &str = "longshore-dead-last-failed-at";
/// Broker, topic and position, as `broker/topic/position`.
pub const DEAD_SOURCE: &str = "longshore-dead-source";
/// Topic that it was delivered from.
pub const DEAD_TOPIC: &str = "longshore-dead-topic";
/// Group that failed; a redrive goes to it alone.
pub const DEAD_GROUP: &str = "longshore-dead-group";
/// The original id.
pub const DEAD_ID: &str = "longshore-dead-id";
/// Name of the subscription.
pub const DEAD_SUBSCRIPTION: &str = "longshore-dead-subscription";
/// Name, version and digest of the component.
pub const DEAD_COMPONENT: &str = "longshore-dead-component";
/// The message's trace context.
pub const DEAD_TRACEPARENT: &str = "longshore-dead-traceparent";
/// How often it was redriven before.
pub const DEAD_REDRIVES: &str = "longshore-dead-redrives";
/// Which dead letter a message is a copy of, and when that failed. The copy has the id of the message that died; a broker that keeps one
/// message of an id by this takes it for another.
pub const REDRIVEN_FROM: &str = "longshore-redriven-from";
/// Where the answer to a request goes.
pub const REPLY_TO: &str = "longshore-reply-to";
/// The pattern that meant the topic of a message, where the broker says by which one it came.
pub const PATTERN: &str = "longshore-pattern";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Made for the first message of a chain, carried on to what a handler publishes.
pub const CORRELATION_ID: &str = "longshore-correlation-id";
/// Id of the message that an output was made from.
pub const CAUSATION_ID: &str = "longshore-causation-id";

/// Whether only the host may write a header of that name: facts of a dead letter, by which a redrive finds its way back. Every other
/// name of ours may be set or passed on by a guest: a forwarder passes [`REPLY_TO`] on.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(DEAD_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_a_dead_letter_are_the_hosts_alone() {
        assert!(is_reserved(DEAD_GROUP) && is_reserved("longshore-dead-anything"));
        for free in [REPLY_TO, CORRELATION_ID, TRACEPARENT, "longshore-deadline", "x"] {
            assert!(!is_reserved(free), "{free}");
        }
    }
}
