//! Covers secrets in texts that are shown: values known to be secret, values whose key sounds like it, passwords inside urls.

use std::ops::Range;

/// What a key contains whose value is not for showing, whether its schema says so or there is none.
const SECRET_NAMES: [&str; 10] =
    ["password", "passwd", "pwd", "passphrase", "secret", "token", "credential", "access-key", "api-key", "nkey"];

/// What is shown in place of a secret where its length does not matter.
pub(crate) const COVER: &str = "***";

/// Whether a key of that name holds something that is not for showing.
pub(crate) fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase().replace('_', "-");
    SECRET_NAMES.iter().any(|name| key.contains(name))
}

/// The text with secrets covered by stars, byte for byte, so that places keep pointing to the same.
pub(crate) fn masked(text: &str, known: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let ranges = known.into_iter().chain(passwords_in_urls(text)).chain(values_of_secret_keys(text));
    for range in ranges {
        for at in range {
            if bytes.get(at).is_some_and(|b| !matches!(b, b'\n' | b'"' | b'\'')) {
                bytes[at] = b'*';
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// A value without the password of a url in it.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = text.to_owned();
    for range in passwords_in_urls(text).into_iter().rev() {
        shown.replace_range(range, COVER);
    }
    shown
}

/// What stands between `:` and `@` after `://`.
fn passwords_in_urls(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (scheme, _) in text.match_indices("://") {
        let start = scheme + 3;
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?')).unwrap_or(rest.len());
        let Some(at) = rest[..end].rfind('@') else { continue };
        if let Some(colon) = rest[..at].find(':') {
            found.push(start + colon + 1..start + at);
        }
    }
    found
}

/// `password = "…"` on each line.
fn values_of_secret_keys(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let before = text[..equals].trim_end();
        let key = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '{' | ',' | '.')).next().unwrap_or_default();
        if sounds_secret(key) {
            let start = equals + 1 + (text[equals + 1..].len() - text[equals + 1..].trim_start_matches(' ').len());
            found.push(start..end_of_value(text, start));
        }
    }
    found
}

/// Where the value ends that starts at `start`: at its closing quote, or with the line when it has none.
fn end_of_value(text: &str, start: usize) -> usize {
    let line = text[start..].find('\n').map_or(text.len(), |end| start + end);
    let quote = text[start..].chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote.and_then(|quote| text[start + 1..line].find(quote)) {
        Some(end) => start + 1 + end,
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_in_place() {
        let check = |text: &str, expected: &str| assert_eq!(masked(text, []), expected);
        check(r#"security = { password = "hunter2", user = "me" }"#, r#"security = { password = "*******", user = "me" }"#);
        check(r#"url = "amqp://me:s3cret@host:5672/" # x"#, r#"url = "amqp://me:******@host:5672/" # x"#);
        check("api_token = 'abc\nnext = 1", "api_token = '***\nnext = 1");
        check(r#"url = "nats://localhost:4222""#, r#"url = "nats://localhost:4222""#);
        assert_eq!(masked("a = \"öx\"", std::iter::once(5..8)), "a = \"***\"");
    }

    #[test]
    fn values_are_shown_without_passwords() {
        assert_eq!(shown("redis://u:p@a, redis://u:q@b"), "redis://u:***@a, redis://u:***@b");
        assert_eq!(shown("plain"), "plain");
    }
}
