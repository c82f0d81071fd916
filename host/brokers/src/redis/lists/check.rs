//! Looking whether a list can be consumed and published to.

use longshore_core::{BrokerError, Finding, Intent};

use super::keys::{LATER, LaneKeys};
use super::roles::Shared;
use crate::redis::check::{Commands, WAITING, kind};
use crate::redis::names::{QUEUE, beside};

type Result<T> = std::result::Result<T, BrokerError>;

const LIST: [&str; 9] =
    ["TYPE KEY", "EXISTS KEY", "LPUSH KEY v", "RPOP KEY", "LLEN KEY", "LRANGE KEY 0 -1", "LINDEX KEY 0", "LSET KEY 0 v", "LREM KEY 1 v"];
const HASH: [&str; 7] = ["EXISTS KEY", "HSET KEY f v", "HGET KEY f", "HEXISTS KEY f", "HDEL KEY f", "HLEN KEY", "HGETALL KEY"];
const SET: [&str; 3] = ["SADD KEY m", "SREM KEY m", "SMEMBERS KEY"];
const ALIVE: [&str; 4] = ["SET KEY v PX 1", "EXISTS KEY", "DEL KEY", "PEXPIRE KEY 1"];

/// What is in the way of a subscription.
pub(super) async fn subscription(shared: &Shared, intent: &Intent) -> Result<Vec<Finding>> {
    let (mut findings, mut commands, server) = (Vec::new(), Commands::default(), &shared.server);
    commands.on("", &["TIME"]);
    for topic in &intent.subscribe.topics {
        if topic.is_wild() {
            commands.on("", &["SCAN 0"]);
            continue;
        }
        let topic = topic.as_str();
        let keys = LaneKeys::of_queue(topic);
        commands.on(topic, &LIST);
        commands.on(topic, &["BLMOVE KEY KEY RIGHT LEFT 0"]);
        commands.on(&keys.landed, &LIST);
        [&keys.queue, &keys.held, &keys.kept].iter().for_each(|key| commands.on(key, &HASH));
        commands.on(&keys.queue, &["HINCRBY KEY f 1"]);
        commands.on(&beside(topic, "readers"), &SET);
        commands.on(&keys.due, &WAITING);
        commands.on(&keys.alive, &ALIVE);
        findings.extend(kind(server, topic, "list").await?);
    }
    findings.extend(commands.denied(server).await?);
    Ok(findings)
}

/// What is done with a topic that is published to.
fn publishing(topic: &str) -> Commands {
    let mut commands = Commands::default();
    commands.on(topic, &["TYPE KEY", "LPUSH KEY v"]);
    commands.on(&beside(topic, QUEUE), &["HINCRBY KEY f 1", "HSET KEY f v", "EXISTS KEY"]);
    commands
}

/// The same with a round, whose script has the key of delayed messages too.
pub(super) fn writing(topic: &str) -> Commands {
    let mut commands = publishing(topic);
    commands.on(&beside(topic, LATER), &["ZADD KEY 0 m"]);
    commands
}

/// What is in the way of publishing.
pub(super) async fn topic(shared: &Shared, topic: &str) -> Result<Vec<Finding>> {
    let (commands, server) = (publishing(topic), &shared.server);
    let wrong = kind(server, topic, "list").await?;
    Ok(wrong.into_iter().chain(commands.denied(server).await?).collect())
}
