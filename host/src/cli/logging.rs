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
    let log = tracing_subscriber::fmt().with_env_filter(filter(level, &said)).with_writer(std::io::stderr);
    // A second start, in a test, changes nothing.
    let _ = match std::io::stderr().is_terminal() {
        // A line of log takes the place of the status line, which is drawn again below it.
        true => log.with_target(false).with_ansi(wants_colour()).with_writer(status_line::Below::default).try_init(),
        false => log.json().flatten_event(true).try_init(),
    };
}

/// What is logged. The level is a directive like any other: a default one would count only where there is no other at all.
fn filter(level: LevelFilter, said: &str) -> EnvFilter {
    let says_level = said.split(',').any(|word| !word.trim().is_empty() && !word.contains('='));
    let level = if says_level { String::new() } else { format!("{level},") };
    EnvFilter::builder().parse_lossy(format!("{level}{CLIENTS},{said}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_counts_where_the_variable_says_nothing() {
        let check = |said: &str, expected| assert_eq!(filter(LevelFilter::INFO, said).max_level_hint(), Some(expected), "{said:?}");
        check("", LevelFilter::INFO);
        check("debug", LevelFilter::DEBUG);
        check("longshore_engine=debug", LevelFilter::DEBUG);
        check("warn", LevelFilter::WARN);
    }

    #[test]
    fn clients_of_brokers_are_not_heard() {
        assert!(filter(LevelFilter::INFO, "").to_string().contains("lapin=off"));
    }
}
