//! The table, and the page that keeps it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Result;
use comfy_table::{Table, presets};

use crate::row::{Goal, Row, Unit};
use crate::sample::Sample;
use crate::turns::Line;

const HEADING: &str = "# Results\n\nWritten by `tests/bench/run`. Baseline and Longshore took turns, each in a process of its own.\nWhat the rows mean \
                       stands in [README.md](README.md).\n";
const HEAD: [&str; 8] = ["", "baseline", "Longshore", "ratio", "CPU a message", "p50 / p99 / p99.9", "peak memory", "goal"];

/// The tables, as text that is Markdown too.
pub(crate) fn tables(lines: &[Line<'_>]) -> String {
    sections(lines).into_iter().map(|section| format!("## {section}\n\n{}\n", table(lines, section))).collect()
}

/// The sections that were measured, in their order.
fn sections<'a>(lines: &[Line<'a>]) -> Vec<&'a str> {
    let mut sections: Vec<&str> = lines.iter().map(|line| line.row.section).collect();
    sections.dedup();
    sections
}

fn table(lines: &[Line<'_>], section: &str) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(HEAD);
    table.add_rows(lines.iter().filter(|line| line.row.section == section).map(cells));
    format!("{table}\n")
}

fn cells(line: &Line<'_>) -> [String; 8] {
    let Line { row, baseline, longshore } = line;
    let both = |number: &dyn Fn(&Sample) -> Option<String>| match (baseline.as_ref().and_then(number), number(longshore)) {
        (Some(base), Some(ours)) => format!("{base} → {ours}"),
        (_, ours) => ours.unwrap_or_default(),
    };
    [
        row.title.clone(),
        baseline.as_ref().map(|b| show(row.unit, b.value)).unwrap_or_default(),
        show(row.unit, longshore.value),
        baseline.as_ref().map(|b| format!("{:.2}", longshore.value / b.value)).unwrap_or_default(),
        both(&|s| s.cpu.map(|ns| format!("{ns:.0} ns"))),
        both(&|s| s.latency.map(|l| l.map(|ms| format!("{ms:.2}")).join(" / ") + " ms")),
        both(&|s| s.peak.map(|bytes| show(Unit::Bytes, bytes))),
        goal(row.goal, row.unit, row.goal.is_reached(baseline.as_ref(), longshore)),
    ]
}

fn goal(goal: Goal, unit: Unit, reached: Option<bool>) -> String {
    let wanted = match goal {
        Goal::None => return String::new(),
        Goal::Share(share) => format!("ratio ≥ {share}"),
        Goal::AtLeast(value) => format!("≥ {}", show(unit, value)),
        Goal::AtMost(value) => format!("≤ {}", show(unit, value)),
        Goal::Cpu(most) => format!("CPU ≤ {most:.0} ns"),
        Goal::CpuMore(most) => format!("CPU ≤ {most:.0} ns more"),
        Goal::LaterBy(most) => format!("p99 ≤ {most} ms later"),
        Goal::CpuTimes(most) => format!("CPU ≤ {most} times"),
    };
    match reached {
        Some(true) => format!("{wanted}: held"),
        Some(false) => format!("{wanted}: **missed**"),
        None => wanted,
    }
}

fn show(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
        Unit::PerSecond if value >= 1e4 => format!("{:.0} k/s", value / 1e3),
        Unit::PerSecond => format!("{value:.0} /s"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Bytes if value >= 1e6 => format!("{:.0} MB", value / 1e6),
        Unit::Bytes => format!("{:.1} KiB", value / 1024.0),
    }
}

/// Writes the sections that were measured whole into the page, leaves the others as they are, and says where.
pub(crate) fn write(rows: &[Row], lines: &[Line<'_>], rounds: usize) -> Result<Option<PathBuf>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
    let of = |section: &str| rows.iter().filter(|row| row.section == section).count();
    let whole = |section: &&str| lines.iter().filter(|line| line.row.section == *section).count() == of(section);
    let measured: Vec<&str> = sections(lines).into_iter().filter(whole).collect();
    if measured.is_empty() {
        return Ok(None);
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let date = now.split('T').next().unwrap_or_default();
    let mut page = HEADING.to_owned();
    let mut all: Vec<&str> = rows.iter().map(|row| row.section).collect();
    all.dedup();
    for section in all {
        let body = match measured.contains(&section) {
            true => format!("{date}, {}, medians of {rounds} rounds.\n\n{}", machine(), table(lines, section)),
            false => match kept(&before, section) {
                Some(body) => body.to_owned(),
                None => continue,
            },
        };
        write!(page, "\n## {section}\n\n{}\n", body.trim()).expect("a string takes everything");
    }
    std::fs::write(&path, page)?;
    Ok(Some(path))
}

/// What the page says in a section.
fn kept<'a>(page: &'a str, section: &str) -> Option<&'a str> {
    page.split("\n## ").find_map(|part| part.strip_prefix(section)?.strip_prefix('\n'))
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo").lines().find_map(|l| l.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim().to_owned()));
    let kernel = read("/proc/sys/kernel/osrelease");
    let release = kernel.split('-').next().unwrap_or_default().trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    let rustc = rustc.unwrap_or_default();
    format!("{}, {cores} cores, Linux {release}, {rustc}", cpu.unwrap_or_else(|| "unknown processor".into()))
}
