//! Why a host could not do what it was asked: one kind, from which HTTP status and exit code follow, and one sentence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use longshore_core::{BrokerError, Fix, PublishError};

/// What kind of "no" it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What was asked makes no sense here, or names something that the configuration does not have.
    Invalid,
    /// The token is missing or wrong.
    Unauthorized,
    /// The request came from a place that may not ask: another site's page.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The thing exists, and cannot be asked this.
    MethodNotAllowed,
    /// It is held or used by somebody else.
    Conflict,
    /// Over a limit that the message names.
    TooLarge,
    /// The broker cannot do this.
    Unsupported,
    /// Too many requests wait already.
    Busy,
    /// The broker, or the host itself, cannot be reached now.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Failed,
}

impl Kind {
    /// The HTTP status that stands for it.
    pub fn status(self) -> u16 {
        match self {
            Kind::Invalid => 400,
            Kind::Unauthorized => 401,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::MethodNotAllowed => 405,
            Kind::Conflict => 409,
            Kind::TooLarge => 413,
            Kind::Failed => 500,
            Kind::Unsupported => 501,
            Kind::Busy | Kind::Unreachable => 503,
            Kind::Timeout => 504,
        }
    }

    /// The exit code of a command that ends with it: 1 failed, 2 wrong use or configuration, 3 unreachable, 4 not found.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Invalid | Kind::Unauthorized | Kind::Forbidden | Kind::Unsupported => 2,
            Kind::Unreachable | Kind::Busy => 3,
            Kind::NotFound => 4,
            Kind::MethodNotAllowed | Kind::Conflict | Kind::TooLarge | Kind::Timeout | Kind::Failed => 1,
        }
    }
}

/// A host's "no".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// What kind.
    pub kind: Kind,
    /// What, where, and what to do.
    pub message: String,
}

impl ControlError {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        ControlError { kind, message: message.into() }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        ControlError::new(Kind::NotFound, message)
    }

    /// What was asked makes no sense here.
    pub fn invalid(message: impl Into<String>) -> Self {
        ControlError::new(Kind::Invalid, message)
    }

    /// The broker cannot do this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        ControlError::new(Kind::Unsupported, message)
    }

    /// The same with `context: ` before the message.
    pub fn at(self, context: impl std::fmt::Display) -> Self {
        ControlError { kind: self.kind, message: format!("{context}: {}", self.message) }
    }
}

impl From<BrokerError> for ControlError {
    fn from(error: BrokerError) -> Self {
        let kind = match error.fix {
            Fix::Retry | Fix::Reconnect => Kind::Unreachable,
            Fix::GiveUp | Fix::Repair => Kind::Failed,
        };
        ControlError::new(kind, error.what)
    }
}

impl From<PublishError> for ControlError {
    fn from(error: PublishError) -> Self {
        let (kind, message) = match error {
            PublishError::Denied(what) => (Kind::Forbidden, what),
            PublishError::Unsupported(what) => (Kind::Unsupported, what),
            PublishError::TooLarge(what) => (Kind::TooLarge, what),
            PublishError::Invalid(what) => (Kind::Invalid, what),
            PublishError::Timeout => (Kind::Timeout, "no answer in time; the message may have left all the same".into()),
            PublishError::Unavailable(what) => (Kind::Unreachable, what),
        };
        ControlError::new(kind, message)
    }
}
