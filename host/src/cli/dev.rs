//! `dev`: the host as a child process, built and started again whenever a file changes, with a tail of what happens to messages.
//!
//! The host is told to stop as an operator would (SIGTERM), so that it drains and nothing is lost between two versions. It has a process group
//! of its own: a Ctrl-C meant for both would reach it twice, and the second one ends a host at once.

mod tail;
mod watch;

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};
use tokio::time::{MissedTickBehavior, interval};

use super::App;
use super::build;
use super::failure::Failure;
use crate::config::Config;
use tail::Tail;
use watch::Watch;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(300);

/// Runs the host while handlers are written.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Handlers and jobs to run; all without
    handlers: Vec<String>,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let mut dev = Dev { app, only: args.handlers, host: None, tail: Tail::default() };
    let mut config = app.config()?;
    let mut watch = Watch::new(&config);
    let mut signals = Signals::listen()?;
    dev.renew(&config).await?;
    watch.refresh();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.next() => {
                // A second signal ends the host at once, as it would if it ran by itself.
                return tokio::select! {
                    stopped = dev.stop() => stopped,
                    () = signals.next() => Err(Failure::failed("the host was ended before it had drained; what was in flight comes again")),
                };
            }
            status = ended(&mut dev.host) => {
                dev.host = None;
                eprintln!("the host ended ({status}); it starts again with the next change");
            }
            _ = look.tick() => {
                dev.tail.look(&config).await;
                if let Some(changed) = watch.settled_change() {
                    eprintln!("{} changed", changed.display());
                    match app.config() {
                        Ok(new) => {
                            config = new;
                            dev.renew(&config).await?;
                            watch = Watch::new(&config);
                        }
                        Err(failure) => drop(failure.report()),
                    }
                }
            }
        }
    }
}

struct Dev<'a> {
    app: &'a App<'a>,
    only: Vec<String>,
    host: Option<Child>,
    tail: Tail,
}

impl Dev<'_> {
    /// Builds, and puts a new host in place of the old one. A build that fails leaves the old one running.
    async fn renew(&mut self, config: &Config) -> Result<(), Failure> {
        if let Err(failure) = build::all(config, &self.only).await {
            failure.report();
            return Ok(());
        }
        self.stop().await?;
        self.tail = Tail::default();
        self.host = Some(self.start(config)?);
        Ok(())
    }

    fn start(&self, config: &Config) -> Result<Child, Failure> {
        let program = std::env::current_exe().map_err(|e| Failure::failed(format!("this program cannot find itself: {e}")))?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&config.file);
        if let Some(env) = &self.app.global.env {
            command.args(["--env", env]);
        }
        command.args(self.app.global.set.iter().flat_map(|set| ["--set", set]));
        command.arg("run").args(&self.only).kill_on_drop(true).process_group(0);
        command.spawn().map_err(|e| Failure::failed(format!("the host cannot be started: {e}")))
    }

    /// Lets the host drain and end.
    async fn stop(&mut self) -> Result<(), Failure> {
        let Some(host) = &mut self.host else { return Ok(()) };
        let pid = host.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        host.wait().await.map_err(|e| Failure::failed(format!("waiting for the host: {e}")))?;
        self.host = None;
        Ok(())
    }
}

/// Ctrl-C and SIGTERM, kept from ending this process before the host has ended.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| unix::signal(kind).map_err(|e| Failure::failed(format!("signals cannot be listened to: {e}")));
        Ok(Signals { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// How the host ended by itself; never while none runs.
async fn ended(host: &mut Option<Child>) -> ExitStatus {
    match host {
        Some(host) => host.wait().await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
