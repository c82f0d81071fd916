//! Why a guest's call ended without an answer: one line for the message's failure, the backtrace for the log.

use std::fmt::Write as _;

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Longest reason that is kept, bytes.
const REASON: usize = 1024;

/// The reason of a trap in one line.
pub(crate) fn reason(error: &Error) -> String {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return format!("the guest called exit({})", exit.0);
    }
    let text = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "stack overflow: the guest recursed too deeply".into(),
        Some(Trap::UnreachableCodeReached) => "the guest aborted (`unreachable`, as after a panic: its message is in the log)".into(),
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    cut(text.lines().next().unwrap_or_default(), REASON)
}

/// The frames of a trap, innermost first, one a line.
pub(crate) fn backtrace(error: &Error) -> String {
    let mut text = String::new();
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return text };
    for frame in backtrace.frames() {
        let name = frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), demangle);
        let _ = writeln!(text, "  {name}");
    }
    text
}

/// Whether the pool has no room now, which is nobody's fault.
pub(crate) fn is_full(error: &Error) -> bool {
    error.downcast_ref::<PoolConcurrencyLimitError>().is_some()
}

/// `text` cut to `most` bytes at a character, with `…` where something is gone.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.into();
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcdef", 5), "ab…");
        assert_eq!(cut("aéééé", 6), "aé…");
    }
}
