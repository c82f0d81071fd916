//! The publishing role: appends, and confirms what is on the disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::{BoxFuture, BrokerError, Clock, Message, Outbox, PublishError, Publisher, row};

use crate::file::{MAX_MESSAGE, TopicFile};
use crate::{Folder, blocking, told};

type Answer = Result<String, PublishError>;

/// The publisher. Cheap to clone, for the threads that may block.
#[derive(Clone)]
pub(crate) struct Appender {
    folder: Arc<Folder>,
    clock: Clock,
    /// Where each topic ended when it was written last.
    ends: Arc<Mutex<HashMap<String, u64>>>,
}

impl Publisher for Appender {
    /// One answer for each message: a bad one harms no other. `Err` as a whole would mean that the broker is not there.
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Answer>, BrokerError>> {
        let (appender, outbox) = (self.clone(), outbox.clone());
        Box::pin(blocking(move || Ok(appender.append_all(&outbox))))
    }
}

impl Appender {
    pub(crate) fn new(folder: Arc<Folder>, clock: Clock) -> Self {
        Appender { folder, clock, ends: Arc::default() }
    }

    fn append_all(&self, outbox: &Outbox) -> Vec<Answer> {
        let mut answers: Vec<Answer> = (0..outbox.len()).map(|i| admit(outbox, i).map(|()| String::new())).collect();
        let mut topics: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for i in (0..outbox.len()).filter(|i| answers[*i].is_ok()) {
            topics.entry(outbox.row(i).topic()).or_default().push(i);
        }
        // One write and one sync for all messages of a topic: that is what a batch is for.
        for (topic, indices) in topics {
            match self.append(topic, outbox, &indices) {
                Ok(ids) => indices.iter().zip(ids).for_each(|(i, id)| answers[*i] = Ok(id)),
                Err(error) => indices.iter().for_each(|i| answers[*i] = Err(error.clone())),
            }
        }
        answers
    }

    fn append(&self, topic: &str, outbox: &Outbox, indices: &[usize]) -> Result<Vec<String>, PublishError> {
        let file = TopicFile::new(&self.folder.path, topic).map_err(PublishError::Invalid)?;
        let (now, mut ids) = (self.clock.now(), Vec::new());
        let pack = |end: u64| {
            let mut rows = Vec::new();
            for message in indices.iter().map(|i| outbox.get(*i)) {
                let position = end + rows.len() as u64 + 1;
                // An id that is given stays: who reads a message twice can tell by it.
                let id = if message.id.is_empty() { format!("{topic}/{position}") } else { message.id.to_owned() };
                let timestamp = if message.timestamp == 0 { now } else { message.timestamp };
                row::append(&mut rows, &Message { id: &id, timestamp, ..message });
                ids.push(id);
            }
            rows
        };
        let known = self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied().unwrap_or_default();
        // A full disk may have room again: `Unavailable` is tried again, `Invalid` is not.
        let end = file.append(known, pack).map_err(|e| PublishError::Unavailable(told(&file.name(), &e).what))?;
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), end);
        Ok(ids)
    }
}

/// Refuses what this broker cannot do, by the error that says so: nothing is taken and then quietly done otherwise.
fn admit(outbox: &Outbox, index: usize) -> Result<(), PublishError> {
    let (row, delay) = (outbox.row(index), outbox.delay(index));
    if delay > 0 {
        return Err(PublishError::Unsupported("a spool cannot delay messages".into()));
    }
    if row.payload().is_none() {
        return Err(PublishError::Unsupported("a spool keeps no tombstones; an empty payload is one like any other".into()));
    }
    if row.size() > MAX_MESSAGE {
        return Err(PublishError::TooLarge(format!("message of {} bytes, a spool takes at most {MAX_MESSAGE}", row.size())));
    }
    Ok(())
}
