//! What Redis answers, in our words: what mends it, and what to do. Codes: the server's source, `src/server.c` (`shared` errors), and its
//! documentation of access control.

use longshore_core::{BrokerError, Fix, PublishError};
use redis::{ErrorKind, RedisError};

/// A broker's error for what Redis said while `user` asked it for something.
pub(super) fn translate(at: &str, user: &str, error: &RedisError) -> BrokerError {
    let words = words(error);
    let tell = |what: String| format!("Redis at {at}: {what}");
    let user = if user.is_empty() { String::new() } else { format!(" of user {user:?}") };
    match error.kind() {
        ErrorKind::AuthenticationFailed => return BrokerError::give_up(tell(format!("{words}; check username and password{user}"))),
        ErrorKind::InvalidClientConfig => return BrokerError::give_up(tell(words)),
        ErrorKind::Io if is_distrust(&words) => return BrokerError::give_up(tell(format!("{words}; check tls.ca and the host's name"))),
        ErrorKind::Io => return BrokerError::reconnect(tell(words)),
        _ => {}
    }
    match code(error, &words) {
        "WRONGPASS" | "NOAUTH" => BrokerError::give_up(tell(format!("{words}; check username and password{user}"))),
        "NOPERM" => BrokerError::give_up(tell(format!("{words}; give the user the rights that the page of this broker lists"))),
        "WRONGTYPE" => BrokerError::give_up(tell(format!("{words}; the key is of another type: name another topic"))),
        "CROSSSLOT" => {
            BrokerError::give_up(tell(format!("{words}; give the topics one hash tag, like {{orders}}.new and {{orders}}.dead")))
        }
        "ASK" | "MOVED" | "TRYAGAIN" => {
            BrokerError::retry(tell("the slot of its keys is on its way to another node; waiting for it".into()))
        }
        "ERR" if words.contains("cluster support disabled") => {
            BrokerError::give_up(tell("it is no node of a cluster; name it by url in place of cluster".into()))
        }
        "LOADING" => BrokerError::retry(tell("it loads its data; waiting for it".into())),
        "READONLY" | "NOGROUP" | "UNBLOCKED" => BrokerError::reconnect(tell(words)),
        "ERR" if words.contains("unknown command") || words.contains("DB index") => BrokerError::give_up(tell(words)),
        _ => BrokerError::retry(tell(words)),
    }
}

/// The same for one message that was to be published.
pub(super) fn refusal(topic: &str, error: &RedisError) -> PublishError {
    let words = words(error);
    match code(error, &words) {
        "WRONGTYPE" => PublishError::Invalid(format!("topic {topic:?}: its key is of another type ({words})")),
        "NOPERM" => PublishError::Denied(format!("topic {topic:?}: {words}")),
        _ => PublishError::Unavailable(words),
    }
}

/// The same for a command of a lane that stands although a connection is gone: its next command opens another.
pub(super) fn stands(error: BrokerError) -> BrokerError {
    if error.fix == Fix::Reconnect { BrokerError::retry(error.what) } else { error }
}

/// What is said to an answer that no script of ours gives.
pub(super) fn foreign_answer() -> BrokerError {
    BrokerError::give_up("the server answers a script as none of ours does")
}

/// Whether somebody lacks a right; a transaction with such a command is refused as a whole, and nothing of it is done.
#[cfg(any(feature = "redis-list", feature = "redis-streams"))]
pub(super) fn lacks_right(error: &RedisError) -> bool {
    matches!(code(error, &words(error)), "NOPERM" | "EXECABORT")
}

/// The error's code; a script's error may hide it in its text.
pub(super) fn code<'a>(error: &'a RedisError, words: &'a str) -> &'a str {
    const HIDDEN: [&str; 4] = ["WRONGTYPE", "NOPERM", "NOGROUP", "OOM"];
    // What Redis 7.0 says where a script may not do something: `scriptCall` in the server's `src/script.c`.
    const DENIED: &str = "The user executing the script can't";
    let code = error.code().unwrap_or("");
    if code == "ERR" && words.contains(DENIED) {
        return "NOPERM";
    }
    HIDDEN.into_iter().find(|hidden| code == "ERR" && words.contains(hidden)).unwrap_or(code)
}

/// Whether a connection was refused by ourselves: the server is not who it should be, or no TLS is spoken there.
fn is_distrust(words: &str) -> bool {
    ["certificate", "InvalidContentType", "corrupt message"].iter().any(|sign| words.contains(sign))
}

pub(super) fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}
