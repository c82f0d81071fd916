//! What holds for every handler that says nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::add_policy;
use super::reuse::add_instance;

/// What holds for every handler that says nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(transform = add_policy, transform = add_instance)]
pub(crate) struct Defaults {}
