//! The world `job`: a program that runs by itself and may pull messages.
//!
//! One run is one instance. When to start it again is the host's to decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Crash, GrantedStores, Limits, Outlets};
use tokio_util::sync::CancellationToken;

use crate::caps::publish::LONGEST;
use crate::crash;
use crate::current::Current;
use crate::guard::{self, Ended};
use crate::handler::SetupError;
use crate::inbox::Outlook;
pub(crate) use crate::inbox::Subscriptions;
use crate::instance::{self, Mold};
use crate::module::{Module, World};
use crate::runtime::Runtime;
use crate::state::Granted;

/// What a job is given besides its component. Of the limits of a handler's call, those that bind what may run for ever.
pub struct JobSettings {
    /// Its name in the configuration.
    pub name: String,
    /// Linear memory, bytes.
    pub memory: usize,
    /// Bytes of outputs that it may settle one message with: the engine refuses more, and far more ends the job.
    pub output_size: usize,
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
    /// What it may pull from, by the names that it opens.
    pub subscriptions: HashMap<String, Outlook>,
}

impl JobSettings {
    /// Defaults for everything but the name; nothing is granted.
    pub fn new(name: impl Into<String>) -> Self {
        JobSettings {
            name: name.into(),
            memory: Limits::default().memory,
            output_size: Limits::default().output_size,
            outlets: Outlets::default(),
            stores: GrantedStores::default(),
            config: HashMap::new(),
            publish_timeout: Duration::from_secs(10),
            clock: Clock::system(),
            subscriptions: HashMap::new(),
        }
    }
}

/// A component of world `job`, ready to run.
pub struct Job {
    module: Module,
    runtime: Runtime,
    settings: JobSettings,
    by_name: Arc<HashMap<String, Arc<Outlook>>>,
}

/// Gives back what a run leaves behind, however it ends.
struct Left(Arc<HashMap<String, Arc<Outlook>>>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.values().for_each(|outlook| outlook.give_back());
    }
}

impl Job {
    /// Sets a job up. A component of another world is refused.
    pub fn new(runtime: &Runtime, module: &Module, mut settings: JobSettings) -> Result<Self, SetupError> {
        if module.world() != World::Job {
            let help = "name it under `[handlers.<name>]`, or export `program`";
            return Err(SetupError::World { name: settings.name, world: module.world(), help });
        }
        runtime.check_memory(&settings.name, settings.memory)?;
        let by_name = settings.subscriptions.drain().map(|(name, outlook)| (name, Arc::new(outlook))).collect();
        Ok(Job { module: module.clone(), runtime: runtime.clone(), settings, by_name: Arc::new(by_name) })
    }

    /// Runs it once. `Ok(Err(text))` is what the program itself calls a failure. Cancelling `stop` asks it to end; dropping the future ends
    /// it. Messages that it held and did not settle come again.
    pub async fn run(&self, stop: CancellationToken) -> Result<Result<(), String>, Crash> {
        let _left = Left(self.by_name.clone());
        let mold = self.mold(stop);
        loop {
            match self.try_run(&mold).await {
                Err(full) => mold.make_room(&full)?,
                Ok(ended) => return ended,
            }
        }
    }

    /// What came of a run; the error says that there was no room for one.
    async fn try_run(&self, mold: &Mold) -> Result<Result<Result<(), String>, Crash>, wasmtime::Error> {
        let (mut store, meter) = mold.store(Duration::MAX);
        store.data().log.begin(Current { call: None, deadline: LONGEST });
        let entry = mold.module.inner.entry.func;
        let running = async {
            let instance = mold.module.inner.pre.instantiate_async(&mut store).await?;
            let run = instance.get_typed_func::<(), (Result<(), String>,)>(&mut store, entry)?;
            run.call_async(&mut store, ()).await
        };
        let ended = guard::run(running, &meter, None, std::future::pending()).await;
        let result = match ended {
            Ended::Itself(Ok((result,))) => Ok(result),
            Ended::Itself(Err(error)) if crash::is_full(&error) => return Err(error),
            ended => {
                let backtrace = match &ended {
                    Ended::Itself(Err(error)) => crash::backtrace(error),
                    _ => String::new(),
                };
                let crash = instance::why(ended, &store, &meter, &mold.limits);
                tracing::error!(target: "longshore::guest", handler = self.settings.name, class = crash.class(), backtrace, "{crash}");
                Err(crash)
            }
        };
        store.data().log.end();
        Ok(result)
    }

    fn mold(&self, stop: CancellationToken) -> Mold {
        let s = &self.settings;
        let granted = Granted {
            name: s.name.as_str().into(),
            outlets: s.outlets.clone(),
            stores: s.stores.clone(),
            config: s.config.clone(),
            publish_timeout: s.publish_timeout,
            clock: s.clock.clone(),
            subscriptions: Some(Subscriptions { by_name: self.by_name.clone(), stop }),
        };
        Mold {
            module: self.module.clone(),
            granted: Arc::new(granted),
            limits: Limits { memory: s.memory, output_size: s.output_size, ..Limits::default() },
            ticks: self.runtime.ticks(),
            room: self.runtime.room(),
        }
    }
}
