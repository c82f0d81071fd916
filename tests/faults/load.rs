//! The producer: messages with running numbers, at a steady rate, as fast as the broker confirms them at most.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_core::{Message, Outbox, Roles};

use super::accounts::{Accounts, Id};

/// Messages of one publish.
pub(crate) const BATCH: u64 = 20;
/// Between two publishes.
const PACE: Duration = Duration::from_millis(20);
/// After a publish that failed.
const REST: Duration = Duration::from_millis(200);

/// Publishes until it is told to stop. A message without confirm is not sent again: it counts as unsure, and numbers go on.
pub(crate) async fn publish(roles: Roles, topic: String, accounts: Arc<Mutex<Accounts>>, stop: Arc<AtomicBool>) {
    let publisher = roles.publisher.unwrap();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let ids: Vec<Id> = (next..next + BATCH).map(Id::new).collect();
        next += BATCH;
        let answers = publisher.publish(&outbox(&topic, &ids)).await;
        let all_good = answers.as_ref().is_ok_and(|answers| answers.iter().all(Result::is_ok));
        let mut answers = answers.unwrap_or_default().into_iter();
        {
            let mut accounts = accounts.lock().unwrap();
            for id in &ids {
                match answers.next() {
                    Some(Ok(_)) => accounts.confirm(id.number),
                    _ => accounts.doubt(id.number),
                }
            }
        }
        tokio::time::sleep(if all_good { PACE } else { REST }).await;
    }
}

fn outbox(topic: &str, ids: &[Id]) -> Outbox {
    let mut outbox = Outbox::default();
    for id in ids {
        let (key, payload) = (id.key(), id.payload());
        let message = Message {
            id: "",
            topic,
            key: Some(key.as_bytes()),
            payload: Some(payload.as_bytes()),
            headers: std::iter::empty(),
            timestamp: 0,
            attempt: 1,
        };
        outbox.push(&message, 0, 0);
    }
    outbox
}
