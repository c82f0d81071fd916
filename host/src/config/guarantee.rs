//! What is promised about the messages of a subscription. One pure function, so that `check`, `explain` and `run` say the same.

use std::fmt;

use longshore_core::{Capabilities, Delivery, Flag, OwnKeys, Registration};
use serde::Serialize;

/// How often a message takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Once, whatever crashes: acknowledgement, outputs, retries and dead letters are one transaction on this machine.
    EffectivelyOnce,
    /// Once, whatever crashes, as far as its effects are messages of the same broker: acknowledgement, outputs, retries and dead letters are one
    /// transaction, which a host that lost its messages cannot end.
    ExactlyOnce,
    /// Once, and after a crash or lost connection perhaps again.
    AtLeastOnce,
    /// Once, or not at all.
    AtMostOnce,
}

/// How outputs and dead letters leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outputs {
    /// Level 1: in one transaction with the acknowledgement.
    Atomic,
    /// Level 2: published and confirmed, then acknowledged.
    ConfirmedFirst,
}

/// What is promised about the messages of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Guarantee {
    /// How often a message takes effect.
    pub promise: Promise,
    /// How outputs and dead letters leave.
    pub outputs: Outputs,
    /// Whether messages, retries and attempts outlive the host's process.
    pub durable: bool,
    /// Whether what is given up is kept as a dead letter.
    pub dead_letters: bool,
    /// Whether it holds from the copy of a message on, which came from a broker that forgets.
    pub copied: bool,
}

/// Who else could have a message that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Nobody: the broker is part of this process.
    Nobody,
    /// Another host, and then this one settles nothing of it any more.
    Fenced,
    /// Another host, while this one may still settle it.
    Any,
}

/// What a broker and a subscription with these keys and of that delivery give, where outputs go to that broker alone or elsewhere too.
pub fn guarantee(broker: &Registration, own: &OwnKeys, delivery: Delivery, outputs_stay: bool) -> Guarantee {
    let others = match (broker.in_process, broker.fences) {
        (true, _) => Others::Nobody,
        (false, true) => Others::Fenced,
        (false, false) => Others::Any,
    };
    given(broker.capabilities_for(own), others, delivery, outputs_stay)
}

fn given(capabilities: Capabilities, others: Others, delivery: Delivery, outputs_stay: bool) -> Guarantee {
    let atomic = capabilities.has(Flag::Transactions) && outputs_stay && delivery == Delivery::AtLeastOnce;
    let kept = capabilities.has_all(Capabilities::of(&[Flag::AckNack, Flag::DeliveryGuarantees]));
    Guarantee {
        promise: match delivery {
            Delivery::AtMostOnce => Promise::AtMostOnce,
            Delivery::AtLeastOnce if !kept => Promise::AtMostOnce,
            Delivery::AtLeastOnce => match others {
                Others::Nobody if atomic => Promise::EffectivelyOnce,
                Others::Fenced if atomic => Promise::ExactlyOnce,
                _ => Promise::AtLeastOnce,
            },
        },
        outputs: if atomic { Outputs::Atomic } else { Outputs::ConfirmedFirst },
        durable: capabilities.has(Flag::Durable),
        dead_letters: true,
        copied: false,
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Promise::EffectivelyOnce => "effectively once on one machine",
            Promise::ExactlyOnce => "exactly once within the broker",
            Promise::AtLeastOnce => "at least once",
            Promise::AtMostOnce => "at most once",
        })
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outputs::Atomic => "outputs leave with the acknowledgement (level 1)",
            Outputs::ConfirmedFirst => {
                "outputs are confirmed before the acknowledgement; a crash between repeats them under the same id (level 2)"
            }
        })
    }
}

/// One line.
impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.copied {
            f.write_str("from its copy in the log on (before that, at most once): ")?;
        }
        match self.promise {
            Promise::AtMostOnce if self.dead_letters => {
                write!(f, "{}; what fails is a dead letter at once, what is under way when the host ends is lost", self.promise)
            }
            Promise::AtMostOnce => write!(f, "{}; what fails, or is under way when the host ends, is lost", self.promise),
            Promise::ExactlyOnce => {
                let beyond = "what a handler does by itself (`send`, stores, locks, HTTP) is not in it and may be done again after a crash";
                write!(f, "{}; {}; {beyond}", self.promise, self.outputs)
            }
            _ if self.durable => write!(f, "{}; {}", self.promise, self.outputs),
            _ => write!(f, "{}; {}; in memory alone: what waits is gone when the host ends", self.promise, self.outputs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: [Flag; 3] = [Flag::AckNack, Flag::DeliveryGuarantees, Flag::Durable];
    const ALL: [Flag; 4] = [Flag::AckNack, Flag::DeliveryGuarantees, Flag::Durable, Flag::Transactions];

    #[test]
    fn a_promise_is_never_stronger_than_broker_and_settings_give() {
        let check = |flags: &[Flag], delivery, stay, promise, outputs| {
            let given = given(Capabilities::of(flags), Others::Nobody, delivery, stay);
            assert_eq!((given.promise, given.outputs), (promise, outputs));
        };
        check(&ALL, Delivery::AtLeastOnce, true, Promise::EffectivelyOnce, Outputs::Atomic);
        check(&ALL, Delivery::AtLeastOnce, false, Promise::AtLeastOnce, Outputs::ConfirmedFirst);
        check(&ALL, Delivery::AtMostOnce, true, Promise::AtMostOnce, Outputs::ConfirmedFirst);
        check(&KEPT, Delivery::AtLeastOnce, true, Promise::AtLeastOnce, Outputs::ConfirmedFirst);
        check(&[Flag::Subscribe], Delivery::AtLeastOnce, true, Promise::AtMostOnce, Outputs::ConfirmedFirst);
    }

    #[test]
    fn what_fails_at_most_once_is_lost_only_where_there_are_no_dead_letters() {
        let given = given(Capabilities::of(&KEPT), Others::Nobody, Delivery::AtMostOnce, true);
        let lost = Guarantee { dead_letters: false, ..given };
        assert_eq!(given.to_string(), "at most once; what fails is a dead letter at once, what is under way when the host ends is lost");
        assert_eq!(lost.to_string(), "at most once; what fails, or is under way when the host ends, is lost");
    }

    #[test]
    fn a_server_that_lends_messages_may_lend_one_twice_however_atomic_it_is() {
        let given = given(Capabilities::of(&ALL), Others::Any, Delivery::AtLeastOnce, true);
        assert_eq!((given.promise, given.outputs), (Promise::AtLeastOnce, Outputs::Atomic));
    }

    #[test]
    fn exactly_once_is_said_only_of_transactions_that_whoever_lost_its_messages_cannot_end() {
        let check = |flags: &[Flag], others, stay, promise| {
            assert_eq!(given(Capabilities::of(flags), others, Delivery::AtLeastOnce, stay).promise, promise);
        };
        check(&ALL, Others::Fenced, true, Promise::ExactlyOnce);
        check(&ALL, Others::Fenced, false, Promise::AtLeastOnce);
        check(&KEPT, Others::Fenced, true, Promise::AtLeastOnce);
        check(&ALL, Others::Any, true, Promise::AtLeastOnce);
    }
}
