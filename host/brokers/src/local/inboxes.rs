//! Requests that wait for their answers. Replies are handed over in process and never stored: whoever asked is in this process or gone.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_core::row::Row;
use longshore_core::{Batch, Facts, Outbox, PublishError, Receipt};
use tokio::sync::oneshot;

use super::admit::INBOX;

/// All inboxes of a broker.
#[derive(Default)]
pub(super) struct Inboxes {
    open: Mutex<HashMap<String, oneshot::Sender<Batch>>>,
}

/// One inbox, open until it is dropped.
pub(super) struct Inbox<'a> {
    inboxes: &'a Inboxes,
    /// Its topic.
    pub(super) name: String,
    /// The answer.
    pub(super) reply: oneshot::Receiver<Batch>,
}

impl Inboxes {
    /// Opens an inbox of a name that nobody guesses.
    pub(super) fn open(&self) -> Inbox<'_> {
        let random = || RandomState::new().build_hasher().finish();
        let name = format!("{INBOX}{:016x}{:016x}", random(), random());
        let (answer, reply) = oneshot::channel();
        self.lock().insert(name.clone(), answer);
        Inbox { inboxes: self, name, reply }
    }

    /// Hands a reply over. The first one counts.
    pub(super) fn deliver(&self, row: Row<'_>) -> Result<String, PublishError> {
        let nobody = || PublishError::Invalid(format!("nobody waits at {:?}: the request was answered, or has timed out", row.topic()));
        let answer = self.lock().remove(row.topic()).ok_or_else(nobody)?;
        let mut batch = Batch::default();
        let id = if row.id().is_empty() { format!("{}/1", row.topic()) } else { row.id().into() };
        batch.push_row_with_id(row, &id, 1, Receipt { position: 1, token: &[] }, Facts::default());
        answer.send(batch).map_err(|_| nobody())?;
        Ok(id)
    }

    /// Hands over whatever of an outbox goes to inboxes. A reply that nobody waits for any more is dropped: its handler has done its part.
    pub(super) fn deliver_all(&self, outbox: &Outbox) {
        for row in (0..outbox.len()).map(|i| outbox.row(i)).filter(|row| super::admit::is_inbox(row.topic())) {
            if let Err(error) = self.deliver(row) {
                tracing::debug!(%error, "reply dropped");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Batch>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inbox<'_> {
    fn drop(&mut self) {
        self.inboxes.lock().remove(&self.name);
    }
}
