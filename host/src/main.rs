//! The host with the adapters that it comes with.

use std::process::ExitCode;

fn main() -> ExitCode {
    longshore::main_with(longshore::ADAPTERS)
}
