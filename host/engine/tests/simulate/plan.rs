//! What one seed draws: the kind of broker, the policy, the hosts and the messages.

use std::time::Duration;

use longshore_core::{Backoff, Batching, Breaker, DeadLetterPolicy, Delivery, Order, RetryPolicy};
use longshore_engine::{Policy, Reconnect};
use longshore_testkit::scripted::{Broker, Faults, HABITS, Habits, NewMessage, Personality, Random, Settling};

use crate::support;

/// Everything that is fixed for one run.
pub(crate) struct Plan {
    pub(crate) personality: Personality,
    pub(crate) hosts: u32,
    pub(crate) order: Order,
    pub(crate) delivery: Delivery,
    pub(crate) messages: Vec<NewMessage>,
    /// Steps of the director.
    pub(crate) steps: u64,
}

/// First byte of a message's payload: what the handler always does with it.
pub(crate) const GOOD: u8 = b'g';
pub(crate) const REJECT: u8 = b'p';
pub(crate) const TRAP: u8 = b't';
pub(crate) const RETRY: u8 = b'r';

impl Plan {
    /// Any kind of broker, or one with these habits.
    pub(crate) fn draw(random: &mut Random, like: Option<Habits>) -> Self {
        let like = like.or_else(|| random.chance(60).then(|| random.among(&HABITS)));
        let Kind { personality, hosts, order, delivery } = match like {
            Some(habits) => Kind::like(random, habits),
            None => Kind::any(random),
        };
        let messages = (0..5 + random.below(50)).map(|_| message(random, personality.partitions)).collect();
        Plan { personality, hosts, order, delivery, messages, steps: 10 + random.below(30) }
    }

    /// The policy of its hosts.
    pub(crate) fn policy(&self, home: &Broker, far: &Broker, random: &mut Random) -> Policy {
        let mut policy = support::policy(home, Some(far), self.order);
        policy.delivery = self.delivery;
        policy.concurrency = 1 + random.below(8) as usize;
        policy.subscribe.max_in_flight = 1 + random.below(30) as usize;
        policy.subscribe.fetch.max_messages = 1 + random.below(20) as usize;
        policy.max_bytes_in_flight = if random.chance(30) { 100 + random.below(2000) as usize } else { 1 << 20 };
        let max_messages = 1 + random.below(20) as usize;
        policy.batching = if random.chance(50) {
            Batching::Adaptive { max_messages }
        } else {
            Batching::Fixed { max_messages, max_wait: Duration::from_millis(random.among(&[0, 5, 300])) }
        };
        policy.retry = retry(random);
        policy.dead_letter = DeadLetterPolicy { topic: (!random.chance(10)).then(|| "{topic}.{group}.dlq".into()), max_redrives: 10 };
        policy.breaker = random
            .chance(25)
            .then(|| Breaker { threshold: 1 + random.below(5) as u32, reset_after: Duration::from_millis(100 + random.below(10_000)) });
        policy.max_deliveries = random.among(&[1, 2, 20]);
        policy.reconnect = Reconnect::without_end(Duration::from_millis(200), Duration::from_secs(5));
        policy.seed = random.number();
        policy
    }
}

/// A kind of broker, and what may be asked of it.
struct Kind {
    personality: Personality,
    hosts: u32,
    order: Order,
    delivery: Delivery,
}

impl Kind {
    /// The broker of an adapter.
    fn like(random: &mut Random, habits: Habits) -> Self {
        let (one, two) = (1, 1 + random.below(2));
        let ordered = [Order::None, Order::Key, Order::Key, Order::Lane];
        let (partitions, hosts, orders) = match habits.adapter {
            "embedded" => (1 + random.below(2), one, &ordered[..]),
            "kafka" => (1 + random.below(4), two, &ordered[..]),
            "redis-streams" | "rabbitmq" => (1, two, &ordered[..]),
            // Its order holds on one host.
            "nats-jetstream" => (1, two, if two == 1 { &ordered[..] } else { &ordered[..1] }),
            _ => (1, two, &ordered[..1]),
        };
        let order = random.among(orders);
        // Kafka and JetStream cannot tell who has a message for good, so asking them for it is refused at load.
        let once = match habits.adapter {
            _ if habits.forgets => 100,
            "kafka" | "nats-jetstream" => 0,
            _ => 20,
        };
        let personality = habits.personality(lease(random), order != Order::None);
        let personality = Personality { partitions: partitions as usize, gaps: random.chance(30), ..personality };
        Kind { personality, hosts: hosts as u32, order, delivery: delivery(random, once) }
    }

    /// One that no adapter has today.
    fn any(random: &mut Random) -> Self {
        let lease = lease(random);
        let settling = match random.below(5) {
            0 | 1 => Settling::Transaction,
            2 | 3 => Settling::Mark,
            _ => Settling::Lease { lease, copies: random.chance(50) },
        };
        let (partitions, hosts) = match settling {
            Settling::Transaction => (1 + random.below(2), 1),
            Settling::Mark => (1 + random.below(4), 1 + random.below(2)),
            Settling::Lease { .. } => (1, 1 + random.below(2)),
        };
        // Where messages are lent one by one to all members, none of them keeps an order.
        let leases = matches!(settling, Settling::Lease { .. });
        let order = if leases { Order::None } else { random.among(&[Order::None, Order::Key, Order::Key, Order::Lane]) };
        let personality = Personality { instant: false, ..Personality::plain(settling) };
        let personality = Personality { partitions: partitions as usize, gaps: random.chance(30), ..personality };
        Kind { personality, hosts: hosts as u32, order, delivery: delivery(random, if leases { 30 } else { 10 }) }
    }
}

fn lease(random: &mut Random) -> Duration {
    Duration::from_secs(3 + random.below(28))
}

fn delivery(random: &mut Random, once: u64) -> Delivery {
    if random.chance(once) { Delivery::AtMostOnce } else { Delivery::AtLeastOnce }
}

fn retry(random: &mut Random) -> RetryPolicy {
    RetryPolicy {
        max_attempts: 1 + random.below(5) as u32,
        max_age: Duration::from_secs(if random.chance(15) { 10 + random.below(200) } else { 24 * 3600 }),
        backoff: random.among(&[Backoff::Fixed, Backoff::Linear, Backoff::Exponential]),
        initial_delay: Duration::from_millis(10 + random.below(2_000)),
        multiplier: random.among(&[1.0, 2.0, 3.0]),
        max_delay: Duration::from_secs(1 + random.below(20)),
        jitter: random.among(&[0.0, 0.1, 1.0]),
        reject_timeouts: random.chance(10),
    }
}

fn message(random: &mut Random, partitions: usize) -> NewMessage {
    let kind = match random.below(100) {
        0..85 => GOOD,
        85..90 => REJECT,
        90..95 => TRAP,
        _ => RETRY,
    };
    let mut payload = vec![kind];
    payload.extend((0..random.below(40)).map(|i| i as u8));
    let headers = (0..random.below(3)).map(|i| (format!("h{i}"), vec![i as u8; 3])).collect();
    let key = (!random.chance(20)).then(|| format!("k{}", random.below(4)));
    NewMessage { partition: random.below(partitions as u64) as usize, key, payload, headers }
}

/// How much fails for a while: nothing, something, much.
pub(crate) fn faults(random: &mut Random) -> Faults {
    let percent = random.among(&[0, 3, 10, 30]);
    let mut share = |most: u64| if percent == 0 { 0 } else { random.below(percent.min(most) + 1) };
    Faults { fetch: share(30), settle: share(30), publish: share(30), refuse: share(6), slow: share(5), reconnect: share(20), stall: 0 }
}
