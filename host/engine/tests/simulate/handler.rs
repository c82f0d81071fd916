//! A handler that does everything a guest can do, as its seed draws it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore_core::{Call, Crash, Destination, Done, Failure, Handler, NewOutput, Outputs};
use longshore_testkit::scripted::Random;

use crate::plan::{REJECT, RETRY, TRAP};
use crate::support::{FAR, OUT};

pub(crate) struct Drawn {
    pub(crate) random: Mutex<Random>,
    /// Whether it fails besides what its messages make it do.
    pub(crate) chaos: Arc<AtomicBool>,
}

/// What a call will do, drawn when it starts.
struct Script {
    takes: Duration,
    result: Result<Done, Crash>,
}

impl Handler for Drawn {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let script = {
            let mut random = self.random.lock().expect("drawing does not panic");
            draw(&mut random, &call, self.chaos.load(Ordering::Relaxed))
        };
        if !script.takes.is_zero() {
            tokio::time::sleep(script.takes).await;
        }
        script.result
    }
}

fn draw(random: &mut Random, call: &Call, chaos: bool) -> Script {
    let millis = match random.below(100) {
        0..50 => 0,
        _ if !chaos => 1 + random.below(5),
        50..85 => 1 + random.below(20),
        85..97 => 50 + random.below(3_000),
        _ => 60_000 + random.below(140_000),
    };
    let takes = Duration::from_millis(millis);
    let stuck = millis >= 60_000;
    let handled = if chaos && random.chance(10) { 1 + random.below(call.len() as u64) as u32 } else { call.len() as u32 };
    let kind = |i: u32| call.batch.row(call.from + i as usize).payload().and_then(|p| p.first().copied()).unwrap_or(0);
    let trapped = (0..handled).any(|i| kind(i) == TRAP);
    let result = match random.below(100) {
        _ if stuck => Err(Crash::Timeout("its deadline".into())),
        _ if trapped => Err(Crash::Trap("poison".into())),
        0 | 1 if chaos => Err(Crash::Trap("unreachable".into())),
        2 if chaos => Err(Crash::Memory("64 MiB".into())),
        3 if chaos => Err(Crash::Timeout("cpu".into())),
        4..7 if chaos => Err(Crash::Host("the store is away".into())),
        _ => Ok(answer(random, call, handled, chaos, kind)),
    };
    Script { takes, result }
}

fn answer(random: &mut Random, call: &Call, handled: u32, chaos: bool, kind: impl Fn(u32) -> u8) -> Done {
    let (mut failures, mut rows) = (Vec::new(), Vec::new());
    for i in 0..handled {
        let failure = match kind(i) {
            REJECT => Some(Failure::Reject("poison".into())),
            RETRY => Some(Failure::Retry("never works".into())),
            _ if chaos && random.chance(25) => Some(failure(random)),
            _ => None,
        };
        failures.extend(failure.map(|f| (i, f)));
        let id = call.batch.row(call.from + i as usize).id();
        for k in 0..random.below(4) {
            let topic = if random.chance(60) { OUT } else { FAR };
            let payload = format!("{id} {k} {:016x} {topic}", random.number());
            let headers: [(&str, &[u8]); 0] = [];
            let output = NewOutput {
                origin: i,
                destination: Destination::Topic(topic),
                key: None,
                payload: Some(payload.as_bytes()),
                headers,
                delay: 0,
            };
            output.append(&mut rows);
        }
    }
    Done { handled, failures, outputs: Outputs::check(rows, handled).expect("they were just packed") }
}

fn failure(random: &mut Random) -> Failure {
    match random.below(12) {
        0..5 => Failure::Retry("flaky".into()),
        5 => Failure::RetryAfter(Duration::from_millis(random.below(10_000)), "busy".into()),
        6 | 7 => Failure::Snooze(Duration::from_millis(random.below(5_000))),
        8 => Failure::Reject("bad".into()),
        9 => Failure::NotTried,
        10 => Failure::Snooze(Duration::ZERO),
        _ => Failure::Discard("old".into()),
    }
}
