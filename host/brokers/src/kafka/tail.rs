//! What stands behind the last message of a partition and is none: markers of transactions, and what was aborted. A lane that has nothing left but
//! that passes it, so that nobody takes it for messages that wait.
//!
//! One look does not do: between the question how far the partition goes and the look at what is there another broker may come to lead it, which
//! has all messages and does not yet show those that the others confirmed last. So it takes two, between which the brokers have told one another.

use std::time::Duration;

use longshore_core::BrokerError;
use tokio::time::Instant;

use super::member::Membership;
use super::reading;

/// How long a lane has waited in vain that is looked at.
const REST: Duration = Duration::from_secs(1);
/// How long the member's thread may be away for it; other lanes have their turn the next time.
const AWAY: Duration = Duration::from_millis(200);

/// A look from the end of what came up to where the partition was said to go before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// What two looks that found nothing come to, the one before and this one: up to where there is nothing for certain; and what the next is to
/// be held against, where one more is needed. Who says now that the partition ends before where it went then does not show all yet.
pub(super) fn judge(before: Option<Look>, now: Look) -> (Option<i64>, Option<Look>) {
    let certain = before.filter(|before| before.from == now.from && before.to <= now.to).map(|before| before.to);
    let from = certain.unwrap_or(now.from);
    (certain, (from < now.to).then_some(Look { from, ..now }))
}

/// Passes what is behind the last messages of lanes that came to rest, with one look a round until that is certain. Blocks.
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
            if !is_message && cell.book().found_nothing(which, Look { from, to }) {
                cell.looks_again();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_two_looks_did_not_find_is_not_there() {
        let look = |from, to| Look { from, to };
        let check = |before, now, certain, next| assert_eq!(judge(before, now), (certain, next), "{before:?}, then {now:?}");
        check(None, look(5, 9), None, Some(look(5, 9)));
        check(Some(look(5, 9)), look(5, 9), Some(9), None);
        check(None, look(5, 5), None, None);
        // More came meanwhile, of which there was one look.
        check(Some(look(5, 9)), look(5, 12), Some(9), Some(look(9, 12)));
        // Another leads, which does not show yet what the one before did.
        check(Some(look(5, 9)), look(5, 7), None, Some(look(5, 7)));
        check(Some(look(5, 9)), look(5, 5), None, None);
        // Messages came between the two.
        check(Some(look(5, 9)), look(8, 9), None, Some(look(8, 9)));
    }
}
