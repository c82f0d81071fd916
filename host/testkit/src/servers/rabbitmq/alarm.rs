//! RabbitMQ's resource alarms, raised and cleared by moving their limits: what the broker then does is its own.
//!
//! `rabbitmqctl` takes seconds for a word; `erl_call` says the same to the node in milliseconds.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{COOKIE, Node};
use crate::servers::{patience, program};

/// How long the node may take to look at its resources again.
const LOOKING: Duration = Duration::from_secs(30);

/// A resource that the broker can run short of. Publishers are blocked meanwhile, whole connections at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Too little room on the disk.
    Disk,
    /// Too much memory in use.
    Memory,
}

impl Alarm {
    /// Its name in the node's list of alarms.
    fn name(self) -> &'static str {
        match self {
            Alarm::Disk => "resource_limit,disk",
            Alarm::Memory => "resource_limit,memory",
        }
    }

    /// What is called with which limit: one that cannot be kept, or one that always is.
    fn call(self, raised: bool) -> String {
        match (self, raised) {
            (Alarm::Disk, true) => r#"rabbit_disk_monitor set_disk_free_limit ["1000000GB"]"#.to_owned(),
            (Alarm::Disk, false) => r#"rabbit_disk_monitor set_disk_free_limit ["1MB"]"#.to_owned(),
            (Alarm::Memory, true) => r#"vm_memory_monitor set_vm_memory_high_watermark [{absolute,"1MB"}]"#.to_owned(),
            (Alarm::Memory, false) => r#"vm_memory_monitor set_vm_memory_high_watermark [{absolute,"1GB"}]"#.to_owned(),
        }
    }
}

pub(super) fn raise(node: &Node, alarm: Alarm) {
    set(node, alarm, true);
}

pub(super) fn clear(node: &Node, alarm: Alarm) {
    set(node, alarm, false);
}

fn set(node: &Node, alarm: Alarm, raised: bool) {
    let done = node.call(&alarm.call(raised)).and_then(|_| {
        patience::wait(LOOKING, || {
            let alarms = node.call("rabbit_alarm get_alarms []")?;
            match alarms.replace(char::is_whitespace, "").contains(alarm.name()) == raised {
                true => Ok(()),
                false => Err(format!("its alarms are {alarms}")),
            }
        })
    });
    done.unwrap_or_else(|why| panic!("RabbitMQ's alarm {alarm:?} cannot be set to {raised}: {why}"));
}

impl Node {
    /// What the function `call`, as `module function [arguments]`, answers within the node.
    fn call(&self, call: &str) -> Result<String, String> {
        let mut command = Command::new(erl_call()?);
        command.env("ERL_EPMD_PORT", self.mapper.to_string()).args(["-c", COOKIE, "-n", &self.name, "-a", call]);
        let output = command.output().map_err(|why| format!("erl_call: {why}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("erl_call {call}: {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr))),
        }
    }
}

/// It lies in the folder of the runtime's version, where `epmd` is a link to.
fn erl_call() -> Result<PathBuf, String> {
    let epmd = program::EPMD.path().canonicalize().map_err(|why| format!("epmd: {why}"))?;
    let found = epmd.with_file_name("erl_call");
    if found.is_file() { Ok(found) } else { Err(format!("{} is missing: install Erlang's erl_call", found.display())) }
}
