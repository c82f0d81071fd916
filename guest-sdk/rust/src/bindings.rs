//! What `wit-bindgen` makes of the worlds `batched` and `job`. Checked in, so that nobody who writes a handler compiles a generator;
//! `tests/bindings.rs` writes them and tells when they are stale.

#![expect(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

pub mod batched;
pub mod job;
