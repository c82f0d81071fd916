//! The whole engine on one thread with a paused clock, against a scripted broker: everything random is drawn from one seed.
//!
//! `LONGSHORE_SIM_SEEDS` says how many seeds, `LONGSHORE_SIM_SEED` the first. A failure prints its seed and its history; the same seed
//! replays the same history.

mod handler;
mod oracle;
mod plan;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeSet;

use longshore_testkit::scripted::{Event, HABITS, Shows};

/// Seeds of an ordinary run.
const SEEDS: u64 = 2_000;
/// Seeds of an ordinary run for each adapter's broker.
const HABITS_SEEDS: u64 = 100;

fn from_environment(name: &str, default: u64) -> u64 {
    #[allow(clippy::disallowed_methods, reason = "a test's knobs are no configuration of the host")]
    let text = std::env::var(name);
    text.ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

#[test]
fn every_seed_keeps_every_promise() {
    let (first, seeds) = (from_environment("LONGSHORE_SIM_SEED", 1), from_environment("LONGSHORE_SIM_SEEDS", SEEDS));
    let began = std::time::SystemTime::now();
    for seed in first..first + seeds {
        let run = world::run(seed, None);
        if let Err(what) = run.result {
            println!("{}", run.history.render());
            panic!("seed {seed}: {what}\nreplay with LONGSHORE_SIM_SEED={seed} LONGSHORE_SIM_SEEDS=1");
        }
    }
    println!("{seeds} seeds from {first} in {:?}", began.elapsed().unwrap_or_default());
}

/// Seeds that are replayed twice.
const REPLAYED: u64 = 30;

#[test]
fn the_same_seed_replays_the_same_history() {
    for seed in (1..=REPLAYED).chain([42, 1001, 77_777]) {
        let [one, two] = [(); 2].map(|()| world::run(seed, None).history.events());
        assert!(!one.is_empty());
        if let Some(at) = (0..one.len().max(two.len())).find(|i| one.get(*i) != two.get(*i)) {
            panic!("seed {seed} differs at event {at}: {:?} and {:?}", one.get(at), two.get(at));
        }
    }
}

#[test]
fn what_each_adapters_broker_is_used_to_do_shows_and_breaks_no_promise() {
    for habits in HABITS {
        let mut open: BTreeSet<Shows> = habits.shows.iter().copied().collect();
        for seed in 1..=HABITS_SEEDS {
            let run = world::run(seed, Some(habits));
            if let Err(what) = run.result {
                println!("{}", run.history.render());
                panic!("{} at seed {seed}: {what}", habits.adapter);
            }
            for (_, event) in run.history.events() {
                if let Event::Shown { habit } = event {
                    open.remove(&habit);
                }
            }
        }
        assert!(open.is_empty(), "{HABITS_SEEDS} seeds of {} do not show {open:?}", habits.adapter);
    }
}
