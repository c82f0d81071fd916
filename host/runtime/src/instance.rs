//! One live instance: a store, the guest's function, and how a call of it goes.
//!
//! After anything but an answer the instance must not be used again: wasmtime refuses to enter it, and its memory is in no known state.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Call, Crash, Done, Limits, Malformed};
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component;

use crate::answer;
use crate::batched::{self, BatchedFunc};
use crate::caps::publish::LONGEST;
use crate::crash;
use crate::current::{Current, Ids};
use crate::guard::{self, Ended};
use crate::limits::CpuMeter;
use crate::module::{Module, World};
use crate::room::Room;
use crate::single::{self, Progress, SingleFunc};
use crate::state::{Granted, State};
use crate::ticker::Ticks;

/// Component handles that one guest can hold.
const HANDLES: usize = 20_000;
/// Bytes that a guest can hand to the host in one call of it besides what it may answer.
const HANDED: usize = 4 << 20;

/// Where the answer to a call goes.
pub(crate) type Reply = oneshot::Sender<Result<Done, Crash>>;

/// What an instance is made from, again and again.
pub(crate) struct Mold {
    /// Kept whole, so that the runtime knows the component as long as somebody may call it, and compiles it once.
    pub(crate) module: Module,
    pub(crate) granted: Arc<Granted>,
    pub(crate) limits: Limits,
    pub(crate) ticks: Ticks,
    /// Where room is made when the pool has none.
    pub(crate) room: Arc<Room>,
}

/// A store with an instance in it.
pub(crate) struct Instance {
    pub(crate) store: Store<State>,
    func: Func,
    pub(crate) meter: Arc<CpuMeter>,
    limits: Limits,
    /// Calls answered so far.
    pub(crate) calls: u64,
}

enum Func {
    Single(SingleFunc),
    Batched(BatchedFunc),
}

impl Mold {
    /// A store with all limits set and nothing in it.
    pub(crate) fn store(&self, cpu: Duration) -> (Store<State>, Arc<CpuMeter>) {
        let meter = CpuMeter::new(self.ticks.clone(), cpu);
        let mut store = Store::new(self.module.inner.pre.engine(), State::new(self.granted.clone(), self.limits.memory));
        let in_store = meter.clone();
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| Ok(in_store.on_epoch()));
        store.set_hostcall_fuel(self.limits.output_size.saturating_mul(2).saturating_add(HANDED));
        store.set_max_component_handles(HANDLES);
        (store, meter)
    }

    /// Makes an instance within the limits of one call, in place of idle ones where there is no room.
    pub(crate) async fn cast(&self) -> Result<Instance, Crash> {
        loop {
            let (mut store, meter) = self.store(self.limits.cpu);
            let made = {
                let making = self.module.inner.pre.instantiate_async(&mut store);
                guard::run(making, &meter, Some(self.limits.deadline), std::future::pending()).await
            };
            match made {
                Ended::Itself(Ok(instance)) => return self.ready(store, meter, &instance),
                Ended::Itself(Err(error)) if crash::is_full(&error) => self.make_room(&error)?,
                ended => return Err(why(ended, &store, &meter, &self.limits)),
            }
        }
    }

    /// Drops the longest idle instance. Where none is idle there is no room, which is nobody's fault and passes.
    pub(crate) fn make_room(&self, full: &wasmtime::Error) -> Result<(), Crash> {
        match self.room.make() {
            true => Ok(()),
            false => Err(Crash::Host(format!("no room for another instance now: {}", crash::reason(full)))),
        }
    }

    fn ready(&self, mut store: Store<State>, meter: Arc<CpuMeter>, instance: &component::Instance) -> Result<Instance, Crash> {
        let entry = &self.module.inner.entry;
        let func = match entry.world {
            World::Single => single::func(&mut store, instance, entry).map(Func::Single),
            World::Batched => batched::func(&mut store, instance, entry).map(Func::Batched),
            World::Job => return Err(Crash::Host("a job is not called with messages".into())),
        };
        let func = func.map_err(|error| Crash::Host(format!("the component's `handle` is of another type: {error:#}")))?;
        Ok(Instance { store, func, meter, limits: self.limits, calls: 0 })
    }
}

/// What came of a call.
pub(crate) struct Outcome {
    /// The answer; `None` when nobody waits for it any more.
    pub(crate) answer: Option<Result<Done, Crash>>,
    /// Whether the instance may be called again.
    pub(crate) reusable: bool,
}

impl Instance {
    /// Handles the messages of `call`. Ends early when the other side of `reply` is gone.
    pub(crate) async fn call(&mut self, call: &Call, reply: &mut Reply) -> Outcome {
        let mut outcome = match &self.func {
            Func::Batched(func) => {
                let func = *func;
                self.batched(func, call, reply).await
            }
            Func::Single(func) => {
                let func = *func;
                self.single(func, call, reply).await
            }
        };
        let state = self.store.data_mut();
        state.release_locks();
        state.log.end();
        outcome.reusable &= !state.is_crowded();
        self.calls += 1;
        outcome
    }

    async fn batched(&mut self, func: BatchedFunc, call: &Call, reply: &mut Reply) -> Outcome {
        self.begin(call.clone());
        let running = func.call_async(&mut self.store, (batched::Batch::of(call),));
        let ended = guard::run(running, &self.meter, Some(self.limits.deadline), reply.closed()).await;
        let (answer, reusable) = match ended {
            Ended::Abandoned => (None, false),
            Ended::Itself(Ok((answer,))) => match answer::check(answer, batched::count(call)) {
                Ok(done) => (Some(Ok(done)), true),
                Err(malformed) => (Some(Err(self.malformed(&malformed, call))), false),
            },
            ended => (Some(Err(self.crashed(ended, call))), false),
        };
        Outcome { answer, reusable }
    }

    /// One message after another, each within the limits of a call. What crashes in the middle ends the answer before it, and comes again
    /// alone.
    async fn single(&mut self, func: SingleFunc, call: &Call, reply: &mut Reply) -> Outcome {
        let mut progress = Progress::new(call, self.limits.output_size);
        let mut reusable = true;
        while let Some((origin, row)) = progress.next() {
            let this = Call { from: call.from + origin as usize, to: call.from + origin as usize + 1, ..call.clone() };
            self.begin(this.clone());
            let headers: Vec<_> = row.headers().collect();
            let running = single::call(func, &mut self.store, row, &headers);
            match guard::run(running, &self.meter, Some(self.limits.deadline), reply.closed()).await {
                Ended::Itself(Ok(answer)) => progress.answered(origin, row, answer),
                Ended::Abandoned => return Outcome { answer: None, reusable: false },
                ended => {
                    let crash = self.crashed(ended, &this);
                    if origin == 0 {
                        return Outcome { answer: Some(Err(crash)), reusable: false };
                    }
                    reusable = false;
                    break;
                }
            }
        }
        let answer = progress.done().map_err(|malformed| self.malformed(&malformed, call));
        Outcome { reusable: reusable && answer.is_ok(), answer: Some(answer) }
    }

    fn begin(&mut self, call: Call) {
        self.meter.renew();
        self.store.set_epoch_deadline(1);
        let state = self.store.data_mut();
        // Of the message before, where the guest is called for each.
        state.release_locks();
        state.memory.renew();
        let deadline = u64::try_from(self.limits.deadline.as_millis()).unwrap_or(u64::MAX);
        let deadline = state.granted.clock.now().saturating_add(deadline).min(LONGEST);
        state.log.begin(Current { call: Some(call), deadline });
    }

    /// What to call a crash; the log gets it with the backtrace.
    fn crashed<T>(&self, ended: Ended<T>, call: &Call) -> Crash {
        let backtrace = match &ended {
            Ended::Itself(Err(error)) => crash::backtrace(error),
            _ => String::new(),
        };
        let crash = why(ended, &self.store, &self.meter, &self.limits);
        self.report(&crash, &backtrace, call);
        crash
    }

    fn malformed(&self, malformed: &Malformed, call: &Call) -> Crash {
        let crash = Crash::Trap(malformed.to_string());
        self.report(&crash, "", call);
        crash
    }

    fn report(&self, crash: &Crash, backtrace: &str, call: &Call) {
        tracing::error!(
            target: "longshore::guest", handler = &*self.store.data().granted.name, subscription = call.subscription.name,
            message_id = %Ids(call), class = crash.class(), backtrace, "{crash}"
        );
    }
}

/// What ended a guest that did not answer.
pub(crate) fn why<T>(ended: Ended<T>, store: &Store<State>, meter: &CpuMeter, limits: &Limits) -> Crash {
    match ended {
        Ended::Deadline => Crash::Timeout(format!("{:?} of wall time", limits.deadline)),
        Ended::Itself(Err(_)) if meter.exceeded() => Crash::Timeout(format!("{:?} of computing", limits.cpu)),
        Ended::Itself(Err(error)) if store.data().memory.refused() => {
            Crash::Memory(format!("it wanted more than {} MiB; {}", limits.memory >> 20, crash::reason(&error)))
        }
        Ended::Itself(Err(error)) => Crash::Trap(crash::reason(&error)),
        Ended::Itself(Ok(_)) | Ended::Abandoned => Crash::Host("the call was abandoned".into()),
    }
}
