//! Which retries wait when a lane begins, so that their keys are held: a look into the queues in which they wait. Messages that are looked at
//! are put back where they were, with the time that they have left.

use lapin::options::BasicGetOptions;
use longshore_core::{BrokerError, Waiting};

use super::envelope;
use super::link::Open;
use super::topics::waits;
use super::topology::{Queue, close, short};
use super::trouble;

/// Messages that are looked at in all; those beyond it hold no key until they come.
const MOST: usize = 10_000;

/// The retries that wait for `queue`, by position.
pub(super) async fn waiting(open: &Open, queue: &Queue) -> Result<Vec<Waiting>, BrokerError> {
    let mut found = Vec::new();
    for (name, messages) in waits(open, &queue.name, true).await?.into_iter().filter(|(_, messages)| *messages > 0) {
        let most = usize::try_from(messages).unwrap_or(MOST).min(MOST - found.len());
        read(open, &name, most, &mut found).await?;
    }
    found.sort_by_key(|waiting| waiting.position);
    Ok(found)
}

async fn read(open: &Open, name: &str, most: usize, found: &mut Vec<Waiting>) -> Result<(), BrokerError> {
    let channel = open.channel().await?;
    for _ in 0..most {
        let got = open.within(channel.basic_get(short(name)?, BasicGetOptions::default())).await;
        let Some(message) = got.map_err(|e| trouble::told(&format!("looking into queue {name:?}"), &e))? else { break };
        let received = envelope::unpack(&message.properties, "", false);
        if let Some(place) = received.place {
            found.push(Waiting { position: place.position, key: received.key.map(<[u8]>::to_vec) });
        }
    }
    close(open, channel).await;
    Ok(())
}
