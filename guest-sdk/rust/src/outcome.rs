//! What the functions of handlers and jobs may return.

use std::fmt::Display;

use crate::{Failure, Outgoing, publish};

/// What a handler may return: nothing, messages to publish, or a `Result` of those with an error.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "return `Result<(), Failure>`",
    note = "a handler returns `()`, or `Result<T, E>`; `T` is `()`, `Outgoing`, `Option<Outgoing>` or `Vec<Outgoing>`, and `E` is `Failure` or any error"
)]
pub trait IntoOutcome {
    #[doc(hidden)]
    fn into_outcome(self) -> Result<(), Failure>;
}

impl<T: IntoOutputs> IntoOutcome for T {
    fn into_outcome(self) -> Result<(), Failure> {
        self.publish();
        Ok(())
    }
}

impl<T: IntoOutputs, E: Into<Failure>> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Result<(), Failure> {
        self.map(IntoOutputs::publish).map_err(Into::into)
    }
}

/// Messages to publish, as a handler may return them.
#[diagnostic::on_unimplemented(
    message = "a handler cannot publish `{Self}`",
    label = "return `()`, `Outgoing`, `Option<Outgoing>` or `Vec<Outgoing>`"
)]
pub trait IntoOutputs {
    #[doc(hidden)]
    fn publish(self);
}

impl IntoOutputs for () {
    fn publish(self) {}
}

impl IntoOutputs for Outgoing {
    fn publish(self) {
        publish(self);
    }
}

impl IntoOutputs for Option<Outgoing> {
    fn publish(self) {
        self.into_iter().for_each(publish);
    }
}

impl IntoOutputs for Vec<Outgoing> {
    fn publish(self) {
        self.into_iter().for_each(publish);
    }
}

/// What a job may return: nothing, or a `Result` with an error that displays itself.
#[diagnostic::on_unimplemented(
    message = "a job cannot return `{Self}`",
    label = "return `Result<(), Failure>`",
    note = "a job returns `()`, or `Result<(), E>` where `E` displays itself: `Failure`, any error, or text"
)]
pub trait IntoEnd {
    #[doc(hidden)]
    fn into_end(self) -> Result<(), String>;
}

impl IntoEnd for () {
    fn into_end(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> IntoEnd for Result<(), E> {
    /// In its alternate form an error of `anyhow` shows its sources too.
    fn into_end(self) -> Result<(), String> {
        self.map_err(|error| format!("{error:#}"))
    }
}
