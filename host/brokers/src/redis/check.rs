//! Looking, before messages depend on it, whether the server is what a configuration takes it for. Nothing is changed: the server is asked
//! what the user may do by `redis.acl_check_cmd` (Redis 7.0), in a script that does nothing else.

use std::collections::BTreeMap;
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
use std::collections::BTreeSet;
use std::sync::LazyLock;

use longshore_core::{BrokerError, Finding};
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
use longshore_core::{Outbox, PublishError, SettleError};
use redis::Script;

use super::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// Stands for the key in a command.
const KEY: &str = "KEY";
/// What is done with the sets of what waits.
pub(super) const WAITING: [&str; 5] = ["ZADD KEY 0 m", "ZREM KEY m", "ZRANGE KEY 0 -1", "ZRANGEBYSCORE KEY 0 1", "ZCARD KEY"];
/// What to do about rights.
const GRANT: &str = "let an administrator give it to the user with ACL SETUSER; the page of Redis lists all rights that are needed";

static MAY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/may.lua")));

/// Commands that will be run, with their keys.
#[derive(Default)]
pub(super) struct Commands(Vec<(Vec<String>, String)>);

impl Commands {
    /// Adds commands on a key, which stands in each of them as `KEY`.
    pub(super) fn on(&mut self, key: &str, commands: &[&str]) {
        for command in commands {
            let words = command.split(' ').map(|word| if word == KEY { key } else { word }.to_owned());
            self.0.push((words.collect(), key.to_owned()));
        }
    }

    /// What the user may not run of them, where scripts are needed anyhow.
    #[cfg(any(feature = "redis-list", feature = "redis-streams"))]
    pub(super) async fn denied(&self, server: &Server) -> Result<Option<Finding>> {
        let no_scripts = "the user may run no scripts on Redis, which all of Longshore's work is done by";
        Ok(self.ask(server).await?.unwrap_or_else(|| Some(Finding::mistake("", no_scripts, GRANT))))
    }

    /// What the user may not run of them; `None`: nobody tells, as the user may run no scripts.
    pub(super) async fn ask(&self, server: &Server) -> Result<Option<Option<Finding>>> {
        let mut script = MAY.prepare_invoke();
        for (words, _) in &self.0 {
            script.arg(words.len()).arg(words);
        }
        let places: Vec<usize> = match server.call("", &script).await {
            Ok(places) => places,
            Err(error) if error.code() == Some("NOPERM") => return Ok(None),
            Err(error) => return Err(server.error(&error)),
        };
        let mut by_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (words, key) in places.iter().filter_map(|place| self.0.get(place.checked_sub(1)?)) {
            let (names, name) = (by_key.entry(key).or_default(), words[0].as_str());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if by_key.is_empty() {
            return Ok(Some(None));
        }
        let list = by_key.into_iter().map(|(key, names)| match key {
            "" => names.join(", "),
            key => format!("{} on {key:?}", names.join(", ")),
        });
        let problem = format!("the user has no right on Redis to {}", list.collect::<Vec<_>>().join("; "));
        Ok(Some(Some(Finding::mistake("", problem, GRANT))))
    }
}

/// The first output whose topic the user may not write to, told as a refusal of that output. The server refuses a script for one of its keys, and does
/// not say which. `None`: it is not the outputs.
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
pub(super) async fn refused_output(server: &Server, outputs: &Outbox, writing: fn(&str) -> Commands) -> Option<SettleError> {
    let mut asked = BTreeSet::new();
    for index in 0..outputs.len() {
        let topic = outputs.row(index).topic();
        if asked.insert(topic)
            && let Ok(Some(Some(finding))) = writing(topic).ask(server).await
        {
            let error = PublishError::Denied(format!("topic {topic:?}: {}; {}", finding.problem, finding.help));
            return Some(SettleError::Output { index, error });
        }
    }
    None
}

/// A key that is there and is something else.
pub(super) async fn kind(server: &Server, key: &str, wanted: &str) -> Result<Option<Finding>> {
    let there: String = match server.try_run(key, redis::cmd("TYPE").arg(key)).await {
        Ok(there) => there,
        // Told with all that is missing.
        Err(error) if error.code() == Some("NOPERM") => return Ok(None),
        Err(error) => return Err(server.error(&error)),
    };
    if there == "none" || there == wanted {
        return Ok(None);
    }
    let problem = format!("the key {key:?} on Redis is a {there}, and this broker keeps a topic in a {wanted}");
    Ok(Some(Finding::mistake(
        "topic",
        problem,
        format!("name another topic, or give the key another name: redis-cli RENAME {key} {key}.old"),
    )))
}

/// What of the server itself is in the way, or may lose messages. What several nodes of a cluster have in common is said once.
pub(super) async fn server(server: &Server) -> Result<Vec<Finding>> {
    let mut info = redis::cmd("INFO");
    ["persistence", "replication", "memory", "cluster"].iter().for_each(|section| {
        info.arg(section);
    });
    let mut findings: Vec<Finding> = Vec::new();
    for node in server.masters().await.map_err(|e| server.error(&e))? {
        let told = match node.run::<String>(&info).await {
            Ok(info) => judge(&info, server.is_cluster()),
            Err(error) if error.code() == Some("NOPERM") => {
                let problem = "the user may not ask Redis for INFO, so that it cannot be told whether the server keeps what it takes";
                vec![Finding::advice("", problem, "give it the right: ACL SETUSER … +info")]
            }
            Err(error) => return Err(server.node_error(&error)),
        };
        for finding in told {
            if !findings.iter().any(|known| known.problem == finding.problem) {
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}

/// What there is to say about a server with that `INFO`.
fn judge(info: &str, as_cluster: bool) -> Vec<Finding> {
    let value = |name: &str| info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
    let mut findings = Vec::new();
    if value("cluster_enabled") == "1" && !as_cluster {
        let problem = "the server is a node of a Redis Cluster, and is not named as one: topics that other nodes have are not reached";
        findings.push(Finding::mistake("", problem, "write cluster = [\"host:6379\"] with some of its nodes, in place of the address"));
    }
    if value("role") == "slave" {
        let problem = "the server is a replica, which takes no messages";
        findings.push(Finding::mistake("", problem, "name its master, or the sentinels that know where it is"));
    }
    if value("aof_enabled") == "0" && value("connected_slaves") == "0" && value("role") != "slave" {
        let problem = "Redis has neither an append-only file nor a replica: what it took may be gone after its crash";
        findings.push(Finding::advice(
            "",
            problem,
            "set appendonly yes in its configuration, and appendfsync always where each message counts",
        ));
    }
    let policy = value("maxmemory_policy");
    if !["", "noeviction"].contains(&policy) && value("maxmemory") != "0" {
        let problem = format!("Redis removes keys once its memory is full (maxmemory-policy {policy}), and messages with them");
        findings.push(Finding::advice("", problem, "set maxmemory-policy noeviction: publishing waits then, and nothing is lost"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_judged_by_what_it_says_of_itself() {
        let check = |info: &str, expected: &[(bool, &str)]| {
            let found = judge(info, false);
            let told: Vec<_> = found.iter().map(|finding| (finding.is_mistake, finding.problem.as_str())).collect();
            assert_eq!(told.len(), expected.len(), "{told:?}");
            for ((mistake, problem), (is_mistake, word)) in told.iter().zip(expected) {
                assert!(mistake == is_mistake && problem.contains(word), "{problem}");
            }
        };
        let good =
            "role:master\r\nconnected_slaves:0\r\naof_enabled:1\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\ncluster_enabled:0\r\n";
        check(good, &[]);
        check(&good.replace("aof_enabled:1", "aof_enabled:0"), &[(false, "append-only")]);
        check(&good.replace("aof_enabled:1", "aof_enabled:0").replace("slaves:0", "slaves:1"), &[]);
        check(&good.replace("noeviction", "allkeys-lru"), &[(false, "allkeys-lru")]);
        check(&good.replace("noeviction", "allkeys-lru").replace("maxmemory:100", "maxmemory:0"), &[]);
        check(&good.replace("role:master", "role:slave"), &[(true, "replica")]);
        let node = good.replace("cluster_enabled:0", "cluster_enabled:1");
        check(&node, &[(true, "Cluster")]);
        assert!(judge(&node, true).is_empty());
    }
}
