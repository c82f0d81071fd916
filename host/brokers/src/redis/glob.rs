//! Patterns in the server's words. Pure.

use longshore_core::Pattern;

/// The pattern as the server's own, which may mean more: <https://redis.io/docs/latest/commands/keys/>.
pub(super) fn glob(pattern: &Pattern) -> String {
    let levels = pattern.as_str().split('.').map(|level| match level {
        "*" | "**" => "*".to_owned(),
        name => name.chars().flat_map(|c| "?[]^\\".contains(c).then_some('\\').into_iter().chain([c])).collect(),
    });
    levels.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_asked_for_in_the_servers_words() {
        let check = |pattern: &str, expected: &str| assert_eq!(glob(&Pattern::new(pattern).expect("a pattern")), expected);
        check("orders.*", "orders.*");
        check("a[1].**", "a\\[1\\].*");
        check("**", "*");
    }
}
