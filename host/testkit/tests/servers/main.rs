//! The servers for tests start, are what they say, stand what tests do to them, and are gone when the test process is.

mod alarms;
mod disks;
mod ending;
mod kafka;
mod kafka_wire;
mod security;
mod starting;
mod topologies;
mod wire;
