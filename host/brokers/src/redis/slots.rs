//! Which node of a cluster has a key: the slot of a key, and the table of slots as a node tells it. Pure. Specification:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use std::fmt;

use redis::Value;

use super::entry::{int, list, text};
use super::names::tag;

/// Slots of a cluster.
pub(super) const SLOTS: usize = 16_384;

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Address {
    /// Reads `host:port`. A node that does not know how it is reached leaves the host out: it is the one that was asked.
    pub(super) fn read(text: &str, asked: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Address { host: if host.is_empty() { asked } else { host }.to_owned(), port: port.parse().ok()? })
    }
}

/// The slot of a key: of its hash tag, if it has one.
pub(super) fn slot(key: &str) -> usize {
    usize::from(crc16(tag(key).unwrap_or(key).as_bytes())) % SLOTS
}

/// CRC-16/XMODEM, as appendix A of the specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

/// Who has which slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    nodes: Vec<Address>,
    /// For each slot the index of its node, and one more; 0 is nobody. Empty while nothing was learnt.
    owners: Vec<u16>,
}

impl Slots {
    /// Reads an answer to `CLUSTER SLOTS`, which `asked` gave: ranges, each with its first slot, its last and its master before its replicas.
    pub(super) fn read(answer: &Value, asked: &str) -> Self {
        let mut slots = Slots::default();
        for range in list(answer) {
            let [first, last, master, ..] = list(range) else { continue };
            let [host, port, ..] = list(master) else { continue };
            // "?" says that the node does not know how another is reached.
            let host = text(host).filter(|host| !host.is_empty()).unwrap_or(asked);
            let (Some(first), Some(last), Some(port)) = (int(first), int(last), int(port)) else { continue };
            let (Ok(port), false) = (u16::try_from(port), host == "?") else { continue };
            let address = Address { host: host.to_owned(), port };
            for slot in first..=last.min(SLOTS as u64 - 1) {
                slots.give(usize::try_from(slot).unwrap_or(0), &address);
            }
        }
        slots
    }

    /// From now on the slot is that node's.
    pub(super) fn give(&mut self, slot: usize, node: &Address) {
        let index = self.nodes.iter().position(|known| known == node).unwrap_or_else(|| {
            self.nodes.push(node.clone());
            self.nodes.len() - 1
        });
        self.owners.resize(SLOTS, 0);
        self.owners[slot] = u16::try_from(index + 1).unwrap_or(0);
    }

    /// Whose the slot is.
    pub(super) fn owner(&self, slot: usize) -> Option<&Address> {
        self.nodes.get(usize::from(*self.owners.get(slot)?).checked_sub(1)?)
    }

    /// Everybody who has a slot.
    pub(super) fn masters(&self) -> Vec<Address> {
        let mut has = vec![false; self.nodes.len() + 1];
        self.owners.iter().for_each(|owner| has[usize::from(*owner)] = true);
        self.nodes.iter().zip(&has[1..]).filter(|(_, has)| **has).map(|(node, _)| node.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_slot_that_the_server_says() {
        // CLUSTER KEYSLOT.
        for (key, expected) in
            [("foo", 12182), ("123456789", 12739), ("", 0), ("{user1000}.following", 3443), ("user1000", 3443), ("foo{}{bar}", 8363)]
        {
            assert_eq!(slot(key), expected, "{key}");
        }
        assert_eq!(slot("foo{{bar}}zap"), slot("{bar"), "from the first brace to the first that closes");
    }

    fn node(host: &str, port: i64) -> Value {
        Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    #[test]
    fn the_table_is_as_a_node_tells_it_until_somebody_knows_better() {
        let range = |first, last, host, port| Value::Array(vec![Value::Int(first), Value::Int(last), node(host, port), node("replica", 1)]);
        let answer = Value::Array(vec![range(0, 99, "a", 1), range(100, 16_383, "", 2), range(50, 60, "?", 3)]);
        let mut slots = Slots::read(&answer, "asked");
        let at = |slots: &Slots, slot| slots.owner(slot).map(Address::to_string);
        assert_eq!((at(&slots, 99), at(&slots, 100)), (Some("a:1".into()), Some("asked:2".into())));
        assert_eq!(at(&slots, 55), Some("a:1".into()), "nobody is reached at ?");
        slots.give(99, &Address { host: "b".into(), port: 3 });
        assert_eq!((at(&slots, 99), at(&slots, 98)), (Some("b:3".into()), Some("a:1".into())));
        assert_eq!(slots.masters().len(), 3);
        assert!(Slots::default().owner(7).is_none() && Slots::default().masters().is_empty());
    }

    #[test]
    fn an_address_without_a_host_is_where_was_asked() {
        let read = |text| Address::read(text, "asked").map(|address| address.to_string());
        assert_eq!(
            (read("10.0.0.1:7000"), read(":7000"), read("::1:7000")),
            (Some("10.0.0.1:7000".into()), Some("asked:7000".into()), Some("::1:7000".into()))
        );
        assert_eq!(read("nowhere"), None);
    }
}
