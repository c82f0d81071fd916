//! Where the log goes: to stderr, as lines for a person on a terminal, as JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::output::wants_colour;
use super::status_line;

/// Variable that says how much is logged: `debug`, or `longshore_engine=debug,info`.
const VARIABLE: &str = "LONGSHORE_LOG";

/// Clients of brokers that say in their own words what the adapters tell, one of them with the payloads of messages.
const CLIENTS: &str = "lapin=off,async_nats=off";

/// Starts logging; `level` counts where the variable says nothing.
pub(super) fn start(level: LevelFilter) {
    let said = crate::config::environment(VARIABLE).unwrap_or_default();
    let filter = EnvFilter::builder().with_default_directive(level.into()).parse_lossy(format!("{CLIENTS},{said}"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start, in a test, changes nothing.
    let _ = match std::io::stderr().is_terminal() {
        // A line of log takes the place of the status line, which is drawn again below it.
        true => log.with_target(false).with_ansi(wants_colour()).with_writer(status_line::Below::default).try_init(),
        false => log.json().flatten_event(true).try_init(),
    };
}
