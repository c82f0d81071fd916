//! Leases on names, shared by every host on the same store.
//!
//! ```
//! use std::time::Duration;
//!
//! use longshore_sdk::{Error, lock};
//!
//! # fn book(_: u64) -> Result<(), Error> { Ok(()) }
//! fn count(item: &str) -> Result<(), Error> {
//!     let guard = lock::acquire(&format!("stock:{item}"), Duration::from_secs(10), Duration::from_secs(2))?;
//!     guard.keep()?;
//!     // Whatever is protected refuses a smaller fence than it has seen.
//!     book(guard.fence())
//! }
//! # longshore_sdk::testing::Host::new().enter(|| count("tea")).unwrap();
//! ```
//!
//! A lease can be over before its holder knows: a host that stood still, or a server that lost what it had confirmed, see to that. So a lock
//! alone keeps two from doing the same work at once nearly always; with the fence, checked where the work is written, always.

use std::time::Duration;

use crate::{Error, host, time};

/// A lease that is held. Dropping it releases it; so does the end of the call.
#[derive(Debug)]
#[must_use = "the lease is released when this is dropped"]
pub struct Guard(host::Guard);

/// Takes the name for `ttl`, waiting up to `wait` for it.
///
/// # Errors
/// [`Error::Conflict`] when `wait` is zero and it is held, or somebody waits whose turn it is; else [`Error::Timeout`]. [`Error::Denied`]
/// unless the configuration grants the name; [`Error::Invalid`] for a `ttl` of zero, or beyond the longest that the store allows;
/// [`Error::Unavailable`], [`Error::Timeout`] or [`Error::Unsupported`] for the store behind it.
pub fn acquire(name: &str, ttl: Duration, wait: Duration) -> Result<Guard, Error> {
    Ok(Guard(host::acquire(name, time::millis(ttl), time::millis(wait))?))
}

/// Whether anybody holds the name now.
///
/// # Errors
/// [`Error::Denied`], [`Error::Unavailable`] or [`Error::Unsupported`], as [`acquire`].
pub fn held(name: &str) -> Result<bool, Error> {
    Ok(host::held(name)?)
}

impl Guard {
    /// Grows with every grant of this name: hand it to whatever the lock protects, which refuses a smaller one.
    pub fn fence(&self) -> u64 {
        self.0.fence()
    }

    /// The lease now ends `ttl` from now.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it has passed to somebody else or run out; [`Error::Invalid`] for a `ttl` of zero, or beyond the longest that the
    /// store allows.
    pub fn renew(&self, ttl: Duration) -> Result<(), Error> {
        Ok(self.0.renew(time::millis(ttl))?)
    }

    /// From now on the host renews it, for what it was last given, until it is released or the call ends.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is lost already. What is lost later shows in [`is_held`](Self::is_held).
    pub fn keep(&self) -> Result<(), Error> {
        Ok(self.0.keep()?)
    }

    /// Whether it is still held, as far as the host knows: its time is not over, and nobody said that it is lost. Asks nobody.
    pub fn is_held(&self) -> bool {
        self.0.is_held()
    }

    /// Releases it, and says whether it was still ours; dropping it does not say.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was no longer ours.
    pub fn release(self) -> Result<(), Error> {
        Ok(self.0.release()?)
    }
}
