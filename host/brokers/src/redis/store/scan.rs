//! Looking for keys of a bucket, or locks, a page at a time: SCAN, so that nobody waits for it.

use longshore_core::{KeyPage, KeyPattern, StoreError};

use super::said;
use crate::redis::server::Server;

/// Keys of the server that one page looks at.
const STEP: usize = 1000;

/// A page of the keys that begin with `start` and match from there on.
pub(super) async fn page(server: &Server, start: &str, pattern: &KeyPattern, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
    let from = cursor.map_or(Ok(0), |cursor| cursor.parse::<u64>().ok().filter(|from| *from != 0).ok_or_else(|| no_cursor(cursor)))?;
    let mut command = redis::cmd("SCAN");
    command.arg(from).arg("MATCH").arg(glob(start, pattern)).arg("COUNT").arg(STEP);
    let answer = server.try_run(start, &command).await;
    let (next, found): (u64, Vec<Vec<u8>>) = answer.map_err(|error| said::about(server, start, &error))?;
    let named = found.into_iter().filter_map(|key| String::from_utf8(key).ok());
    let keys = named.filter_map(|key| key.strip_prefix(start).map(str::to_owned)).filter(|key| pattern.matches(key)).collect();
    Ok(KeyPage { keys, next: (next != 0).then(|| next.to_string()) })
}

/// The pattern in the server's words: <https://redis.io/docs/latest/commands/keys/>.
fn glob(start: &str, pattern: &KeyPattern) -> String {
    let escaped = |text: &str| text.chars().flat_map(|c| "?*[]^\\".contains(c).then_some('\\').into_iter().chain([c])).collect::<String>();
    format!("{}{}", escaped(start), pattern.pieces().map(escaped).collect::<Vec<_>>().join("*"))
}

fn no_cursor(cursor: &str) -> StoreError {
    StoreError::Invalid(format!("{cursor:?} is no cursor that a page gave"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_asked_for_in_the_servers_words() {
        let check = |pattern: &str, expected: &str| assert_eq!(glob("l:{b}:", &KeyPattern::new(pattern)), expected);
        check("a*", "l:{b}:a*");
        check("*[x]?^\\", "l:{b}:*\\[x\\]\\?\\^\\\\");
    }
}
