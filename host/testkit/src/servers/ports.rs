//! Ports for servers that must be told theirs.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what systems take for outgoing connections (32,768 on Linux, 49,152 on macOS), so that no client of any test gets one by chance.
/// Clear of 65,535 by the 10,000 that Redis Cluster adds.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

/// A port of the loopback that nothing listens on. Each call of a process gives another one; processes start at random places.
///
/// # Panics
/// When all are in use.
pub fn free() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(random()));
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("all ports from {FIRST} on are in use"))
}

fn random() -> u16 {
    let hash = RandomState::new().hash_one(std::process::id());
    u16::try_from(hash % u64::from(COUNT)).expect("less than COUNT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calls_give_two_ports_that_can_be_bound() {
        let (one, other) = (free(), free());
        assert_ne!(one, other);
        for port in [one, other] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free");
        }
    }
}
