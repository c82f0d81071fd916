//! What a call to the host may answer instead of a value.

use std::{error, fmt};

/// What a call to the host may answer instead of a value. In a handler, `?` makes a retry of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The configuration does not grant that name.
    Denied(String),
    /// The broker or store behind the name cannot do this.
    Unsupported(String),
    /// Larger than the limit that the text names.
    TooLarge(String),
    /// An argument that makes no sense here.
    Invalid(String),
    /// The time given was over before there was an answer. What was asked for may have happened all the same.
    Timeout,
    /// The broker or store cannot be reached now.
    Unavailable(String),
    /// Somebody else holds it, or changed it first.
    Conflict,
    /// Anything else.
    Other(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(what) => write!(f, "not granted: {what}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::TooLarge(what) => write!(f, "too large: {what}"),
            Self::Invalid(what) => write!(f, "invalid: {what}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unavailable(what) => write!(f, "unavailable: {what}"),
            Self::Conflict => f.write_str("somebody else holds it or changed it first"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl error::Error for Error {}
