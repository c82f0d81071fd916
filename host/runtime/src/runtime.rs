//! The runtime as a whole: the engine, what is linked, and the way from a file to a module.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::caps;
use crate::compiled::Cache;
use crate::engine::{self, EngineError, Settings};
use crate::handler::SetupError;
use crate::module::{self, Inner, LoadError, Module, World};
use crate::room::Room;
use crate::source::{Digest, Source};
use crate::state::State;
use crate::ticker::{self, Ticks};

/// Compiles components and makes instances of them. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

struct Shared {
    engine: Engine,
    ticks: Ticks,
    room: Arc<Room>,
    max_memory: usize,
    cache: Option<Cache>,
    handlers: Linker<State>,
    jobs: Linker<State>,
    /// Modules that somebody has, so that a component under many names is compiled and kept once.
    loaded: Mutex<HashMap<Digest, Weak<Inner>>>,
}

impl Runtime {
    /// Starts the engine and its ticker thread.
    pub fn new(settings: &Settings) -> Result<Self, EngineError> {
        let engine = engine::start(settings)?;
        let linked = |link: fn(&mut Linker<State>) -> wasmtime::Result<()>| {
            let mut linker = Linker::new(&engine);
            link(&mut linker).map(|()| linker).map_err(|e| EngineError(format!("{e:#}")))
        };
        let (handlers, jobs) = (linked(caps::link_handlers)?, linked(caps::link_jobs)?);
        let ticks = ticker::start(engine.weak()).map_err(|e| EngineError(format!("no thread for the ticker: {e}")))?;
        let cache = settings.cache.as_deref().and_then(|folder| Cache::open(folder, &engine));
        let max_memory = settings.max_memory;
        let (room, loaded) = (Arc::default(), Mutex::default());
        Ok(Runtime(Arc::new(Shared { engine, ticks, room, max_memory, cache, handlers, jobs, loaded })))
    }

    /// Reads a component file, compiles it (or takes it from the cache), and checks that this host has all that it imports.
    ///
    /// Blocks, for seconds where a large component is new: call it where blocking is allowed.
    pub fn load(&self, path: &Path) -> Result<Module, LoadError> {
        let source = Source::read(path)?;
        if let Some(inner) = self.loaded().get(&source.digest).and_then(Weak::upgrade) {
            return Ok(Module { inner });
        }
        let component = self.compile(&source)?;
        let world = module::world(&component, &self.0.engine, path)?;
        module::check_imports(&component, &self.0.engine, world, path)?;
        let linker = if world == World::Job { &self.0.jobs } else { &self.0.handlers };
        let pre = linker.instantiate_pre(&component).map_err(|why| LoadError::Link { path: path.into(), why: format!("{:#}", why) })?;
        let inner = Arc::new(Inner::new(pre, world, &source, &self.0.engine)?);
        let mut loaded = self.loaded();
        loaded.retain(|_, module| module.strong_count() > 0);
        loaded.insert(source.digest, Arc::downgrade(&inner));
        Ok(Module { inner })
    }

    fn compile(&self, source: &Source) -> Result<Component, LoadError> {
        if let Some(component) = self.0.cache.as_ref().and_then(|cache| cache.get(&self.0.engine, &source.digest)) {
            return Ok(component);
        }
        let component = Component::from_binary(&self.0.engine, &source.bytes)
            .map_err(|why| LoadError::Invalid { path: source.path.clone(), why: format!("{why:#}") })?;
        if let Some(cache) = &self.0.cache {
            cache.put(&component, &source.digest);
        }
        Ok(component)
    }

    pub(crate) fn ticks(&self) -> Ticks {
        self.0.ticks.clone()
    }

    pub(crate) fn room(&self) -> Arc<Room> {
        self.0.room.clone()
    }

    pub(crate) fn check_memory(&self, name: &str, limit: usize) -> Result<(), SetupError> {
        match limit > self.0.max_memory {
            true => Err(SetupError::Memory { name: name.into(), limit, most: self.0.max_memory }),
            false => Ok(()),
        }
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Weak<Inner>>> {
        self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
