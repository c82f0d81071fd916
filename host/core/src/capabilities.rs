//! What a broker can do, as flags. Used four times: the engine fills in what is missing, `check` refuses what is impossible, the conformance
//! suite picks its tests, and the README's table is generated.

use std::fmt;

/// One thing that a broker can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Flag {
    /// Takes messages.
    Publish,
    /// Delivers messages.
    Subscribe,
    /// Divides a topic among the members of a group, each group getting everything.
    ConsumerGroups,
    /// Keeps a message until it is acknowledged.
    AckNack,
    /// Delivers at least once, over restarts of the host.
    DeliveryGuarantees,
    /// Delivers a lane in the order of publishing.
    MessageOrdering,
    /// Waits for messages without polling.
    BlockingRead,
    /// Keeps dead letters that can be listed and redriven.
    DeadLetterQueue,
    /// Reads again from an earlier position.
    Replay,
    /// Divides a topic into partitions.
    StreamPartitioning,
    /// Delivers not before a time.
    Delay,
    /// Settles, publishes and schedules retries in one transaction.
    Transactions,
    /// Answers requests.
    RequestReply,
    /// Subscribes to patterns of topics.
    Patterns,
    /// Keeps messages, retries and attempts over restarts of host and broker.
    Durable,
    /// Delivers every message to every subscriber of a host where asked to.
    Broadcast,
    /// Remembers which messages were done, in the same step as the acknowledgement.
    DedupInbox,
}

impl Flag {
    /// All flags, in the order of tables.
    pub const ALL: [Flag; 17] = [
        Flag::Publish,
        Flag::Subscribe,
        Flag::ConsumerGroups,
        Flag::AckNack,
        Flag::DeliveryGuarantees,
        Flag::MessageOrdering,
        Flag::BlockingRead,
        Flag::DeadLetterQueue,
        Flag::Replay,
        Flag::StreamPartitioning,
        Flag::Delay,
        Flag::Transactions,
        Flag::RequestReply,
        Flag::Patterns,
        Flag::Durable,
        Flag::Broadcast,
        Flag::DedupInbox,
    ];

    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Flag::Publish => "publish",
            Flag::Subscribe => "subscribe",
            Flag::ConsumerGroups => "consumer-groups",
            Flag::AckNack => "ack-nack",
            Flag::DeliveryGuarantees => "delivery-guarantees",
            Flag::MessageOrdering => "message-ordering",
            Flag::BlockingRead => "blocking-read",
            Flag::DeadLetterQueue => "dead-letter-queue",
            Flag::Replay => "replay",
            Flag::StreamPartitioning => "stream-partitioning",
            Flag::Delay => "delay",
            Flag::Transactions => "transactions",
            Flag::RequestReply => "request-reply",
            Flag::Patterns => "patterns",
            Flag::Durable => "durable",
            Flag::Broadcast => "broadcast",
            Flag::DedupInbox => "dedup-inbox",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u32);

impl Capabilities {
    /// The set of `flags`.
    pub const fn of(flags: &[Flag]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < flags.len() {
            bits |= 1 << flags[i] as u8;
            i += 1;
        }
        Capabilities(bits)
    }

    /// The set with `flag` in it.
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Capabilities(self.0 | 1 << flag as u8)
    }

    /// The set without `flag`.
    #[must_use]
    pub const fn without(self, flag: Flag) -> Self {
        Capabilities(self.0 & !(1 << flag as u8))
    }

    /// Whether `flag` is in it.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Whether all of `other` is in it; the empty set always is.
    pub const fn has_all(self, other: Capabilities) -> bool {
        self.0 & other.0 == other.0
    }

    /// Its flags, in the order of tables.
    pub fn iter(self) -> impl Iterator<Item = Flag> {
        Flag::ALL.into_iter().filter(move |f| self.has(*f))
    }

    /// The highest tier of which it has every flag.
    pub fn tier(self) -> Option<Tier> {
        Tier::ALL.into_iter().take_while(|t| self.has_all(t.needs())).last()
    }
}

/// Nested classes of brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Publish and subscribe.
    BasicPubsub,
    /// And consumer groups.
    SimpleQueuing,
    /// And acknowledgement with delivery guarantees.
    ReliableMessaging,
    /// And order.
    OrderedMessaging,
    /// And dead letters, replay, partitions, blocking reads.
    EnterpriseStreaming,
}

impl Tier {
    /// All tiers, ascending.
    pub const ALL: [Tier; 5] =
        [Tier::BasicPubsub, Tier::SimpleQueuing, Tier::ReliableMessaging, Tier::OrderedMessaging, Tier::EnterpriseStreaming];

    /// The name that users see.
    pub fn name(self) -> &'static str {
        match self {
            Tier::BasicPubsub => "basic-pubsub",
            Tier::SimpleQueuing => "simple-queuing",
            Tier::ReliableMessaging => "reliable-messaging",
            Tier::OrderedMessaging => "ordered-messaging",
            Tier::EnterpriseStreaming => "enterprise-streaming",
        }
    }

    /// The flags that it adds to the tier below.
    fn needs(self) -> Capabilities {
        match self {
            Tier::BasicPubsub => Capabilities::of(&[Flag::Publish, Flag::Subscribe]),
            Tier::SimpleQueuing => Capabilities::of(&[Flag::ConsumerGroups]),
            Tier::ReliableMessaging => Capabilities::of(&[Flag::AckNack, Flag::DeliveryGuarantees]),
            Tier::OrderedMessaging => Capabilities::of(&[Flag::MessageOrdering]),
            Tier::EnterpriseStreaming => {
                Capabilities::of(&[Flag::DeadLetterQueue, Flag::Replay, Flag::StreamPartitioning, Flag::BlockingRead])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_needs_every_flag_of_those_below() {
        let mut flags = vec![Flag::Publish, Flag::Subscribe, Flag::MessageOrdering, Flag::AckNack, Flag::DeliveryGuarantees];
        assert_eq!(Capabilities::of(&flags).tier(), Some(Tier::BasicPubsub));
        flags.push(Flag::ConsumerGroups);
        assert_eq!(Capabilities::of(&flags).tier(), Some(Tier::OrderedMessaging));
        assert_eq!(Capabilities::default().tier(), None);
        assert!(Capabilities::default().has_all(Capabilities::default()));
    }

    #[test]
    fn all_lists_every_flag_at_its_own_bit() {
        for (i, flag) in Flag::ALL.into_iter().enumerate() {
            assert_eq!(flag as usize, i);
        }
    }
}
