//! Patterns of topics: levels separated by dots, `*` for exactly one level, `**` at the end for one or more.

use std::fmt;

/// A topic name or a pattern of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(String);

/// A pattern that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern {pattern:?}: {what}")]
pub struct BadPattern {
    pattern: String,
    what: &'static str,
}

impl Pattern {
    /// Refuses empty levels, and wildcards that are not a whole level or, for `**`, not the last.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        let bad = |what| Err(BadPattern { pattern: pattern.into(), what });
        if pattern == "*" || pattern == "**" {
            return Ok(Pattern(pattern.into()));
        }
        let mut levels = pattern.split('.').peekable();
        while let Some(level) = levels.next() {
            match level {
                "" => return bad("a level is empty; write names like orders.created"),
                "*" => {}
                "**" if levels.peek().is_none() => {}
                "**" => return bad("`**` stands for all the rest, so nothing can follow it"),
                l if l.contains('*') => return bad("`*` stands for a whole level, so nothing can stand beside it"),
                _ => {}
            }
        }
        Ok(Pattern(pattern.into()))
    }

    /// Whether `topic` is one of those meant.
    pub fn matches(&self, topic: &str) -> bool {
        if !self.is_wild() {
            return self.0 == topic;
        }
        let (mut pattern, mut topic) = (self.0.split('.'), topic.split('.'));
        loop {
            match (pattern.next(), topic.next()) {
                (Some("**"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(p), Some(t)) if p == t => {}
                _ => return false,
            }
        }
    }

    /// Whether it can mean more than one topic.
    pub fn is_wild(&self) -> bool {
        self.0.contains('*')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_levels() {
        let check = |pattern: &str, topic: &str| Pattern::new(pattern).expect("good pattern").matches(topic);
        assert!(check("orders", "orders"));
        assert!(!check("orders", "orders.eu"));
        assert!(check("user.*", "user.created"));
        assert!(!check("user.*", "user.created.eu"));
        assert!(!check("user.*", "user"));
        assert!(check("*.error", "billing.error"));
        assert!(check("user.**", "user.created.eu"));
        assert!(!check("user.**", "user"));
        assert!(check("**", "any.thing"));
        assert!(!check("*", "any.thing"));
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for bad in ["", "a..b", "a.**.b", "a.b*", "or*ers"] {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
    }
}
