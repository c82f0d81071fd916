//! What the server says to a store, in our words. Codes as in [`errors`](crate::redis::errors).

use longshore_core::StoreError;
use redis::RedisError;

use crate::redis::errors::{code, words};
use crate::redis::server::Server;

/// A store's error for what the server said about a key.
pub(super) fn about(server: &Server, key: &str, error: &RedisError) -> StoreError {
    let words = words(error);
    match code(error, &words) {
        "WRONGTYPE" => StoreError::Other(format!(
            "the key {key:?} on the server is no value but of another type ({words}): delete it there, or choose another prefix"
        )),
        "OOM" => StoreError::Unavailable(format!(
            "the server's memory is full ({words}): raise its maxmemory, or let it drop caches by its maxmemory-policy"
        )),
        _ if error.is_timeout() => StoreError::Timeout,
        _ => server.error(error).into(),
    }
}
