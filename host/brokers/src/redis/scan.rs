//! Looking for topics among the keys of a server.

use longshore_core::{BrokerError, Pattern};

use super::glob::glob;
use super::names::check_name;
#[cfg(feature = "redis-list")]
use super::names::{OWN, QUEUE, topic_of};
use super::server::Server;

type Result<T> = std::result::Result<T, BrokerError>;

/// Keys that one step of a scan looks at.
const STEP: usize = 1000;

/// What a topic is on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A stream.
    #[cfg(feature = "redis-streams")]
    Stream,
    /// A list, which is not there while it is empty, and a hash beside it, which is.
    #[cfg(feature = "redis-list")]
    List,
}

/// Names that are meant by topics and patterns: those that are named, and those that are there and match.
pub(super) async fn wanted(server: &Server, kind: Kind, meant: &[Pattern]) -> Result<Vec<String>> {
    let mut wanted: Vec<String> = meant.iter().filter(|pattern| !pattern.is_wild()).map(|pattern| pattern.as_str().to_owned()).collect();
    for pattern in meant.iter().filter(|pattern| pattern.is_wild()) {
        for topic in scan(server, kind, &glob(pattern)).await? {
            if pattern.matches(&topic) && !wanted.contains(&topic) {
                wanted.push(topic);
            }
        }
    }
    for topic in &wanted {
        check_name(topic).map_err(BrokerError::give_up)?;
    }
    Ok(wanted)
}

/// Names of topics that match a pattern of the server's, in order.
pub(super) async fn scan(server: &Server, kind: Kind, glob: &str) -> Result<Vec<String>> {
    let mut names = match kind {
        #[cfg(feature = "redis-streams")]
        Kind::Stream => keys(server, "stream", glob).await?,
        #[cfg(feature = "redis-list")]
        Kind::List => {
            let mut names = keys(server, "list", glob).await?;
            let beside = keys(server, "hash", &format!("{OWN}{{*}}:{QUEUE}:{glob}")).await?;
            names.extend(beside.iter().filter_map(|key| topic_of(key, QUEUE)).map(str::to_owned));
            names
        }
    };
    names.retain(|name| check_name(name).is_ok());
    // A scan may answer a key twice.
    names.sort();
    names.dedup();
    Ok(names)
}

/// Keys of a type that match, on all that have keys. One that is no text is no topic's.
async fn keys(server: &Server, kind: &str, glob: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for node in server.masters().await.map_err(|e| server.error(&e))? {
        let mut cursor = 0;
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(glob).arg("COUNT").arg(STEP).arg("TYPE").arg(kind);
            let (next, found): (u64, Vec<Vec<u8>>) = node.run(&command).await.map_err(|e| server.node_error(&e))?;
            names.extend(found.into_iter().filter_map(|name| String::from_utf8(name).ok()));
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
    }
    Ok(names)
}
