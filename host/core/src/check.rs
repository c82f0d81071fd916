//! What a server has and allows, held against what a configuration asks of it, before the first message. Asking changes nothing there.

use std::time::Duration;

use crate::broker::Subscribe;

/// What a broker is asked about one subscription.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What will be subscribed to.
    pub subscribe: Subscribe,
    /// How long the handler may take for a call.
    pub deadline: Duration,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it is in the way; else it is advice.
    pub is_mistake: bool,
    /// The key that it is about, of the table that was asked about; empty for the table.
    pub key: &'static str,
    /// What is so, as a fragment that names the server's object.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl Finding {
    /// What is in the way.
    pub fn mistake(key: &'static str, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Finding { is_mistake: true, key, problem: problem.into(), help: help.into() }
    }

    /// What works, and may be regretted.
    pub fn advice(key: &'static str, problem: impl Into<String>, help: impl Into<String>) -> Self {
        Finding { is_mistake: false, key, problem: problem.into(), help: help.into() }
    }
}
