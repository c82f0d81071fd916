//! Keys of subscriptions that only lists know.

use longshore_core::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of a subscription.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Subscription {
    /// How long this subscription's hosts may be silent before what they have is anybody's, in place of the broker's `lease`.
    #[schemars(extend("x-positive" = true))]
    pub lease: Option<Span>,
}
