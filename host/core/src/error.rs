//! What a broker may answer when it cannot. Adapters translate; the engine alone decides when to try again.

/// What mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fix {
    /// The same call again, after a while.
    Retry,
    /// The connection or lane is gone: subscribe again.
    Reconnect,
    /// Nothing but a human who asks for something else: wrong password, wrong type, no such topic.
    GiveUp,
    /// Nothing but a human who mends what is broken: a damaged database.
    Repair,
}

impl Fix {
    /// Whether trying again cannot help.
    pub fn is_human(self) -> bool {
        matches!(self, Fix::GiveUp | Fix::Repair)
    }
}

/// A broker could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BrokerError {
    /// A fragment that names the broker's object and its own words.
    pub what: String,
    /// What mends it.
    pub fix: Fix,
}

impl BrokerError {
    /// An error that the same call, later, may not meet.
    pub fn retry(what: impl Into<String>) -> Self {
        BrokerError { what: what.into(), fix: Fix::Retry }
    }

    /// An error that a new connection mends.
    pub fn reconnect(what: impl Into<String>) -> Self {
        BrokerError { what: what.into(), fix: Fix::Reconnect }
    }

    /// An error that only a human mends, by asking for something else.
    pub fn give_up(what: impl Into<String>) -> Self {
        BrokerError { what: what.into(), fix: Fix::GiveUp }
    }

    /// Something broken that only a human mends.
    pub fn repair(what: impl Into<String>) -> Self {
        BrokerError { what: what.into(), fix: Fix::Repair }
    }
}

/// Why one message could not be published. The WIT's `error`, for the cases that a broker can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No grant for that name.
    #[error("denied: {0}")]
    Denied(String),
    /// The broker cannot do this: a tombstone, a delay.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Over a limit that the text names.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The broker refuses it for good: no such topic, a bad name.
    #[error("invalid: {0}")]
    Invalid(String),
    /// No answer in time.
    #[error("timeout")]
    Timeout,
    /// The broker cannot be reached, or has no room, now.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Why a round could not be settled. Nothing of it was: the round can be changed and settled again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The broker as a whole.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// One output of the round cannot be accepted; its message fails with class `output`.
    #[error("output {index}: {error}")]
    Output {
        /// Index in the round's outbox.
        index: usize,
        /// Why.
        error: PublishError,
    },
}

/// Why a store did not do what it was asked. The WIT's `error`, for the cases that a store can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot do this.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A key or value over a limit that the text names.
    #[error("too large: {0}")]
    TooLarge(String),
    /// An argument that makes no sense here, or a value that is no number.
    #[error("invalid: {0}")]
    Invalid(String),
    /// No answer in time. What was asked for may have happened all the same.
    #[error("timeout")]
    Timeout,
    /// The store cannot be reached, or has no room, now.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Anything else: something that only a human mends.
    #[error("{0}")]
    Other(String),
}

impl From<BrokerError> for StoreError {
    fn from(error: BrokerError) -> Self {
        match error.fix {
            Fix::Retry | Fix::Reconnect => StoreError::Unavailable(error.what),
            Fix::GiveUp | Fix::Repair => StoreError::Other(error.what),
        }
    }
}
