//! The handler's own `config` table, whose values are text, secrets included.

use crate::host;

/// The value under this key, if the table has it.
pub fn get(key: &str) -> Option<String> {
    host::config_get(key)
}

/// Every key with its value, in no particular order.
pub fn all() -> Vec<(String, String)> {
    host::config_all()
}
