//! Values that are never shown.

use std::fmt;
use std::path::Path;

use super::mask::COVER;
use super::mistake::Mistake;
use super::node::{Node, Value};
use super::path::KeyPath;

/// What a secret begins with that lies in a file.
const FILE: &str = "file:";

/// A text that shows as stars.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Covers a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for whoever has to use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(COVER)
    }
}

/// Puts the content of the file in place of `file:path`, without the line end that editors add. Relative paths start in `folder`.
pub(crate) fn fetch(node: &mut Node, folder: &Path, path: &KeyPath) -> Result<(), Box<Mistake>> {
    let Some(file) = node.text().and_then(|text| text.strip_prefix(FILE)) else { return Ok(()) };
    let text = std::fs::read_to_string(folder.join(file)).map_err(|error| {
        let problem = format!("the file {file} of this secret cannot be read: {error}");
        Box::new(Mistake::new(path, &node.place, problem).help("write file: and a path, relative to the folder of this file"))
    })?;
    node.value = Value::Text(text.trim_end_matches(['\n', '\r']).to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "hunter2");
    }
}
