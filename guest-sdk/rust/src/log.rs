//! Log lines about the message being handled. The host adds subscription, message id, attempt and trace.
//!
//! ```
//! # let (amount, bank) = (12, "first");
//! longshore_sdk::info!("charged");
//! longshore_sdk::warn!(amount = amount, bank = bank, "the bank took {} attempts", 3);
//! ```

use std::fmt::{Arguments, Display};

use crate::{call, host};

/// How much a line matters, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following a single message step by step.
    Trace,
    /// For finding a mistake.
    Debug,
    /// What happens in normal work.
    Info,
    /// Something is odd, and the work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line; the macros [`info!`](crate::info) and so on are the short way.
pub fn log(level: Level, message: Arguments<'_>, fields: &[(&str, &dyn Display)]) {
    let text;
    let message = match message.as_str() {
        Some(fixed) => fixed,
        None => {
            text = message.to_string();
            &text
        }
    };
    let values: Vec<String> = fields.iter().map(|(_, value)| value.to_string()).collect();
    let fields: Vec<(&str, &str)> = fields.iter().zip(&values).map(|((name, _), value)| (*name, value.as_str())).collect();
    host::log(call::origin(), level, message, &fields);
}

/// Logs a line of level `trace`: `trace!("text {}", value)` or `trace!(field = value, …, "text")`.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Trace, $($line)+) };
}

/// Logs a line of level `debug`: `debug!("text {}", value)` or `debug!(field = value, …, "text")`.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Debug, $($line)+) };
}

/// Logs a line of level `info`: `info!("text {}", value)` or `info!(field = value, …, "text")`.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Info, $($line)+) };
}

/// Logs a line of level `warn`: `warn!("text {}", value)` or `warn!(field = value, …, "text")`.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Warn, $($line)+) };
}

/// Logs a line of level `error`: `error!("text {}", value)` or `error!(field = value, …, "text")`.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => { $crate::__log!($crate::log::Level::Error, $($line)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:expr, $($field:ident = $value:expr,)* $message:literal $($arguments:tt)*) => {
        $crate::log::log(
            $level,
            ::core::format_args!($message $($arguments)*),
            &[$((::core::stringify!($field), &$value as &dyn ::core::fmt::Display)),*],
        )
    };
}
