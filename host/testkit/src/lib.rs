//! To come.

pub mod guests;
