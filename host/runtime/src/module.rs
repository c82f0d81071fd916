//! A component that this host can run: its world, what it imports, who it is.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::metadata::Metadata;
use crate::source::{Digest, Source};
use crate::state::State;

/// Why a file is not a component that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("component {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The file is something else.
    #[error("{} is not a WebAssembly component: {what}; build one, for example with `cargo build --target wasm32-wasip2`", path.display())]
    NotWasm {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// WebAssembly, but not a component.
    #[error(
        "{} is a core module, not a component: build it for the target wasm32-wasip2 (not wasm32-wasip1 or wasm32-unknown-unknown), or \
         turn it into a component with `wasm-tools component new`",
        path.display()
    )]
    CoreModule {
        /// The file.
        path: PathBuf,
    },
    /// Machine code that some wasmtime wrote.
    #[error("{} is compiled already, which this host does not trust: name the component that it was compiled from", path.display())]
    Compiled {
        /// The file.
        path: PathBuf,
    },
    /// A component that does not validate or compile.
    #[error("component {} does not compile: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What the compiler says.
        why: String,
    },
    /// A component for something else.
    #[error("component {} is of another world: {what}", path.display())]
    OtherWorld {
        /// The file.
        path: PathBuf,
        /// What it exports, and what it should.
        what: String,
    },
    /// It imports what this host does not have.
    #[error("component {} imports what this host does not have:{}", path.display(), listed(missing))]
    Missing {
        /// The file.
        path: PathBuf,
        /// Each import, and why it is not there.
        missing: Vec<(String, &'static str)>,
    },
    /// Imports of the right names and the wrong types.
    #[error("component {} does not fit this host: {why}; build it against the WIT package of this version", path.display())]
    Link {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
}

fn listed(missing: &[(String, &'static str)]) -> String {
    missing.iter().map(|(name, why)| format!("\n  {name}: {why}")).collect()
}

/// How a component is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// With one message at a time.
    Single,
    /// With packed batches.
    Batched,
    /// Once for each start.
    Job,
}

impl World {
    const ALL: [World; 3] = [World::Batched, World::Single, World::Job];

    /// The interface that it exports.
    pub fn interface(self) -> &'static str {
        match self {
            World::Single => "longshore:messaging/handler@0.1.0",
            World::Batched => "longshore:messaging/batch-handler@0.1.0",
            World::Job => "longshore:messaging/program@0.1.0",
        }
    }

    fn function(self) -> &'static str {
        match self {
            World::Single | World::Batched => "handle",
            World::Job => "run",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            World::Single => "single",
            World::Batched => "batched",
            World::Job => "job",
        })
    }
}

/// The function that is called.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) world: World,
    pub(crate) func: ComponentExportIndex,
}

/// A component that was compiled, checked and linked. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pre: InstancePre<State>,
    pub(crate) entry: Entry,
    digest: Digest,
    metadata: Metadata,
    imports: Vec<String>,
}

impl Inner {
    pub(crate) fn new(pre: InstancePre<State>, world: World, source: &Source, engine: &Engine) -> Result<Self, LoadError> {
        let component = pre.component();
        let func = component
            .get_export_index(None, world.interface())
            .and_then(|interface| component.get_export_index(Some(&interface), world.function()))
            .ok_or_else(|| LoadError::OtherWorld {
                path: source.path.clone(),
                what: format!("{} has no function `{}`", world.interface(), world.function()),
            })?;
        let imports = imports(component, engine);
        Ok(Inner { entry: Entry { world, func }, pre, digest: source.digest, metadata: Metadata::of(&source.bytes), imports })
    }
}

impl Module {
    /// How it is called.
    pub fn world(&self) -> World {
        self.inner.entry.world
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    /// Its name, where it says one.
    pub fn name(&self) -> Option<&str> {
        self.inner.metadata.name.as_deref()
    }

    /// Its version, where it says one.
    pub fn version(&self) -> Option<&str> {
        self.inner.metadata.version.as_deref()
    }

    /// The interfaces that it imports, sorted.
    pub fn imports(&self) -> &[String] {
        &self.inner.imports
    }

    /// Whether both are the one that was compiled once.
    pub fn is_same(&self, other: &Module) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("world", &self.world()).field("digest", &self.digest()).finish_non_exhaustive()
    }
}

/// The world of a component, by what it exports.
pub(crate) fn world(component: &Component, engine: &Engine, path: &Path) -> Result<World, LoadError> {
    if let Some(world) = World::ALL.into_iter().find(|w| component.get_export_index(None, w.interface()).is_some()) {
        return Ok(world);
    }
    let exports: Vec<String> = component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect();
    let has = match exports.as_slice() {
        [] => "it exports nothing".into(),
        some => format!("it exports {}", some.join(", ")),
    };
    let wants: Vec<_> = World::ALL.iter().map(|w| w.interface()).collect();
    Err(LoadError::OtherWorld { path: path.into(), what: format!("{has}; this host calls one of {}", wants.join(", ")) })
}

/// Refuses imports that this host does not have, all at once.
pub(crate) fn check_imports(component: &Component, engine: &Engine, world: World, path: &Path) -> Result<(), LoadError> {
    let missing: Vec<_> =
        imports(component, engine).into_iter().filter_map(|import| why_missing(&import, world).map(|why| (import, why))).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(LoadError::Missing { path: path.into(), missing }),
    }
}

fn imports(component: &Component, engine: &Engine) -> Vec<String> {
    let names: BTreeSet<String> = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
    names.into_iter().collect()
}

/// Why an import is not there, or `None` when it is.
fn why_missing(import: &str, world: World) -> Option<&'static str> {
    const OURS: [&str; 8] = ["types", "publisher", "delivery", "cache", "key-value", "lock", "logging", "config"];
    const WASI: [&str; 6] = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    if let Some(interface) = name.strip_prefix("longshore:messaging/") {
        return match interface {
            _ if !version.starts_with("0.1.") => Some("this host speaks version 0.1 of longshore:messaging"),
            "consumer" if world == World::Job => None,
            "consumer" => Some("only jobs pull messages; a handler is called with them"),
            _ if OURS.contains(&interface) => None,
            _ => Some("longshore:messaging 0.1 has no such interface"),
        };
    }
    match name {
        _ if WASI.iter().any(|wasi| name.starts_with(wasi)) && version.starts_with("0.2.") => None,
        _ if name.starts_with("wasi:http/") => Some("this host does not make HTTP requests for handlers yet"),
        _ if name.starts_with("wasi:") && version.starts_with("0.3.") => Some("this host has WASI 0.2"),
        _ if name.starts_with("wasi:") => {
            Some("of WASI 0.2 this host has cli, clocks, filesystem (empty), io, random and sockets (closed)")
        }
        _ => Some("no host function of that name; is the component meant for another host?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_apart() {
        let here = |import, world| why_missing(import, world).is_none();
        assert!(here("longshore:messaging/publisher@0.1.0", World::Batched));
        assert!(here("longshore:messaging/publisher@0.1.7", World::Batched));
        assert!(!here("longshore:messaging/publisher@0.2.0", World::Batched));
        assert!(here("longshore:messaging/consumer@0.1.0", World::Job));
        assert!(!here("longshore:messaging/consumer@0.1.0", World::Batched));
        assert!(here("wasi:cli/stdout@0.2.6", World::Single));
        assert!(!here("wasi:http/outgoing-handler@0.2.6", World::Single));
        assert!(!here("wasi:cli/stdout@0.3.0", World::Single));
        assert!(!here("acme:database/query", World::Single));
    }
}
