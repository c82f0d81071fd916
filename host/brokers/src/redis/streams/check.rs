//! Looking whether a stream can be consumed and published to.

use longshore_core::{BrokerError, Finding, Intent, Start};
use redis::Value;

use super::keys::{LATER, LATER_KEPT, LaneKeys, RETURNED};
use super::topics::field;
use crate::redis::check::{Commands, WAITING, kind};
use crate::redis::entry::{list, text};
use crate::redis::names::beside;
use crate::redis::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// What is done with a stream.
const STREAM: [&str; 20] = [
    "TYPE KEY",
    "EXISTS KEY",
    "XADD KEY * f v",
    "XLEN KEY",
    "XDEL KEY 0-1",
    "XRANGE KEY - +",
    "XTRIM KEY MINID 0",
    "XINFO STREAM KEY",
    "XINFO GROUPS KEY",
    "XINFO CONSUMERS KEY g",
    "XGROUP CREATE KEY g 0 MKSTREAM",
    "XGROUP CREATECONSUMER KEY g c",
    "XGROUP DELCONSUMER KEY g c",
    "XGROUP DESTROY KEY g",
    "XREADGROUP GROUP g c STREAMS KEY >",
    "XACK KEY g 0-1",
    "XCLAIM KEY g c 0 0-1",
    "XPENDING KEY g",
    "XREAD STREAMS KEY 0",
    "XGROUP SETID KEY g 0",
];
/// What is done with what is kept of them.
const KEPT: [&str; 4] = ["HSET KEY f v", "HGET KEY f", "HDEL KEY f", "HINCRBY KEY f 1"];
/// What is done with a seat, and with the mark of a purge.
const SEAT: [&str; 4] = ["SET KEY v PX 1", "GET KEY", "DEL KEY", "PEXPIRE KEY 1"];

/// What is in the way of a subscription.
pub(super) async fn subscription(server: &Server, intent: &Intent) -> Result<Vec<Finding>> {
    let (mut findings, mut commands) = (Vec::new(), Commands::default());
    commands.on("", &["TIME"]);
    if !server.is_cluster() {
        commands.on("", &["MULTI", "EXEC"]);
    }
    let group = intent.subscribe.group.as_deref();
    for topic in &intent.subscribe.topics {
        if topic.is_wild() {
            commands.on("", &["SCAN 0"]);
            continue;
        }
        let topic = topic.as_str();
        let keys = LaneKeys::new(topic, group.unwrap_or(RETURNED), "", false, std::time::Duration::ZERO);
        commands.on(topic, &STREAM);
        [&keys.due, &keys.later].iter().for_each(|key| commands.on(key, &WAITING));
        [&keys.kept, &keys.later_kept].iter().for_each(|key| commands.on(key, &KEPT));
        [&keys.seat, &keys.era].iter().for_each(|key| commands.on(key, &SEAT));
        match kind(server, topic, "stream").await? {
            Some(finding) => findings.push(finding),
            None => findings.extend(start(server, intent, topic).await?),
        }
    }
    findings.extend(commands.denied(server).await?);
    Ok(findings)
}

/// A group that must be there, and is not.
async fn start(server: &Server, intent: &Intent, topic: &str) -> Result<Option<Finding>> {
    let Some(group) = intent.subscribe.group.as_deref().filter(|_| intent.subscribe.start == Start::None) else { return Ok(None) };
    let groups: Value = server.try_run(topic, redis::cmd("XINFO").arg("GROUPS").arg(topic)).await.unwrap_or(Value::Nil);
    if list(&groups).iter().any(|info| field(info, "name").and_then(text) == Some(group)) {
        return Ok(None);
    }
    let problem = format!("group {group:?} has no position on the stream {topic:?}, and start = \"none\" makes none");
    Ok(Some(Finding::mistake("start", problem, "begin once with \"earliest\" or \"latest\", or make it: redis-cli XGROUP CREATE")))
}

/// What is done with a topic that a round publishes to: its script has the keys of delayed messages too.
pub(super) fn writing(topic: &str) -> Commands {
    let mut commands = Commands::default();
    commands.on(topic, &["TYPE KEY", "XADD KEY * f v"]);
    commands.on(&beside(topic, LATER), &["ZADD KEY 0 m"]);
    commands.on(&beside(topic, LATER_KEPT), &["HSET KEY f v"]);
    commands
}

/// What is in the way of publishing.
pub(super) async fn topic(server: &Server, topic: &str) -> Result<Vec<Finding>> {
    let mut commands = Commands::default();
    commands.on(topic, &["TYPE KEY", "XADD KEY * f v"]);
    let wrong = kind(server, topic, "stream").await?;
    Ok(wrong.into_iter().chain(commands.denied(server).await?).collect())
}
