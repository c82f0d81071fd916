//! Where a value stands in the tree of keys: `handlers.billing.subscribe[0].topic`.

use std::fmt;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A path of keys and indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPath(Vec<Step>);

impl KeyPath {
    /// The path that follows `keys` from the top.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        KeyPath(keys.into_iter().map(|k| Step::Key(k.into())).collect())
    }

    /// One key further.
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// One element of a list further.
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The last key.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// Whether it is `other` or below it.
    pub(crate) fn is_below(&self, other: &KeyPath) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Whether it is the top.
    pub(crate) fn is_top(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        KeyPath(steps)
    }
}

/// As TOML writes dotted keys, indices in brackets.
impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => write!(f, "{}{}", if i > 0 { "." } else { "" }, quoted(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML writes it.
pub(crate) fn quoted(key: &str) -> String {
    toml_edit::Key::new(key).display_repr().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_toml_writes_them() {
        let path = KeyPath::of(["topics", "orders.created"]).key("list").index(2).key("x");
        assert_eq!(path.to_string(), r#"topics."orders.created".list[2].x"#);
        assert_eq!(path.last_key(), Some("x"));
    }
}
