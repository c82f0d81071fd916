//! What is wrong with a configuration: where, what was expected, what to do, with a picture of the line.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::discover::Lookup;
use super::mask::masked;
use super::path::KeyPath;
use super::source::Place;

/// Width of a report, in columns.
const WIDTH: usize = 120;
/// Lines shown before and after the one meant; with none, only the part of the line that is meant would show.
const CONTEXT: usize = 1;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key.
    pub path: KeyPath,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// What to do.
    pub help: Option<String>,
    /// Where.
    pub place: Place,
    /// What else has to do with it, and why.
    pub also: Option<(Place, String)>,
}

impl Mistake {
    /// A mistake at a place.
    pub fn new(path: &KeyPath, place: &Place, problem: impl Into<String>) -> Self {
        Mistake { path: path.clone(), problem: problem.into(), help: None, place: place.clone(), also: None }
    }

    /// With advice; an empty text is none.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into()).filter(|text| !text.is_empty());
        self
    }

    /// With a second place.
    pub fn also(mut self, place: &Place, why: impl Into<String>) -> Self {
        self.also = Some((place.clone(), why.into()));
        self
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_top() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)
    }
}

/// How mistakes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// For a terminal: colours and lines.
    Coloured,
    /// For a terminal without colours (`NO_COLOR`): lines alone.
    Lined,
    /// For a file or another program: ASCII.
    Plain,
}

impl Look {
    /// The look for an output that is a terminal or not. Colours are left out when `NO_COLOR` is set to anything.
    pub fn choose(terminal: bool, lookup: Lookup<'_>) -> Self {
        match terminal {
            false => Look::Plain,
            true if lookup("NO_COLOR").is_some_and(|value| !value.is_empty()) => Look::Lined,
            true => Look::Coloured,
        }
    }
}

/// All that is wrong with a configuration, in the order of its files.
#[derive(Debug, Clone, Default)]
pub struct Mistakes {
    pub(crate) list: Vec<Mistake>,
    /// Values that are never shown.
    pub(crate) secrets: Vec<Place>,
}

impl Mistakes {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.list.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing at or below a key has been told.
    pub(crate) fn is_empty_below(&self, path: &KeyPath) -> bool {
        !self.list.iter().any(|mistake| mistake.path.is_below(path))
    }

    pub(crate) fn push(&mut self, mistake: Mistake) {
        self.list.push(mistake);
    }

    /// Adds those of the same configuration that were found elsewhere.
    pub(crate) fn extend(&mut self, more: Mistakes) {
        self.list.extend(more.list);
    }

    /// By source and line, arguments last.
    pub(crate) fn sort(&mut self) {
        let key = |m: &Mistake| {
            let name = &m.place.source().name;
            (name.starts_with("--"), name.clone(), m.place.span().start)
        };
        self.list.sort_by_cached_key(key);
        self.list.dedup();
    }

    /// All of them for a person to read, and how many there are.
    pub fn render(&self, look: Look) -> String {
        let (mut text, count) = (self.pictures(look), self.list.len());
        text.push_str(&format!("{count} mistake{} in the configuration\n", if count == 1 { "" } else { "s" }));
        text
    }

    /// All of them for a person to read.
    pub fn pictures(&self, look: Look) -> String {
        let mut text = String::new();
        for mistake in &self.list {
            let picture = Picture::new(mistake, &self.secrets);
            if handler(look).render_report(&mut text, &picture).is_err() {
                text.push_str(&format!("{}: {mistake}\n", mistake.place));
            }
            text.push('\n');
        }
        text
    }
}

/// One line each.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.list.iter().enumerate() {
            write!(f, "{}{}: {mistake}", if i > 0 { "\n" } else { "" }, mistake.place)?;
        }
        Ok(())
    }
}

fn handler(look: Look) -> GraphicalReportHandler {
    let theme = match look {
        Look::Coloured => GraphicalTheme::unicode(),
        Look::Lined => GraphicalTheme::unicode_nocolor(),
        Look::Plain => GraphicalTheme::none(),
    };
    GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_context_lines(CONTEXT).with_links(false)
}

/// A mistake with its source, secrets covered.
#[derive(Debug)]
struct Picture<'a> {
    mistake: &'a Mistake,
    source: NamedSource<String>,
}

impl<'a> Picture<'a> {
    fn new(mistake: &'a Mistake, secrets: &[Place]) -> Self {
        let source = mistake.place.source();
        let hidden = secrets.iter().filter(|s| s.shares_source(&mistake.place)).map(Place::span);
        Picture { mistake, source: NamedSource::new(&source.name, masked(&source.text, hidden)) }
    }
}

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistake.fmt(f)
    }
}

impl std::error::Error for Picture<'_> {}

impl Diagnostic for Picture<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.mistake.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = LabeledSpan::new_primary_with_span(None, self.mistake.place.span());
        let also = self.mistake.also.iter().filter(|(place, _)| place.shares_source(&self.mistake.place));
        let also = also.map(|(place, why)| LabeledSpan::new_with_span(Some(why.clone()), place.span()));
        Some(Box::new(std::iter::once(here).chain(also)))
    }
}
