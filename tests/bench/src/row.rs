//! A row of the table: what is measured, against what, and what the goal is.

use std::path::PathBuf;

use anyhow::Result;

use crate::sample::Sample;

/// A row.
pub(crate) struct Row {
    pub(crate) section: &'static str,
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// What Longshore is measured against, where there is something.
    pub(crate) baseline: Option<Measure>,
    pub(crate) longshore: Measure,
    pub(crate) goal: Goal,
    /// The server that both sides talk to.
    pub(crate) server: Option<Server>,
}

/// A real server, started once for all rows that are measured on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Redis,
    Nats,
    RabbitMq,
}

/// Measures once, in a process of its own.
pub(crate) type Measure = Box<dyn Fn(&Round) -> Result<Sample>>;

/// What a measurement is told.
pub(crate) struct Round {
    /// From 0.
    pub(crate) number: usize,
    /// A folder that one side of one row has for all rounds.
    pub(crate) folder: PathBuf,
    /// Where the row's server is; empty without one.
    pub(crate) url: String,
    /// Messages a transaction as Longshore had them in this round.
    pub(crate) batch: Option<f64>,
}

/// What [`Sample::value`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Messages or calls a second.
    PerSecond,
    Milliseconds,
    Bytes,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Nothing: it is good to know.
    None,
    /// Longshore's value is at least this share of the baseline's.
    Share(f64),
    /// Longshore's value is at least this.
    AtLeast(f64),
    /// Longshore's value is at most this.
    AtMost(f64),
    /// Nanoseconds of processor time a message, at most.
    Cpu(f64),
    /// The same, so many more than the baseline at most.
    CpuMore(f64),
    /// The same, so many times the baseline's at most.
    CpuTimes(f64),
    /// Milliseconds at p99, so many more than the baseline at most.
    LaterBy(f64),
}

impl Goal {
    /// Whether it is reached; nothing where there is no goal or no number.
    pub(crate) fn is_reached(self, baseline: Option<&Sample>, longshore: &Sample) -> Option<bool> {
        let cpus = || Some((baseline?.cpu?, longshore.cpu?));
        match self {
            Goal::None => None,
            Goal::Share(share) => baseline.map(|b| longshore.value >= share * b.value),
            Goal::AtLeast(value) => Some(longshore.value >= value),
            Goal::AtMost(value) => Some(longshore.value <= value),
            Goal::Cpu(most) => longshore.cpu.map(|cpu| cpu <= most),
            Goal::CpuMore(most) => cpus().map(|(base, cpu)| cpu - base <= most),
            Goal::LaterBy(most) => Some(longshore.latency?[1] - baseline?.latency?[1] <= most),
            Goal::CpuTimes(most) => cpus().map(|(base, cpu)| cpu <= most * base),
        }
    }
}
