//! The administration interface.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The administration interface: health, metrics, status, commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Admin {
    /// Address and port; port 0 takes a free one.
    pub(crate) listen: String,
    /// What a caller must show as `Authorization: Bearer …`; required as soon as it listens beyond this machine. `file:path` reads it from a file.
    #[schemars(length(min = 1), extend("format" = "secret"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Whether `/metrics` answers.
    pub(crate) metrics: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Admin { listen: "127.0.0.1:7070".into(), token: None, metrics: true }
    }
}
