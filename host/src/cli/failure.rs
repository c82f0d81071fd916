//! How a command fails: a text for stderr and an exit code. 1 failed, 2 wrong use or configuration, 3 unreachable, 4 not found.

use std::io;
use std::process::ExitCode;

use longshore_admin::ControlError;
use longshore_core::Fix;

use crate::app::RunError;
use crate::opened::OpenError;
use crate::stores::StoreOpenError;

/// A command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    /// Empty where everything has been said.
    text: String,
}

impl Failure {
    /// It failed.
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Failure { code: 1, text: text.into() }
    }

    /// It was used wrongly, or the configuration is wrong.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Failure { code: 2, text: text.into() }
    }

    /// What it needs cannot be reached.
    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        Failure { code: 3, text: text.into() }
    }

    /// There is no such thing.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Failure { code: 4, text: text.into() }
    }

    /// Tells it, and gives the exit code.
    pub(super) fn report(self) -> ExitCode {
        let text = self.text.trim_end();
        match text.lines().count() {
            0 => {}
            1 => eprintln!("error: {text}"),
            // A report with pictures of its own.
            _ => eprintln!("{text}"),
        }
        ExitCode::from(self.code)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Failure { code: error.kind.exit_code(), text: error.message }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match error.error.fix {
            Fix::Retry | Fix::Reconnect => 3,
            Fix::GiveUp | Fix::Repair => 1,
        };
        Failure { code, text: error.to_string() }
    }
}

impl From<StoreOpenError> for Failure {
    fn from(error: StoreOpenError) -> Self {
        let code = match error.error.fix {
            Fix::Retry | Fix::Reconnect => 3,
            Fix::GiveUp | Fix::Repair => 1,
        };
        Failure { code, text: error.to_string() }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Mistakes(mistakes) => Failure::usage(mistakes.render(super::look())),
            RunError::Refused(mistakes) => Failure::usage(mistakes.pictures(super::look())),
            RunError::Open(error) => error.into(),
            RunError::OpenStore(error) => error.into(),
            RunError::Listen(_) | RunError::Unknown { .. } => Failure::usage(error.to_string()),
            RunError::Unreachable(_) => Failure::unreachable(error.to_string()),
            RunError::Failed(_) | RunError::System(_) => Failure::failed(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // `longshore consume … | head`: whoever read has enough.
            io::ErrorKind::BrokenPipe => Failure { code: 0, text: String::new() },
            _ => Failure::failed(format!("cannot write the output: {error}")),
        }
    }
}
