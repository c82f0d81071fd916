//! A message as the command line gives it, and files of messages, one line of JSON each.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use clap::Args;
use longshore_admin::model::{Data, HeaderList, Line};

use super::failure::Failure;

/// One message from arguments.
#[derive(Debug, Clone, Args)]
pub(super) struct Message {
    /// The payload; `-`, or nothing where input is piped in, reads it from stdin
    payload: Option<String>,
    /// The key
    #[arg(long)]
    key: Option<String>,
    /// A header; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<(String, String)>,
}

impl Message {
    /// Whether a payload stands in the arguments.
    pub(super) fn has_payload(&self) -> bool {
        self.payload.is_some()
    }

    /// The message, without topic.
    pub(super) fn line(&self) -> Result<Line, Failure> {
        let payload = match self.payload.as_deref() {
            Some("-") => stdin()?,
            Some(text) => Data::from(text),
            None if io::stdin().is_terminal() => {
                return Err(Failure::usage("there is no payload: give one as an argument, or pipe it in"));
            }
            None => stdin()?,
        };
        let headers = HeaderList(self.header.iter().map(|(n, v)| (n.clone(), v.as_str().into())).collect());
        Ok(Line { key: self.key.as_deref().map(Data::from), payload: Some(payload), headers, ..Line::default() })
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

fn stdin() -> Result<Data, Failure> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(|e| Failure::failed(format!("the payload cannot be read from stdin: {e}")))?;
    Ok(Data(bytes))
}

/// The lines of a file, or of stdin for `-`, with their numbers from 1. Empty lines are left out.
pub(super) fn of_file(path: &Path) -> Result<impl Iterator<Item = (usize, Result<Line, String>)>, Failure> {
    let reader: Box<dyn BufRead> = match path.to_str() {
        Some("-") => Box::new(BufReader::new(io::stdin())),
        _ => Box::new(BufReader::new(File::open(path).map_err(|e| Failure::not_found(format!("{}: {e}", path.display())))?)),
    };
    let numbered = reader.lines().enumerate().map(|(i, line)| (i + 1, line));
    Ok(numbered.filter_map(|(number, line)| match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some((number, Line::parse(&line).map_err(|e| complaint(&e)))),
        Err(error) => Some((number, Err(error.to_string()))),
    }))
}

/// Without the line number of serde, which is always 1.
fn complaint(error: &serde_json::Error) -> String {
    let (text, column) = (error.to_string(), error.column());
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("{what} (column {column})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers_and_bad_ones_say_what_they_lack() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        std::fs::write(&file, "{\"payload\":\"1\"}\n\n{\"key\":\"a\"}\n{\"payload\":\"2\"}").unwrap();
        let lines: Vec<_> = of_file(&file).ok().unwrap().collect();
        assert_eq!(lines.iter().map(|(n, line)| (*n, line.is_ok())).collect::<Vec<_>>(), [(1, true), (3, false), (4, true)]);
        assert_eq!(lines[1].1.as_ref().unwrap_err(), "missing field `payload` (column 11)");
    }
}
