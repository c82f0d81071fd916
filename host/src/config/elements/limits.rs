//! Bounds of one call.

use longshore_core::{Limits as CoreLimits, Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of one call of a handler; passing one is a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Limits {
    /// Memory of an instance.
    #[schemars(extend("x-positive" = true))]
    pub(crate) memory: Size,
    /// Wall time of a call.
    #[schemars(extend("x-positive" = true))]
    pub(crate) deadline: Span,
    /// Time that the guest itself computes in a call; waiting on the host is free.
    #[schemars(extend("x-positive" = true))]
    pub(crate) cpu: Span,
    /// Outputs of one message.
    pub(crate) outputs: usize,
    /// Bytes of all outputs of one call.
    pub(crate) output_size: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            memory: Size::from_mib(64),
            deadline: Span::from_secs(5),
            cpu: Span::from_secs(1),
            outputs: 1000,
            output_size: Size::from_mib(16),
        }
    }
}

impl Limits {
    /// The limits that are meant.
    pub(crate) fn limits(&self) -> CoreLimits {
        CoreLimits {
            memory: self.memory.length(),
            deadline: self.deadline.get(),
            cpu: self.cpu.get(),
            outputs: self.outputs,
            output_size: self.output_size.length(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_engine() {
        assert_eq!(Limits::default().limits(), CoreLimits::default());
    }
}
