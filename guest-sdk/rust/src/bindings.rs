//! What `wit-bindgen` makes of the worlds `batched` and `job`. Checked in, so that nobody who writes a handler compiles a generator;
//! `tests/bindings.rs` writes them and tells when they are stale.

#![expect(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated"
)]

#[rustfmt::skip]
pub mod batched;
#[rustfmt::skip]
pub mod job;
