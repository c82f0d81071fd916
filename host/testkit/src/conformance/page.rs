//! `tests/CONFORMANCE.md`: every adapter and every test in one table, a column for each adapter. Each adapter's own test holds its column to
//! what it saw; with `UPDATE=1` it writes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

use super::{Matrix, Verdict, tests};

const HEAD: &str = "# What each adapter does\n\nMade by the conformance suite against the real servers (`UPDATE=1 cargo test -p longshore-brokers` writes it): do not edit.\n\
    `yes`: declared and tested. `–`: not declared, and refused when it is asked for, or nothing there can be asked.\n\n";

/// Adapters whose tests run in one process take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Columns by adapter; in each, the mark by test.
type Columns = BTreeMap<String, BTreeMap<String, String>>;

impl Matrix {
    /// Holds the column of `adapter` to this; panics when it says something else.
    #[allow(clippy::disallowed_methods, reason = "a switch for whoever runs the tests")]
    pub fn assert_kept_as(&self, adapter: &str) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/CONFORMANCE.md");
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let mut columns = read(&kept);
        columns.insert(adapter.to_owned(), self.marks());
        let fresh = render(&columns);
        if env::var_os("UPDATE").is_some() {
            fs::write(&file, &fresh).expect("the tests' folder is there");
        } else {
            assert!(kept == fresh, "tests/CONFORMANCE.md says something else of {adapter}: run this test with UPDATE=1\n{self}");
        }
    }

    fn marks(&self) -> BTreeMap<String, String> {
        let mark = |verdict: &Verdict| match verdict {
            Verdict::Passed => "yes",
            Verdict::Unsupported => "–",
            Verdict::Failed(_) => "no",
        };
        self.entries.iter().map(|entry| (entry.test.to_owned(), mark(&entry.verdict).to_owned())).collect()
    }
}

fn read(page: &str) -> Columns {
    let mut lines = page.lines().filter(|line| line.starts_with('|')).map(cells);
    let Some(head) = lines.next() else { return Columns::new() };
    let mut columns: Columns = head.iter().skip(2).map(|adapter| ((*adapter).to_owned(), BTreeMap::new())).collect();
    for row in lines.skip(1) {
        let test = row[0].replace(' ', "_");
        for (adapter, mark) in head.iter().zip(&row).skip(2) {
            columns.entry((*adapter).to_owned()).or_default().insert(test.clone(), (*mark).to_owned());
        }
    }
    columns
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

fn render(columns: &Columns) -> String {
    let mut page = format!("{HEAD}| test | capability |");
    columns.keys().for_each(|adapter| page.push_str(&format!(" {adapter} |")));
    page.push_str("\n|---|---|");
    page.push_str(&"---|".repeat(columns.len()));
    for test in tests() {
        page.push_str(&format!("\n| {} | {} |", test.name.replace('_', " "), test.flag));
        for marks in columns.values() {
            // A test that is newer than the column.
            let mark = marks.get(test.name).map_or("?", String::as_str);
            page.push_str(&format!(" {mark} |"));
        }
    }
    page.push('\n');
    page
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_one_column_leaves_the_others_alone() {
        let column = |mark: &str| tests().iter().map(|test| (test.name.to_owned(), mark.to_owned())).collect::<BTreeMap<_, _>>();
        let columns = Columns::from([("embedded".into(), column("yes")), ("memory".into(), column("–"))]);
        let page = render(&columns);
        assert_eq!(read(&page), columns);
        let mut changed = read(&page);
        changed.insert("memory".into(), column("yes"));
        assert_eq!(read(&render(&changed))["embedded"], columns["embedded"]);
    }
}
