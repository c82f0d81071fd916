//! A component as `longshore_core::Handler`: what the engine calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Call, Clock, Crash, Done, GrantedStores, Handler, Limits, Outlets};

use crate::instance::Mold;
use crate::module::{Module, World};
use crate::pool::Pool;
use crate::runtime::Runtime;
use crate::state::Granted;
use crate::stats::{Snapshot, Stats};

/// How often an instance is called before another takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// So many calls, at least 1.
    Calls(u64),
    /// A new instance for every call.
    Fresh,
}

impl Default for Reuse {
    fn default() -> Self {
        Reuse::Calls(10_000)
    }
}

impl Reuse {
    pub(crate) fn allows(self, calls: u64) -> bool {
        match self {
            Reuse::Calls(most) => calls < most,
            Reuse::Fresh => false,
        }
    }
}

/// What a handler is given besides its component.
#[derive(Debug, Clone)]
pub struct HandlerSettings {
    /// Its name in the configuration.
    pub name: String,
    /// Bounds of one call.
    pub limits: Limits,
    /// How long instances live.
    pub reuse: Reuse,
    /// Calls at once, at least 1: so many instances live at most.
    pub concurrency: usize,
    /// Where it may publish.
    pub outlets: Outlets,
    /// Buckets that it may open.
    pub stores: GrantedStores,
    /// Its own `config` table.
    pub config: HashMap<String, String>,
    /// Bounds the wait for the confirm of a `send`.
    pub publish_timeout: Duration,
    /// The wall clock.
    pub clock: Clock,
}

impl HandlerSettings {
    /// Defaults for everything but the name; nothing is granted.
    pub fn new(name: impl Into<String>) -> Self {
        HandlerSettings {
            name: name.into(),
            limits: Limits::default(),
            reuse: Reuse::default(),
            concurrency: 16,
            outlets: Outlets::default(),
            stores: GrantedStores::default(),
            config: HashMap::new(),
            publish_timeout: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }
}

/// A component cannot run with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Its world is for something else.
    #[error("handler {name:?}: the component is of world `{world}`: {help}")]
    World {
        /// The handler or job.
        name: String,
        /// What the component is.
        world: World,
        /// What to do.
        help: &'static str,
    },
    /// A limit is above what the runtime was set up for.
    #[error("handler {name:?}: `limits.memory` is {limit} bytes, and no instance can have more than {most}")]
    Memory {
        /// The handler or job.
        name: String,
        /// What was asked for.
        limit: usize,
        /// What there is.
        most: usize,
    },
    /// No call could ever run.
    #[error("handler {name:?}: `{key}` is 0: it must be at least 1")]
    Zero {
        /// The handler.
        name: String,
        /// The setting.
        key: &'static str,
    },
    /// An instance cannot be made.
    #[error("handler {name:?}: an instance cannot be made: {why}")]
    Instance {
        /// The handler or job.
        name: String,
        /// Why.
        why: Crash,
    },
}

/// A handler made of Wasm instances. Cheap to clone; the instances end with the last clone.
#[derive(Clone)]
pub struct WasmHandler {
    pool: Arc<Pool>,
    stats: Arc<Stats>,
}

impl WasmHandler {
    /// Sets a handler up; instances are made as calls come. A component that cannot be called with messages is refused.
    pub fn new(runtime: &Runtime, module: &Module, settings: HandlerSettings) -> Result<Self, SetupError> {
        let HandlerSettings { name, limits, reuse, concurrency, outlets, stores, config, publish_timeout, clock } = settings;
        if module.world() == World::Job {
            let help = "name it under `[jobs.<name>]`, or export `handler` or `batch-handler`";
            return Err(SetupError::World { name, world: World::Job, help });
        }
        for (key, zero) in [("concurrency", concurrency == 0), ("reuse", reuse == Reuse::Calls(0))] {
            if zero {
                return Err(SetupError::Zero { name, key });
            }
        }
        runtime.check_memory(&name, limits.memory)?;
        let granted = Granted { name: name.into(), outlets, stores, config, publish_timeout, clock, subscriptions: None };
        let mold = Mold { module: module.clone(), granted: Arc::new(granted), limits, ticks: runtime.ticks(), room: runtime.room() };
        let stats = Arc::new(Stats::default());
        Ok(WasmHandler { pool: Arc::new(Pool::new(mold, reuse, concurrency, stats.clone())), stats })
    }

    /// Makes an instance and drops it: whatever keeps the component from starting is known before messages come.
    pub async fn smoke(&self) -> Result<(), SetupError> {
        let mold = self.pool.mold();
        let made = mold.cast().await;
        made.map(drop).map_err(|why| SetupError::Instance { name: mold.granted.name.to_string(), why })
    }

    /// Its counters.
    pub fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }
}

impl Handler for WasmHandler {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        self.pool.call(call).await
    }
}

impl fmt::Debug for WasmHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmHandler").field("stats", &self.stats.snapshot()).finish_non_exhaustive()
    }
}
