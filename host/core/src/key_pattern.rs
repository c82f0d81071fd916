//! Patterns of keys and of names of locks: `*` stands for any characters, also none, also dots. Anything else stands for itself.

use std::fmt;

/// A key or a pattern of keys. Every text is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPattern(String);

impl KeyPattern {
    /// The pattern that `text` is. Stars beside each other are one: they mean no more, and each would be looked at for each key.
    pub fn new(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains("**") {
            let mut was_star = false;
            text.retain(|c| !std::mem::replace(&mut was_star, c == '*') || c != '*');
        }
        KeyPattern(text)
    }

    /// Whether `key` is one of those meant. Takes time by the product of both lengths at most.
    pub fn matches(&self, key: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return self.0 == key };
        let Some(mut key) = key.strip_prefix(start) else { return false };
        let mut pieces = rest.split('*');
        let end = pieces.next_back().unwrap_or_default();
        // Taking the first place where a piece stands leaves the most for those after it.
        for piece in pieces {
            match key.find(piece) {
                Some(at) => key = &key[at + piece.len()..],
                None => return false,
            }
        }
        key.ends_with(end)
    }

    /// What every key begins with that is meant.
    pub fn start(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// The pieces between the stars; one piece where there is none.
    pub fn pieces(&self) -> impl Iterator<Item = &str> {
        self.0.split('*')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let check = |pattern: &str, key: &str| KeyPattern::new(pattern).matches(key);
        for (pattern, key) in [
            ("*", ""),
            ("*", "a.b:c"),
            ("", ""),
            ("a", "a"),
            ("a*", "a"),
            ("a*", "a.b"),
            ("*a", "ba"),
            ("a*c", "abc"),
            ("a*b*c", "a-b-b-c"),
            ("a**c", "ac"),
            ("ä*", "äö"),
            ("*ab", "aab"),
            ("*a*a", "aa"),
        ] {
            assert!(check(pattern, key), "{pattern:?} means {key:?}");
        }
        for (pattern, key) in [("a", "A"), ("a*", "b"), ("*a", "ab"), ("a*c", "ab"), ("", "a"), ("a*a", "a"), ("*a*a", "a"), ("a?", "ab")] {
            assert!(!check(pattern, key), "{pattern:?} does not mean {key:?}");
        }
    }

    #[test]
    fn a_pattern_tells_what_its_keys_begin_with() {
        assert_eq!(["a:*", "*", "key"].map(|text| KeyPattern::new(text).start().to_owned()), ["a:", "", "key"]);
        assert_eq!(["**", "a***b**", "*a*"].map(|text| KeyPattern::new(text).as_str().to_owned()), ["*", "a*b*", "*a*"]);
        assert_eq!(KeyPattern::new("a*b*").pieces().collect::<Vec<_>>(), ["a", "b", ""]);
    }
}
