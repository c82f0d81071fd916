//! What each adapter's broker does besides settling, as its real server showed it: what comes again, when, and to whom. Data alone; the scripted
//! broker acts on it.

use std::time::Duration;

use super::event::Shows;
use super::personality::{Personality, Settling};

/// When what a lane had comes again that ended without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// When the lease of each message is over, also of a lane that lives and does not extend it: Redis streams, JetStream.
    LeaseOver,
    /// A lease after the lane was heard of last; a lane that lives keeps what it has: Redis lists.
    HostGone,
    /// As soon as its connection is gone; a lane that lives keeps what it has: RabbitMQ.
    AtOnce,
}

/// How a broker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// The adapter whose broker it is.
    pub adapter: &'static str,
    /// Where messages are settled one by one: whether one member at a time reads, and gets what others left before anything new. Order needs it.
    pub one_reader: bool,
    /// Where messages are settled one by one: see [`Left`].
    pub left: Left,
    /// Whether it counts how often hosts died over a message.
    pub counts: bool,
    /// Milliseconds that delays are rounded up to, ascending; a longer one is not.
    pub tiers: &'static [u64],
    /// Milliseconds between two times at which it keeps what lanes have finished, where there is a mark: what was finished since comes again when
    /// a lane ends without a word. 0: each settlement is kept.
    pub commit_every: u64,
    /// Whether it keeps nothing: what nobody listens to goes by, and what a lane has goes with it.
    pub forgets: bool,
    /// What of all that shows in a simulation.
    pub shows: &'static [Shows],
}

impl Habits {
    /// No habit: each settlement is kept, leases run out one by one and are counted.
    pub const NONE: Habits = Habits {
        adapter: "",
        one_reader: false,
        left: Left::LeaseOver,
        counts: true,
        tiers: &[],
        commit_every: 0,
        forgets: false,
        shows: &[],
    };

    /// The personality of that broker. `lease`: for how long it lends a message. `ordered`: whether its reader keeps an order.
    pub fn personality(self, lease: Duration, ordered: bool) -> Personality {
        let each = Settling::Lease { lease, copies: false };
        let (settling, one_reader) = match self.adapter {
            "embedded" => (Settling::Transaction, false),
            "kafka" => (Settling::Mark, false),
            _ => (each, self.one_reader && ordered),
        };
        Personality { habits: Habits { one_reader, ..self }, instant: false, ..Personality::plain(settling) }
    }
}

/// The brokers of all adapters.
///
/// * A Redis stream claims what another left when its lease is over; with an order it gives the group one seat, and who gets that has all that was
///   left. Deliveries are counted.
/// * A Redis list gives back what a host had once its heartbeat is missing. It keeps no order.
/// * RabbitMQ puts what a channel had back where it stood as soon as the channel is gone, to the single active consumer where order is kept. Retries
///   wait in queues of fixed times. How often a message was handed over only quorum queues count.
/// * JetStream repeats what was not acknowledged in time. With an order a lane waits until all leases before it are over.
/// * Kafka goes back to what was committed, which is done once a second, with a map of what was finished above it; retries wait in topics of
///   fixed times.
/// * Core NATS and Redis pub/sub keep nothing.
pub const HABITS: [Habits; 8] = [
    Habits { adapter: "embedded", ..Habits::NONE },
    Habits {
        adapter: "kafka",
        counts: false,
        tiers: &[1_000, 10_000, 60_000],
        commit_every: 1_000,
        shows: &[Shows::Rewound, Shows::RoundedUp],
        ..Habits::NONE
    },
    Habits { adapter: "redis-streams", one_reader: true, shows: &[Shows::LeaseOver, Shows::Inherited], ..Habits::NONE },
    Habits { adapter: "redis-list", left: Left::HostGone, shows: &[Shows::LeaseOver], ..Habits::NONE },
    Habits {
        adapter: "rabbitmq",
        one_reader: true,
        left: Left::AtOnce,
        counts: false,
        tiers: &[10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000],
        shows: &[Shows::AtOnce, Shows::RoundedUp],
        ..Habits::NONE
    },
    Habits { adapter: "nats-jetstream", one_reader: true, shows: &[Shows::LeaseOver, Shows::Inherited], ..Habits::NONE },
    Habits { adapter: "nats", left: Left::AtOnce, forgets: true, shows: &[Shows::Forgotten], ..Habits::NONE },
    Habits { adapter: "redis-pubsub", left: Left::AtOnce, forgets: true, shows: &[Shows::Forgotten], ..Habits::NONE },
];
