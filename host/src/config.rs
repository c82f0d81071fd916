//! The configuration: from `longshore.toml`, its overlay, `--set` and the environment to values that nobody has to check again.
//!
//! The way of a value: read into a tree in which everything knows its place (`node`), laid over by overlay and arguments (`read`), variables put
//! in (`interpolate`), held against the JSON schema (`shape`), made into trusted values (`assemble`), checked as a whole (`checks`). Each step
//! tells all mistakes that it finds and goes on with the rest, so that a person sees them all at once.
//!
//! Not here: whether components are there and what they import, whether brokers can be reached. [`Config::mistake`] tells such things in the same way.

mod admin;
mod assemble;
mod brokers;
mod checks;
mod coerce;
mod discover;
mod elements;
mod explain;
mod guarantee;
mod hints;
mod interpolate;
mod layers;
mod mask;
mod mistake;
mod named;
mod node;
mod own_keys;
mod path;
mod range;
mod read;
mod reference;
mod root;
mod schema;
mod secret;
mod shape;
mod source;
mod start;
mod stores;
mod subscriptions;
#[cfg(test)]
mod tests;
mod trusted;
mod unknown;

use std::io;
use std::path::PathBuf;

use longshore_core::Registration;

pub use discover::{Ask, ENV_VARIABLE, FILE_NAME, FILE_VARIABLE, Lookup, NotFound, discover};
pub use elements::Restart;
pub use explain::{Explained, Origin, Setting, explain};
pub use guarantee::{Guarantee, Outputs, Promise, guarantee};
pub use hints::hints;
pub use mistake::{Look, Mistake, Mistakes};
pub use path::KeyPath;
pub use reference::{markdown, schema_text};
pub use root::schema;
pub use secret::Secret;
pub use source::{Place, Source};
pub(crate) use stores::refused as refused_bucket;
pub use trusted::{
    AdminConfig, BrokerConfig, BucketConfig, BuildConfig, Component, Config, Copied, HandlerConfig, JobConfig, LockConfig, PASS_THROUGH,
    PublishConfig, Reuse, StoreConfig, StoresConfig, SubscriptionConfig, TopicConfig,
};
pub use unknown::did_you_mean;

/// There is no usable configuration. The command line ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No file.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// No overlay for the environment that was asked for.
    #[error("there is no overlay {} for the environment {env:?}; make it, or leave --env and {ENV_VARIABLE} out", .file.display())]
    NoOverlay {
        /// The environment.
        env: String,
        /// The file that was looked for.
        file: PathBuf,
    },
    /// A file that cannot be read.
    #[error("the configuration file {} cannot be read: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Mistakes in it.
    #[error("{0}")]
    Mistakes(Mistakes),
}

impl LoadError {
    /// For a person to read, with pictures where there are any.
    pub fn render(&self, look: Look) -> String {
        match self {
            LoadError::Mistakes(mistakes) => mistakes.render(look),
            other => format!("{other}\n"),
        }
    }
}

/// Finds, reads and checks the configuration for a host with these adapters.
pub fn load(ask: &Ask, adapters: &[Registration], lookup: Lookup<'_>) -> Result<Config, LoadError> {
    let file = discover(ask, lookup)?;
    let mut mistakes = Mistakes::default();
    let mut tree = read::tree(&file, ask, lookup, &mut mistakes)?;
    interpolate::interpolate(&mut tree, &KeyPath::default(), lookup, &mut mistakes);
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    shape::check(&mut tree, &schema(adapters), &folder, &mut mistakes);
    let config = assemble::config(tree, file, adapters, &mut mistakes);
    checks::all(&config, &mut mistakes);
    if mistakes.is_empty() {
        return Ok(config);
    }
    mistakes.sort();
    Err(LoadError::Mistakes(mistakes))
}

/// Looks a variable up in the environment of this process: the one place where the host reads it.
pub fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the configuration")]
    std::env::var(name).ok()
}
