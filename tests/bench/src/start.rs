//! The real binary: how soon it is ready, and what a thousand handlers cost that have nothing to do.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use longshore_testkit::guests::{self, Guest};
use tokio::time::Instant;

use crate::Scale;
use crate::row::{Goal, Row, Unit};
use crate::sample::{Sample, memory};

const SECTION: &str = "the binary, warm compile cache";
/// Longer than any start takes.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) fn rows(_: Scale) -> Vec<Row> {
    let row = |title: &str, unit, handlers, goal, pick: fn(&Started) -> f64| Row {
        section: SECTION,
        title: title.into(),
        unit,
        baseline: None,
        longshore: Box::new(move |round| {
            let started = start(&round.folder, handlers)?;
            Ok(Sample { value: pick(&started), ..Sample::default() })
        }),
        goal,
        server: None,
    };
    vec![
        row("ready after start, 1 handler", Unit::Milliseconds, 1, Goal::AtMost(200.0), |s| s.ready.as_secs_f64() * 1e3),
        row("ready after start, 1,000 handlers", Unit::Milliseconds, 1000, Goal::AtMost(5000.0), |s| s.ready.as_secs_f64() * 1e3),
        row("memory with 1 idle handler", Unit::Bytes, 1, Goal::None, |s| s.resident),
        row("memory with 1,000 idle handlers", Unit::Bytes, 1000, Goal::AtMost(150e6), |s| s.resident),
    ]
}

/// A host that came up.
struct Started {
    ready: Duration,
    resident: f64,
}

/// Starts a host with so many handlers of one component, each with a topic of its own. The first time in a folder it is started twice:
/// the first one compiles.
fn start(folder: &Path, handlers: usize) -> Result<Started> {
    let config = folder.join("longshore.toml");
    let is_warm = config.exists();
    let address = free_address()?;
    let mut text = format!("[admin]\nlisten = \"{address}\"\n");
    for i in 0..handlers {
        let component = guests::path(Guest::Bench).display().to_string();
        write!(text, "\n[handlers.h{i}]\ncomponent = \"{component}\"\nsubscribe = [{{ topic = \"in-{i}\" }}]\n")?;
    }
    fs::write(config, text)?;
    if !is_warm {
        run(folder, address)?;
    }
    run(folder, address)
}

fn run(folder: &Path, address: SocketAddr) -> Result<Started> {
    let log = fs::File::create(folder.join("log"))?;
    let start = Instant::now();
    let child = Command::new(binary()?).arg("run").current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
    let mut host = Host(child.context("the binary does not start")?);
    while !is_ready(address) {
        if start.elapsed() > DEADLINE || host.0.try_wait()?.is_some() {
            bail!("the host does not get ready:\n{}", fs::read_to_string(folder.join("log"))?);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ready = start.elapsed();
    let resident = memory(&host.0.id().to_string(), "VmRSS").context("the host is gone")?;
    Ok(Started { ready, resident })
}

/// A host's process. Ended when dropped.
struct Host(Child);

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The binary that was built beside this one.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("longshore");
    if !path.exists() {
        bail!("there is no {}: start the benchmarks with tests/bench/run", path.display());
    }
    Ok(path)
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
