//! `config`: the handler's own table, as text.

use crate::bindings::config::Host;
use crate::state::State;

impl Host for State {
    fn get(&mut self, key: String) -> Option<String> {
        self.granted.config.get(&key).cloned()
    }

    fn all(&mut self) -> Vec<(String, String)> {
        self.granted.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}
