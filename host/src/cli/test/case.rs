//! A file of cases.

use std::path::Path;

use longshore_admin::model::{Data, HeaderList};
use longshore_core::Span;
use serde::Deserialize;

use crate::cli::failure::Failure;
use crate::config::{Config, HandlerConfig};

/// A file of cases for one handler.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The handler; may be left out where the configuration has one.
    handler: Option<String>,
    /// Cases, in their order.
    pub(super) case: Vec<Case>,
}

/// One message, and what is to become of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// For people.
    pub(super) name: String,
    /// What comes in.
    pub(super) message: Incoming,
    /// What is to come out.
    pub(super) expect: Expect,
}

/// A message that comes in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incoming {
    /// The first topic that the handler subscribes to where it is left out.
    pub(super) topic: Option<String>,
    pub(super) id: Option<String>,
    pub(super) key: Option<Data>,
    /// `{ base64 = "…" }` for what is no text; a message without it is a tombstone.
    pub(super) payload: Option<Data>,
    #[serde(default)]
    pub(super) headers: HeaderList,
    #[serde(default)]
    pub(super) timestamp: u64,
    #[serde(default = "one")]
    pub(super) attempt: u32,
}

/// What is to come out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) outcome: Outcome,
    /// A part of what the handler says of its failure.
    pub(super) reason: Option<String>,
    /// What leaves with the message, in order; not looked at where it is left out.
    pub(super) publishes: Option<Vec<Outgoing>>,
    /// What was sent at once, in order; not looked at where it is left out.
    pub(super) sends: Option<Vec<Outgoing>>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Ok,
    Retry,
    RetryAfter,
    Reject,
    Discard,
    Snooze,
    /// It crashed, or answered what cannot be.
    Trap,
    /// It ran past its deadline or its CPU budget.
    Timeout,
    /// It wanted more memory than it may have.
    Memory,
    /// What it published was not granted.
    Output,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Retry => "retry",
            Outcome::RetryAfter => "retry-after",
            Outcome::Reject => "reject",
            Outcome::Discard => "discard",
            Outcome::Snooze => "snooze",
            Outcome::Trap => "trap",
            Outcome::Timeout => "timeout",
            Outcome::Memory => "memory",
            Outcome::Output => "output",
        }
    }
}

/// A message that goes out. What is left out is not looked at; of headers, those that are named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outgoing {
    /// The topic, or `reply`.
    pub(super) topic: String,
    pub(super) key: Option<Data>,
    pub(super) payload: Option<Data>,
    #[serde(default)]
    pub(super) headers: HeaderList,
    pub(super) delay: Option<Span>,
}

fn one() -> u32 {
    1
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::not_found(format!("{}: {e}", path.display())))?;
        toml_edit::de::from_str(&text).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
    }

    /// The handler that the cases are for.
    pub(super) fn handler<'a>(&self, config: &'a Config, path: &Path) -> Result<&'a HandlerConfig, Failure> {
        let names = || config.handlers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
        match (&self.handler, config.handlers.len()) {
            (Some(name), _) => {
                config.handlers.get(name).ok_or_else(|| wrong(format!("there is no handler {name:?}; there are {}", names())))
            }
            (None, 1) => config.handlers.values().next().ok_or_else(|| wrong("there are no handlers".into())),
            (None, _) => Err(wrong(format!("it does not say which handler the cases are for: write handler = \"…\", one of {}", names()))),
        }
    }
}
