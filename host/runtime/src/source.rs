//! A component file as it was read: what kind of file it is, and its digest.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, Precompiled};

use crate::module::LoadError;

/// Magic number of WebAssembly, then version and layer.
const MAGIC: &[u8] = b"\0asm";
const CORE_MODULE: &[u8] = b"\x01\0\0\0";
const COMPONENT: &[u8] = b"\x0d\0\x01\0";

/// SHA-256 of a component's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Digest(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file that begins like a component.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Source {
    pub(crate) fn read(path: &Path) -> Result<Self, LoadError> {
        let bytes = std::fs::read(path).map_err(|why| LoadError::Read { path: path.into(), why })?;
        match kind(&bytes) {
            Kind::Component => Ok(Source { path: path.into(), digest: Digest::of(&bytes), bytes }),
            Kind::CoreModule => Err(LoadError::CoreModule { path: path.into() }),
            Kind::Compiled => Err(LoadError::Compiled { path: path.into() }),
            Kind::Other(what) => Err(LoadError::NotWasm { path: path.into(), what }),
        }
    }
}

enum Kind {
    Component,
    CoreModule,
    Compiled,
    Other(&'static str),
}

fn kind(bytes: &[u8]) -> Kind {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return match rest {
            _ if rest.starts_with(COMPONENT) => Kind::Component,
            _ if rest.starts_with(CORE_MODULE) => Kind::CoreModule,
            _ => Kind::Other("it is WebAssembly of a version that this host does not know"),
        };
    }
    match Engine::detect_precompiled(bytes) {
        Some(Precompiled::Component | Precompiled::Module) => Kind::Compiled,
        None if bytes.is_empty() => Kind::Other("it is empty"),
        None if bytes.trim_ascii_start().starts_with(b"(") => Kind::Other("it is WebAssembly text: turn it into a component first"),
        None => Kind::Other("it does not begin as WebAssembly does"),
    }
}
