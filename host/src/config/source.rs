//! Texts that configuration comes from, and places in them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file, or an argument of the command line.
#[derive(PartialEq, Eq)]
pub struct Source {
    /// As a person knows it: the path of a file, `--set`, `LONGSHORE_ENV`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Without the text, which may hold secrets.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// A part of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

impl Place {
    /// The bytes `span` of `source`; cut to what there is.
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Place { source: source.clone(), span: span.start.min(end)..end }
    }

    /// Where the text is from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The bytes meant.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The text meant.
    pub fn text(&self) -> &str {
        self.source.text.get(self.span()).unwrap_or_default()
    }

    /// Line, from 1.
    pub fn line(&self) -> usize {
        self.before().matches('\n').count() + 1
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> usize {
        self.before().rsplit('\n').next().unwrap_or_default().chars().count() + 1
    }

    /// Whether both are of one source.
    pub(crate) fn shares_source(&self, other: &Place) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.span.start).unwrap_or_default()
    }
}

/// `longshore.toml:3`, or the argument itself where it has one line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.name)?;
        if self.source.name.starts_with("--") { Ok(()) } else { write!(f, ":{}", self.line()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let source = Arc::new(Source { name: "a.toml".into(), text: "ä = 1\nöö = 2\n".into() });
        let at = Place::new(&source, 13..14);
        assert_eq!((at.line(), at.column(), at.text()), (2, 5, " "));
        assert_eq!(Place::new(&source, 90..99).text(), "");
        assert_eq!(at.to_string(), "a.toml:2");
    }
}
