//! What commands print: a table for people or one JSON object a line, and the bits of text that tables have in common.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::failure::Failure;
use super::times;

/// Form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
}

/// The option of every command that reads.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Output {
    /// Form of what is printed
    #[arg(long, short, value_enum, default_value_t, value_name = "FORM")]
    pub(super) output: Format,
}

/// One column of a table. A title that ends with `#` is a column of numbers.
pub(super) type Column<T> = (&'static str, fn(&T) -> String);

impl Output {
    pub(super) fn is_json(self) -> bool {
        self.output == Format::Json
    }

    /// Prints many things of one kind.
    pub(super) fn list<T: Serialize>(self, items: &[T], columns: &[Column<T>]) -> Result<(), Failure> {
        match self.output {
            Format::Json => items.iter().try_for_each(json),
            Format::Table => line(&table(items, columns)),
        }
    }

    /// Prints one thing as names and values.
    pub(super) fn one<T: Serialize>(self, item: &T, columns: &[Column<T>]) -> Result<(), Failure> {
        if self.is_json() {
            return json(item);
        }
        let width = columns.iter().map(|(title, _)| title.trim_end_matches('#').len()).max().unwrap_or(0);
        columns.iter().try_for_each(|(title, of)| line(&format!("{:width$}  {}", title.trim_end_matches('#'), of(item))))
    }
}

/// Prints one JSON object.
pub(super) fn json<T: Serialize>(item: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(item).map_err(|e| Failure::failed(format!("cannot write JSON: {e}")))?;
    line(&text)
}

/// Prints one line to stdout.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    Ok(writeln!(out, "{text}").and_then(|()| out.flush())?)
}

fn table<T>(items: &[T], columns: &[Column<T>]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|(title, _)| title.trim_end_matches('#').to_uppercase()));
    for item in items {
        table.add_row(columns.iter().map(|(_, of)| of(item)));
    }
    for (i, (title, _)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(i) {
            column.set_padding((0, 2));
            if title.ends_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Colours, unless somebody does not want them.
pub(super) fn wants_colour() -> bool {
    crate::config::environment("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether a person looks at stderr.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// A number, or a dash for what is not known.
pub(super) fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "–".into(), |n| n.to_string())
}

/// A text, or a dash for none.
pub(super) fn text(value: Option<&str>) -> String {
    value.filter(|t| !t.is_empty()).unwrap_or("–").into()
}

/// A time, or a dash for none.
pub(super) fn time(value: Option<u64>) -> String {
    value.map_or_else(|| "–".into(), times::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_lines_end_where_they_end() {
        let columns: [Column<(&str, u64)>; 2] = [("name", |i| i.0.into()), ("messages#", |i| i.1.to_string())];
        let text = table(&[("orders", 7), ("a", 1200)], &columns);
        assert_eq!(text, "NAME    MESSAGES\norders         7\na           1200");
    }
}
