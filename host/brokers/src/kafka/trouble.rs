//! What an error of the client means: what mends it, and for a message that is not kept, whose fault it is.

use longshore_core::{BrokerError, Fix, PublishError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What mends an error of that kind.
pub(super) fn fix(code: Code) -> Fix {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::SSL
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidReplicaAssignment
        | Code::InvalidConfig
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InconsistentGroupProtocol
        | Code::PolicyViolation
        | Code::UnsupportedVersion
        | Code::SecurityDisabled => Fix::GiveUp,
        Code::UnknownMemberId | Code::IllegalGeneration | Code::FencedInstanceId | Code::Fatal | Code::Fenced | Code::State => {
            Fix::Reconnect
        }
        _ => Fix::Retry,
    }
}

/// Whether it is about who we are and who they are. Whoever is connected was let in with the same words before: somebody changes them, or a
/// broker that begins does not know all users yet, and either passes.
fn is_of_getting_in(code: Code) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::SSL)
}

/// What an error that came to the member of a group by itself means. `was_in`: the group gave it, or one before it, partitions; so whatever only
/// a human mends is no mistake of the configuration, and is over once it is over.
pub(super) fn of_member(doing: &str, code: Code, was_in: bool) -> BrokerError {
    let said = of_code(doing, code);
    if was_in || is_of_getting_in(code) { once_in(said) } else { said }
}

/// The error, of somebody who was in already.
pub(super) fn once_in(error: BrokerError) -> BrokerError {
    BrokerError { fix: if error.fix == Fix::GiveUp { Fix::Reconnect } else { error.fix }, ..error }
}

/// What a human has to do about it, where it is nobody else.
fn advice(code: Code) -> &'static str {
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => "; check `security`: mechanism, username and password",
        Code::UnsupportedSASLMechanism => "; the brokers do not know this `security.mechanism`",
        Code::SSL => "; check `tls.ca`, and whether the brokers encrypt at all",
        Code::TopicAuthorizationFailed => "; give our user the right to the topic (Read, Write, Describe; Create and Alter to make it)",
        Code::GroupAuthorizationFailed => "; give our user the right Read to the group",
        Code::TransactionalIdAuthorizationFailed => {
            "; give our user the right Write to transactional ids that begin with longshore-once- (exactly-once) or longshore-removed- (dlq)"
        }
        Code::ClusterAuthorizationFailed => "; give our user the right to the cluster (Create, Describe, IdempotentWrite)",
        Code::InvalidReplicationFactor => "; there are fewer brokers than `replication-factor` wants copies",
        Code::InvalidSessionTimeout => {
            "; `session-timeout` must be within the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms"
        }
        Code::InconsistentGroupProtocol => "; somebody else uses this group with another protocol: choose another `group`",
        _ => "",
    }
}

/// Whether a group is between two keepers: whoever asks again soon is answered. A cluster that has just begun is so, too.
pub(super) fn is_moving(code: Code) -> bool {
    matches!(code, Code::CoordinatorLoadInProgress | Code::CoordinatorNotAvailable | Code::NotCoordinator)
}

/// The error, as a sentence on what was being done.
pub(super) fn told(doing: &str, error: &KafkaError) -> BrokerError {
    match (error, error.rdkafka_error_code()) {
        (KafkaError::ClientConfig(_, words, key, _), _) => BrokerError::give_up(format!("{doing}: properties: {key:?}: {words}")),
        // The client judges by itself what cannot go together.
        (KafkaError::ClientCreation(words), _) => BrokerError::give_up(format!("{doing}: no client of Kafka can be made: {words}")),
        (_, Some(code)) => of_code(doing, code),
        (_, None) => BrokerError::retry(format!("{doing}: {error}")),
    }
}

/// The same of a code alone.
pub(super) fn of_code(doing: &str, code: Code) -> BrokerError {
    BrokerError { what: format!("{doing}: {code}{}", advice(code)), fix: fix(code) }
}

/// Why a message is not kept.
pub(super) fn of_publish(topic: &str, code: Code) -> PublishError {
    let words = format!("topic {topic:?}: {code}{}", advice(code));
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => PublishError::TooLarge(words),
        Code::MessageTimedOut | Code::RequestTimedOut | Code::OperationTimedOut => PublishError::Timeout,
        Code::InvalidTopic
        | Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidMessage
        | Code::PolicyViolation => PublishError::Invalid(words),
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => PublishError::Denied(words),
        _ => PublishError::Unavailable(words),
    }
}

/// An error of the broker as that of one message.
pub(super) fn as_publish(error: BrokerError) -> PublishError {
    match error.fix {
        Fix::GiveUp => PublishError::Invalid(error.what),
        _ => PublishError::Unavailable(error.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_once_we_are_in_ends_no_subscription() {
        let check = |code: Code, first: Fix, later: Fix| {
            assert_eq!((of_member("m", code, false).fix, of_member("m", code, true).fix), (first, later), "{code:?}");
        };
        check(Code::Authentication, Fix::Reconnect, Fix::Reconnect);
        check(Code::SaslAuthenticationFailed, Fix::Reconnect, Fix::Reconnect);
        check(Code::SSL, Fix::Reconnect, Fix::Reconnect);
        check(Code::GroupAuthorizationFailed, Fix::GiveUp, Fix::Reconnect);
        check(Code::InvalidSessionTimeout, Fix::GiveUp, Fix::Reconnect);
        check(Code::BrokerTransportFailure, Fix::Retry, Fix::Retry);
    }

    #[test]
    fn a_client_that_cannot_be_made_is_a_mistake_of_a_human() {
        let error = told("a member", &KafkaError::ClientCreation("`max.poll.interval.ms` must be >= `session.timeout.ms`".into()));
        assert!(error.fix == Fix::GiveUp && error.what.contains("session.timeout.ms"), "{error}");
    }
}
