//! Who makes what a broker's server has to have: streams and consumers, queues, exchanges and bindings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who makes what is missing on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Declare {
    /// This host.
    #[default]
    Create,
    /// Somebody else: this host looks whether it is there and fits.
    Passive,
    /// Somebody else: what is there is taken as it is.
    None,
}
