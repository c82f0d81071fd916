//! What an instance is busy with: the messages of its call, as its host functions see them.

use std::fmt;

use longshore_core::{Call, headers, row::Row};

/// The call that an instance handles now; a job has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Current {
    /// The messages; `None` between calls and in a job.
    pub(crate) call: Option<Call>,
    /// When the call is cut off, milliseconds since the Unix epoch.
    pub(crate) deadline: u64,
}

impl Current {
    /// The message that a guest means by `origin`, and its index in the batch.
    pub(crate) fn message(&self, origin: u32) -> Option<(&Call, usize)> {
        let call = self.call.as_ref()?;
        let index = call.from.checked_add(origin as usize)?;
        (index < call.to).then_some((call, index))
    }

    /// The message of a call that has one alone.
    pub(crate) fn only(&self) -> Option<Row<'_>> {
        let call = self.call.as_ref()?;
        (call.len() == 1).then(|| call.batch.row(call.from))
    }

    /// The ids of its messages, for people; nothing in a job.
    pub(crate) fn ids(&self) -> String {
        self.call.as_ref().map(|call| Ids(call).to_string()).unwrap_or_default()
    }

    /// Headers that go from the message to what is sent while it is handled: trace context, correlation, causation. None in a call of
    /// several messages, where nobody knows which of them a `send` belongs to.
    pub(crate) fn carried(&self) -> Vec<(&'static str, Vec<u8>)> {
        let Some(row) = self.only() else { return Vec::new() };
        let own = Some(row.id().as_bytes()).filter(|id| !id.is_empty());
        let carried = [
            (headers::TRACEPARENT, row.header(headers::TRACEPARENT)),
            (headers::CORRELATION_ID, row.header(headers::CORRELATION_ID).or(own)),
            (headers::CAUSATION_ID, own),
        ];
        carried.into_iter().filter_map(|(name, value)| Some((name, value?.to_vec()))).collect()
    }

    /// What the log says about message `origin`.
    pub(crate) fn subject(&self, origin: Option<u32>) -> Subject<'_> {
        let message = match origin {
            Some(origin) => self.message(origin),
            None => self.message(0).filter(|(call, _)| call.len() == 1),
        };
        let row = message.map(|(call, index)| call.batch.row(index));
        Subject {
            subscription: self.call.as_ref().map_or("", |call| call.subscription.name.as_str()),
            message: row.map_or("", Row::id),
            attempt: row.map_or(0, Row::attempt),
            trace: row.and_then(|r| r.header(headers::TRACEPARENT)).and_then(|t| std::str::from_utf8(t).ok()).unwrap_or_default(),
        }
    }
}

/// Names a message in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) subscription: &'a str,
    /// Its id; empty where a line belongs to no single message.
    pub(crate) message: &'a str,
    pub(crate) attempt: u32,
    /// Its `traceparent`.
    pub(crate) trace: &'a str,
}

/// The ids of a call's messages, for the log: the first and how many more.
pub(crate) struct Ids<'a>(pub(crate) &'a Call);

impl fmt::Display for Ids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.batch.row(self.0.from).id())?;
        match self.0.len() {
            1 => Ok(()),
            n => write!(f, " and {} more", n - 1),
        }
    }
}
