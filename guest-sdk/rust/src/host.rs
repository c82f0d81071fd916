//! The one seam to the host. As a component the functions are its imports; natively they are the double of [`testing`](crate::testing).
//! Both sides have the same names and signatures, so that nothing else in this crate asks where it runs.

#[cfg(target_family = "wasm")]
mod component;

#[cfg(target_family = "wasm")]
pub(crate) use component::*;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::double::*;
