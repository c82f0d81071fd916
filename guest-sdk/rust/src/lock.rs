//! Leases on names, shared by every host on the same store.

use std::time::Duration;

use crate::{Error, host, time};

/// A lease that is held. Dropping it releases it; so does the end of the call.
#[derive(Debug)]
#[must_use = "the lease is released when this is dropped"]
pub struct Guard(host::Guard);

/// Takes the name for `ttl`, waiting up to `wait` for it.
///
/// # Errors
/// [`Error::Conflict`] when it is held and `wait` is zero, else [`Error::Timeout`]; [`Error::Denied`] unless the configuration grants the
/// name; [`Error::Unavailable`] or [`Error::Unsupported`] for the store behind it.
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
    /// [`Error::Conflict`] when it has passed to somebody else or run out.
    pub fn renew(&self, ttl: Duration) -> Result<(), Error> {
        Ok(self.0.renew(time::millis(ttl))?)
    }

    /// Releases it, and says whether it was still ours; dropping it does not say.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it was no longer ours.
    pub fn release(self) -> Result<(), Error> {
        Ok(self.0.release()?)
    }
}
