//! To come.

pub mod conformance;
pub mod guests;
pub mod scripted;
pub mod servers;
