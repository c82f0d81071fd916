//! One measurement: what is counted, and the watch that counts it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What one process measured once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// The number that the row is about: messages or calls a second, milliseconds, bytes.
    pub(crate) value: f64,
    /// Nanoseconds of processor time a message, over all threads of the process.
    pub(crate) cpu: Option<f64>,
    /// Milliseconds at p50, p99 and p99.9.
    pub(crate) latency: Option<[f64; 3]>,
    /// Most bytes that were resident at once, of the whole process.
    pub(crate) peak: Option<f64>,
    /// Messages a durable transaction, so that the baseline can do the same.
    pub(crate) batch: Option<f64>,
}

/// Wall and processor time since its start.
pub(crate) struct Watch {
    wall: Instant,
    cpu: Duration,
}

impl Watch {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Watch { cpu: cpu(), wall: Instant::now() }
    }

    /// What it took for so many messages.
    pub(crate) fn stop(self, messages: u64) -> Sample {
        let (wall, cpu) = (self.wall.elapsed(), cpu().saturating_sub(self.cpu));
        Sample {
            value: messages as f64 / wall.as_secs_f64(),
            cpu: Some(cpu.as_nanos() as f64 / messages as f64),
            peak: memory("self", "VmHWM"),
            ..Sample::default()
        }
    }
}

/// Processor time of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes that the kernel says about a process: `VmRSS`, resident now, or `VmHWM`, the most that ever was.
pub(crate) fn memory(pid: &str, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
}

/// Milliseconds at p50, p99 and p99.9.
pub(crate) fn percentiles(mut latencies: Vec<Duration>) -> Option<[f64; 3]> {
    latencies.sort_unstable();
    let last = latencies.len().checked_sub(1)?;
    Some([0.5, 0.99, 0.999].map(|share| latencies[(last as f64 * share).round() as usize].as_secs_f64() * 1e3))
}

/// The median of each number for itself.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let of = |number: &dyn Fn(&Sample) -> Option<f64>| {
        let mut numbers: Vec<f64> = samples.iter().filter_map(number).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied()
    };
    let latency = |at: usize| of(&|s: &Sample| s.latency.map(|l| l[at]));
    Sample {
        value: of(&|s| Some(s.value)).unwrap_or_default(),
        cpu: of(&|s| s.cpu),
        latency: latency(0).zip(latency(1)).zip(latency(2)).map(|((a, b), c)| [a, b, c]),
        peak: of(&|s| s.peak),
        batch: of(&|s| s.batch),
    }
}
