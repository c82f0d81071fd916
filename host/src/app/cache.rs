//! Where compiled components are kept: with the user, not with the project. They are machine code, and a project may come from anybody.

use std::path::PathBuf;

use crate::config::environment;

/// The user's cache folder, by the XDG base directory specification; none where the user has no home, and every start compiles anew.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let absolute = |path: String| Some(PathBuf::from(path)).filter(|p| p.is_absolute());
    let base = environment("XDG_CACHE_HOME").and_then(absolute);
    let base = base.or_else(|| Some(environment("HOME").and_then(absolute)?.join(".cache")));
    Some(base?.join("longshore").join("components"))
}
