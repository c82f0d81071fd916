//! One call of a handler, and the seam to whatever runs it.

use std::sync::Arc;

use crate::batch::Batch;
use crate::outcome::{Crash, Done};
use crate::policy::Order;

/// What a call may tell the guest about where its messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Its name: `handler/topic`, unique in the configuration.
    pub name: String,
    /// The handler's name.
    pub handler: String,
    /// The group, where the broker has groups.
    pub group: Option<String>,
    /// The broker's name in the configuration.
    pub broker: String,
    /// How order is kept.
    pub order: Order,
    /// The retry policy's.
    pub max_attempts: u32,
}

/// A run of messages for one call: `batch[from..to]`, lowered into the guest as it stands.
#[derive(Debug, Clone)]
pub struct Call {
    /// Where the messages are.
    pub batch: Arc<Batch>,
    /// First index.
    pub from: usize,
    /// Index after the last; above `from`.
    pub to: usize,
    /// Where they come from.
    pub subscription: Arc<SubscriptionInfo>,
    /// The lane's partition, where it has one.
    pub partition: Option<u32>,
}

impl Call {
    /// How many messages.
    pub fn len(&self) -> usize {
        self.to - self.from
    }

    /// Never: a call has at least one.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The packed rows.
    pub fn rows(&self) -> &[u8] {
        self.batch.rows(self.from, self.to)
    }
}

/// Whatever handles messages: a pool of Wasm instances, or a closure in a test. Effects are data: it answers what it wants published.
pub trait Handler: Send + Sync + 'static {
    /// Handles the call's messages. Dropping the future abandons the call: the guest is interrupted and nothing of it is used.
    fn handle(&self, call: Call) -> impl Future<Output = Result<Done, Crash>> + Send;
}
