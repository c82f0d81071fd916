//! `logging`: a guest's structured lines. What bounds them is in `guest_log.rs`.

use crate::bindings::logging::{Host, Level};
use crate::state::State;

impl Host for State {
    fn log(&mut self, origin: u32, level: Level, message: String, fields: Vec<(String, String)>) {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error => tracing::Level::ERROR,
        };
        self.log.line(origin, level, &message, &fields);
    }
}
