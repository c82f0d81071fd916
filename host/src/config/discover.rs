//! Which file is the configuration: the one asked for, else `longshore.toml` here or in a parent folder, else what `LONGSHORE_CONFIG` names.

use std::path::{Path, PathBuf};

/// Name of the file where none is given.
pub const FILE_NAME: &str = "longshore.toml";
/// Variable that names the file where there is none at hand.
pub const FILE_VARIABLE: &str = "LONGSHORE_CONFIG";
/// Variable that names the overlay.
pub const ENV_VARIABLE: &str = "LONGSHORE_ENV";

/// Looks a variable of the environment up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--env`: the overlay `longshore.<env>.toml`, in place of what `LONGSHORE_ENV` says.
    pub env: Option<String>,
    /// `--set key.path=value`, each.
    pub set: Vec<String>,
    /// The working folder.
    pub folder: PathBuf,
}

/// There is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// A file was named that is not there.
    #[error("there is no configuration file {}, which {by} names", .file.display())]
    Named {
        /// The file.
        file: PathBuf,
        /// What named it.
        by: &'static str,
    },
    /// None was named, and there is none at hand.
    #[error(
        "there is no {FILE_NAME} in {} or a folder above it; name one with --config or {FILE_VARIABLE}, or make one with `longshore new`",
        .folder.display()
    )]
    Nowhere {
        /// The working folder.
        folder: PathBuf,
    },
}

/// The file to read.
pub fn discover(ask: &Ask, lookup: Lookup<'_>) -> Result<PathBuf, NotFound> {
    if let Some(file) = &ask.file {
        return named(ask.folder.join(file), "--config");
    }
    let beside = ask.folder.ancestors().map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file());
    match (beside, lookup(FILE_VARIABLE).filter(|value| !value.is_empty())) {
        (Some(file), _) => Ok(file),
        (None, Some(file)) => named(ask.folder.join(file), FILE_VARIABLE),
        (None, None) => Err(NotFound::Nowhere { folder: ask.folder.clone() }),
    }
}

fn named(file: PathBuf, by: &'static str) -> Result<PathBuf, NotFound> {
    if file.is_file() { Ok(file) } else { Err(NotFound::Named { file, by }) }
}

/// The overlay of `file` for an environment: `longshore.prod.toml` beside `longshore.toml`.
pub(crate) fn overlay(file: &Path, env: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}.{env}.toml"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_file_asked_for_comes_first_then_a_parents_then_the_variables() {
        let top = tempfile::tempdir().expect("a folder");
        let below = top.path().join("a/b");
        fs::create_dir_all(&below).expect("folders");
        let other = top.path().join("other.toml");
        fs::write(&other, "").expect("a file");
        let variable = |name: &str| (name == FILE_VARIABLE).then(|| other.display().to_string());
        let mut ask = Ask { folder: below, ..Ask::default() };

        assert!(matches!(discover(&ask, &|_| None), Err(NotFound::Nowhere { .. })));
        assert_eq!(discover(&ask, &variable), Ok(other.clone()));
        fs::write(top.path().join(FILE_NAME), "").expect("a file");
        assert_eq!(discover(&ask, &variable), Ok(top.path().join(FILE_NAME)));
        ask.file = Some(other.clone());
        assert_eq!(discover(&ask, &|_| None), Ok(other.clone()));
        ask.file = Some("missing.toml".into());
        let error = discover(&ask, &variable).expect_err("a missing file").to_string();
        assert!(error.contains("missing.toml, which --config names"), "{error}");
    }

    #[test]
    fn an_overlay_stands_beside_its_file() {
        assert_eq!(overlay(Path::new("a/longshore.toml"), "prod"), Path::new("a/longshore.prod.toml"));
    }
}
