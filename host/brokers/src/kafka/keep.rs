//! Keeping what was committed. Brokers forget the offsets of topics that no member of a group subscribes to, a time after they were committed
//! (`offsets.retention.minutes`, seven days): those of retries, which no group divides, and those that say which dead letters are gone. So while
//! a host lives they are committed again now and then, changed or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::broker::Broker;
use super::dead;

/// Where the brokers do not say how long they keep offsets: seven days.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// So often within that time.
const TIMES: u32 = 4;
/// Longest time between.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Before which dead letters are left alone by a host that has just begun.
const SETTLING_IN: Duration = Duration::from_secs(600);

/// Between two times, given what a broker says of itself.
pub(super) fn interval(settings: &BTreeMap<String, String>) -> Duration {
    let minutes = settings.get("offsets.retention.minutes").and_then(|text| text.parse::<u64>().ok());
    (minutes.map_or(KEPT, |minutes| Duration::from_secs(minutes * 60)) / TIMES).clamp(Duration::from_secs(1), LONGEST)
}

/// When it is time again for the offsets of a member's lanes.
#[derive(Debug)]
pub(super) struct Keeping {
    interval: Duration,
    offsets: Instant,
}

/// The same for dead letters, which are of no group: one for a cluster, which all members look at.
#[derive(Debug, Default)]
pub(super) struct Letters(Mutex<Option<Instant>>);

impl Keeping {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Keeping { interval, offsets: now + interval }
    }

    /// Whether the offsets of lanes are to be committed again.
    pub(super) fn is_time(&mut self, now: Instant) -> bool {
        let is_time = now >= self.offsets;
        if is_time {
            self.offsets = now + self.interval;
        }
        is_time
    }

    /// Commits again which dead letters are gone, if it is time, on a thread of its own: it takes a transaction for each topic of them.
    pub(super) fn letters(&self, broker: &Arc<Broker>, now: Instant) {
        if !broker.letters.is_time(self.interval, now) {
            return;
        }
        let broker = Arc::clone(broker);
        std::thread::spawn(move || {
            if let Err(error) = dead::commit_again(&broker) {
                tracing::debug!("{error}: whether dead letters are gone is committed again later");
            }
        });
    }
}

impl Letters {
    /// Whether they are to be committed again, by whoever asks. Not by a host that has just begun.
    fn is_time(&self, interval: Duration, now: Instant) -> bool {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = now >= *next.get_or_insert(now + interval.min(SETTLING_IN));
        if is_time {
            *next = Some(now + interval);
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_committed_again_long_before_they_are_forgotten() {
        let check = |minutes: Option<&str>, seconds: u64| {
            let settings = minutes.map(|minutes| ("offsets.retention.minutes".to_owned(), minutes.to_owned())).into_iter().collect();
            assert_eq!(interval(&settings), Duration::from_secs(seconds), "{minutes:?}");
        };
        check(None, 6 * 3600);
        check(Some("10080"), 6 * 3600);
        check(Some("60"), 900);
        check(Some("1"), 15);
        check(Some("0"), 1);
    }

    #[test]
    fn it_is_time_once_each_time() {
        let (mut now, span) = (Instant::now(), Duration::from_secs(60));
        let mut keeping = Keeping::new(span, now);
        assert!(!keeping.is_time(now));
        now += span;
        assert_eq!((keeping.is_time(now), keeping.is_time(now)), (true, false));
    }

    #[test]
    fn letters_are_committed_again_by_one_of_all_members() {
        let (letters, span, mut now) = (Letters::default(), Duration::from_secs(60), Instant::now());
        assert!(!letters.is_time(span, now), "it has just begun");
        for _ in 0..2 {
            now += span;
            assert_eq!([letters.is_time(span, now), letters.is_time(span, now)], [true, false]);
        }
    }
}
