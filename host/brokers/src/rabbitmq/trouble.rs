//! What RabbitMQ and its client say, as what mends it.

use lapin::protocol::AMQPError;
use lapin::{Error, ErrorKind};
use longshore_core::BrokerError;

/// Reply codes of AMQP 0-9-1, section 1.2 of the generated specification.
pub(super) mod code {
    pub(in crate::rabbitmq) const CONTENT_TOO_LARGE: u16 = 311;
    pub(in crate::rabbitmq) const ACCESS_REFUSED: u16 = 403;
    pub(in crate::rabbitmq) const NOT_FOUND: u16 = 404;
    pub(in crate::rabbitmq) const RESOURCE_LOCKED: u16 = 405;
    pub(in crate::rabbitmq) const PRECONDITION_FAILED: u16 = 406;
    pub(in crate::rabbitmq) const NOT_ALLOWED: u16 = 530;
}

/// `doing` is a fragment like "queue \"orders\"".
pub(super) fn told(doing: &str, error: &Error) -> BrokerError {
    match error.kind() {
        ErrorKind::ProtocolError(error) => protocol(doing, error),
        ErrorKind::IOError(io) if is_certificate(&io.to_string()) => {
            BrokerError::give_up(format!("{doing}: the server's certificate is not trusted ({io}): name its authority under `tls.ca`"))
        }
        _ => BrokerError::reconnect(format!("{doing}: {error}")),
    }
}

/// Whether the broker's object is not there.
pub(super) fn is_not_found(error: &Error) -> bool {
    code(error) == Some(code::NOT_FOUND)
}

/// The server's reply code, where it is the server's error.
pub(super) fn code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

fn protocol(doing: &str, error: &AMQPError) -> BrokerError {
    let words = error.get_message().as_str();
    match error.get_id() {
        code::ACCESS_REFUSED if words.contains("Login") || words.contains("login") => {
            BrokerError::give_up(format!("{doing}: wrong username or password ({words})"))
        }
        code::ACCESS_REFUSED => BrokerError::give_up(format!("{doing}: the user has no right to do this ({words})")),
        code::NOT_ALLOWED => BrokerError::give_up(format!("{doing}: {words}; name a `vhost` that is there and that the user may enter")),
        code::NOT_FOUND => BrokerError::give_up(format!("{doing}: {words}; create it, or write `declare = \"create\"`")),
        code::PRECONDITION_FAILED => BrokerError::give_up(precondition(doing, words)),
        code::RESOURCE_LOCKED => BrokerError::reconnect(format!("{doing}: {words}")),
        code::CONTENT_TOO_LARGE => BrokerError::retry(format!("{doing}: {words}")),
        _ => BrokerError::reconnect(format!("{doing}: {words}")),
    }
}

/// Arguments of queues and exchanges that keys of a topic stand for.
const KEYS: [(&str, &str); 7] = [
    ("type", "exchange-type"),
    ("durable", "durable"),
    ("x-queue-type", "queue-type"),
    ("x-single-active-consumer", "single-active-consumer"),
    ("x-max-priority", "max-priority"),
    ("x-message-ttl", "message-ttl"),
    ("x-max-length", "max-length"),
];

/// `PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q' in vhost '/': received the value '5' of type 'byte' but current is
/// none`, as a person can act on it.
fn precondition(doing: &str, words: &str) -> String {
    let Some((_, rest)) = words.split_once("inequivalent arg '") else { return format!("{doing}: {words}") };
    let Some((argument, rest)) = rest.split_once('\'') else { return format!("{doing}: {words}") };
    let what = rest.split_once(": ").map_or(rest, |(_, what)| what);
    let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == argument) else {
        return format!(
            "{doing} is there already with another `{argument}` ({what}), so somebody else made it: write `declare = \"passive\"` to use it as it \
             is, or use another topic"
        );
    };
    format!(
        "{doing} is there already with another `{key}` ({what}): write the same `{key}` under [topics.<topic>], or delete it if it may go, or \
         write `declare = \"passive\"`"
    )
}

fn is_certificate(words: &str) -> bool {
    ["certificate", "UnknownIssuer", "CertNotValid"].iter().any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_differs_is_named_by_its_key() {
        let words = "PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'q' in vhost '/': received the value '5' of type 'byte' \
                     but current is none";
        let told = precondition("queue \"q\"", words);
        assert!(told.starts_with("queue \"q\" is there already with another `max-priority` (received the value '5'"), "{told}");
        assert_eq!(precondition("x", "something else"), "x: something else");
    }

    #[test]
    fn an_argument_that_no_key_stands_for_is_somebody_elses() {
        let words = "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received none but current is \
                     the value 'dead' of type 'longstr'";
        let told = precondition("queue \"q\"", words);
        assert!(told.contains("another `x-dead-letter-exchange` (received none") && told.contains("declare = \"passive\""), "{told}");
        assert!(!told.contains("[topics."), "{told}");
    }
}
