//! What one fetch takes: message after message, as far as there is room, and no further than to the first trouble. Pure.

use longshore_core::{Batch, BrokerError, Room};

use super::book::Which;

/// A message that was taken from its queue.
pub(super) struct Head {
    pub(super) row: Batch,
    pub(super) offset: i64,
    /// Whether it held the lane.
    pub(super) blocked: bool,
    /// Milliseconds since the Unix epoch.
    pub(super) due: u64,
}

/// Where they come from.
pub(super) trait Heads {
    /// The next one, if one is there.
    fn next(&mut self) -> Result<Option<(Which, Head)>, BrokerError>;
    /// It found no room.
    fn put_back(&mut self, which: Which, head: Head);
    /// It was taken, and its buffer can be used again.
    fn recycle(&mut self, which: Which, head: Head);
}

/// What was taken.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) batch: Batch,
    /// Where each of its messages came from.
    pub(super) places: Vec<(Which, i64)>,
    /// What was in the way of more. It is no reason to lose what came before it.
    pub(super) failed: Option<BrokerError>,
}

/// Takes what is there. Waits for nothing.
pub(super) fn gather(room: Room, from: &mut impl Heads) -> Gathered {
    let mut gathered = Gathered::default();
    while gathered.batch.len() < room.messages {
        let (which, head) = match from.next() {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(error) => {
                gathered.failed = Some(error);
                break;
            }
        };
        if !gathered.batch.is_empty() && gathered.batch.bytes() + head.row.bytes() > room.bytes {
            from.put_back(which, head);
            break;
        }
        gathered.batch.push_from(&head.row, 0);
        gathered.places.push((which, head.offset));
        from.recycle(which, head);
    }
    gathered
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use longshore_core::{Facts, Message, Receipt};

    use super::*;

    /// Payloads, and errors between them.
    #[derive(Default)]
    struct Queue(VecDeque<Result<&'static str, BrokerError>>, Vec<String>);

    impl Heads for Queue {
        fn next(&mut self) -> Result<Option<(Which, Head)>, BrokerError> {
            let Some(payload) = self.0.pop_front().transpose()? else { return Ok(None) };
            let (headers, payload) = (std::iter::empty(), Some(payload.as_bytes()));
            let message = Message { id: "", topic: "t", key: None, payload, headers, timestamp: 0, attempt: 1 };
            let mut row = Batch::default();
            row.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
            Ok(Some((None, Head { row, offset: 7, blocked: false, due: 0 })))
        }

        fn put_back(&mut self, _: Which, head: Head) {
            self.1.push(String::from_utf8_lossy(head.row.get(0).payload.unwrap_or_default()).into());
        }

        fn recycle(&mut self, _: Which, _: Head) {}
    }

    fn payloads(gathered: &Gathered) -> Vec<String> {
        let text = |i| String::from_utf8_lossy(gathered.batch.get(i).payload.unwrap_or_default()).into_owned();
        (0..gathered.batch.len()).map(text).collect()
    }

    #[test]
    fn what_came_before_an_error_is_not_lost_with_it() {
        let mut queue = Queue(VecDeque::from([Ok("a"), Ok("b"), Err(BrokerError::retry("trouble")), Ok("c")]), Vec::new());
        let much = Room { messages: 9, bytes: 9_000 };
        let first = gather(much, &mut queue);
        assert_eq!((payloads(&first), first.places.len()), (vec!["a".into(), "b".into()], 2));
        assert_eq!(first.failed, Some(BrokerError::retry("trouble")));
        let second = gather(much, &mut queue);
        assert_eq!((payloads(&second), second.failed), (vec!["c".into()], None));
    }

    #[test]
    fn no_more_is_taken_than_there_is_room_for() {
        let queue = || Queue(VecDeque::from([Ok("a"), Ok("b"), Ok("c")]), Vec::new());
        let (mut few, mut small) = (queue(), queue());
        assert_eq!((payloads(&gather(Room { messages: 2, bytes: 9_000 }, &mut few)), few.1.len()), (vec!["a".into(), "b".into()], 0));
        let taken = gather(Room { messages: 9, bytes: 1 }, &mut small);
        assert_eq!((payloads(&taken), small.1), (vec!["a".into()], vec!["b".to_owned()]), "one comes whatever its size");
    }
}
