//! What does not come to an answer, or takes more than it should on the way.

use std::hint::black_box;

use crate::bindings::longshore::messaging::{
    logging::{Level, log},
    publisher::request,
    types::{Destination, Outgoing},
};

/// Far beyond any deadline, in milliseconds.
const LONG: u64 = 3_600_000;

/// More lines than any host should keep of one call.
const FLOOD: u32 = 100_000;

/// Does what `word` says, if it is for this file.
pub(crate) fn misbehave(word: &[u8]) -> bool {
    match word {
        b"spin" => spin(),
        b"allocate" => allocate(),
        b"recurse" => drop(black_box(recurse(0))),
        b"park" => park(),
        b"log-flood" => log_flood(),
        b"stdout" => stdout(),
        b"trap" => trap(),
        b"exit" => std::process::exit(3),
        _ => return false,
    }
    true
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Keeps and touches all that it gets; aborts once it gets no more.
fn allocate() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(black_box(depth) + 1)) + 1
}

fn park() {
    let nobody = Outgoing { to: Destination::Topic("nobody".to_owned()), key: None, payload: None, headers: Vec::new(), delay: None };
    drop(black_box(request(&nobody, LONG)));
}

fn log_flood() {
    let line = "x".repeat(1000);
    for number in 0..FLOOD {
        log(0, Level::Info, &line, &[("number".to_owned(), number.to_string())]);
    }
}

fn stdout() {
    println!("first line on stdout");
    println!("second line on stdout");
    eprintln!("a line on stderr");
    print!("no end of line");
}

#[cfg(target_arch = "wasm32")]
fn trap() {
    core::arch::wasm32::unreachable();
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() {
    std::process::abort();
}
