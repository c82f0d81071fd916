//! Reads what comes out, by the adapter itself and past the host, and enters it into the accounts. Connects again whenever it must.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use longshore_core::{Batch, BrokerError, Fetch, Lane, Order, OwnKeys, Pattern, Roles, Room, Settled, Start, Subscribe};
use tokio::sync::oneshot;

use super::accounts::{Accounts, Id, Place};

const ROOM: Room = Room { messages: 500, bytes: 1 << 20 };
/// Before it connects again.
const REST: Duration = Duration::from_millis(100);

/// Reads a topic for ever.
pub(crate) async fn collect(roles: Roles, topic: String, place: Place, accounts: Arc<Mutex<Accounts>>, ready: oneshot::Sender<()>) {
    let mut ready = Some(ready);
    loop {
        // Whatever ends it, the server was disturbed: it begins again.
        drop(read(&roles, &topic, place, &accounts, &mut ready).await);
        tokio::time::sleep(REST).await;
    }
}

async fn read(
    roles: &Roles,
    topic: &str,
    place: Place,
    accounts: &Mutex<Accounts>,
    ready: &mut Option<oneshot::Sender<()>>,
) -> Result<(), BrokerError> {
    let subscribe = Subscribe {
        topics: vec![Pattern::new(topic).unwrap()],
        group: Some("collector".into()),
        start: Start::Earliest,
        order: Order::None,
        fetch: Fetch { max_messages: ROOM.messages, max_wait: Duration::from_millis(200) },
        max_in_flight: ROOM.messages,
        delays: Vec::new(),
        dedup: None,
        own: OwnKeys::default(),
    };
    let mut lanes = roles.consumer.as_ref().unwrap().subscribe(subscribe).await?;
    if let Some(ready) = ready.take() {
        ready.send(()).expect("the scenario waits for it");
    }
    let mut reading = FuturesUnordered::new();
    loop {
        tokio::select! {
            lane = lanes.next() => match lane {
                Some(lane) => reading.push(drain(lane?, place, accounts)),
                None => return Ok(()),
            },
            Some(ended) = reading.next() => return ended,
        }
    }
}

async fn drain(mut lane: Lane, place: Place, accounts: &Mutex<Accounts>) -> Result<(), BrokerError> {
    let mut up_to = None;
    loop {
        let mut batch = Batch::default();
        lane.source.fetch(ROOM, &mut batch).await?;
        let mut round = Settled::default();
        for i in 0..batch.len() {
            if let Some(id) = batch.get(i).payload.and_then(Id::of_payload) {
                accounts.lock().unwrap().see(place, id.number, batch.receipt(i).position, batch.facts(i).deliveries > 1);
            }
            up_to = up_to.max(Some(batch.receipt(i).position));
            round.finished.push(batch.receipt(i));
        }
        round.up_to = up_to;
        if !round.is_empty() {
            lane.acks.settle(&round).await.map_err(|e| BrokerError::retry(e.to_string()))?;
        }
    }
}
