//! What stands behind the last message of a partition and is none: markers of transactions, and what was aborted. A lane that has nothing left but
//! that passes it, so that nobody takes it for messages that wait.

use std::time::Duration;

use longshore_core::BrokerError;
use tokio::time::Instant;

use super::member::Membership;
use super::reading;

/// How long a lane has waited in vain that is looked at.
const REST: Duration = Duration::from_secs(1);
/// How long the member's thread may be away for it; other lanes have their turn the next time.
const AWAY: Duration = Duration::from_millis(200);

/// Passes what is behind the last messages of lanes that came to rest, once each. Blocks.
pub(super) fn skip(member: &Membership) -> Result<(), BrokerError> {
    let began = Instant::now();
    for cell in member.cells() {
        if began.elapsed() >= AWAY {
            break;
        }
        if !cell.came_to_rest(began, REST) {
            continue;
        }
        let (partition, ends) = {
            let book = cell.book();
            (book.partition, book.ends())
        };
        for (which, topic, from) in ends {
            let (_, to) = member.broker.watermarks(&topic, partition)?;
            let mut is_message = false;
            reading::each(&member.broker, &topic, partition, from, to, |_| {
                is_message = true;
                false
            })?;
            if !is_message {
                cell.book().skip(which, from, to);
            }
        }
    }
    Ok(())
}
