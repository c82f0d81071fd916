//! A signal that something changed, to all who wait for that.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Wakes all who wait, in the order in which they began to: what a seed draws is replayed. (tokio's `watch` spreads who waits over several
/// lists, by numbers of its own.)
#[derive(Debug, Default)]
pub(crate) struct Signal {
    count: AtomicU64,
    waiting: Notify,
}

impl Signal {
    /// Something changed.
    pub(crate) fn send(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.waiting.notify_waiters();
    }

    /// What there is to see now, for [`changed`](Self::changed).
    pub(crate) fn seen(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until there is more to see than that, which is seen then. Cancel-safe.
    pub(crate) async fn changed(&self, seen: &mut u64) {
        loop {
            // What is sent from here on is not missed.
            let woken = self.waiting.notified();
            let now = self.seen();
            if std::mem::replace(seen, now) != now {
                return;
            }
            woken.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_change_is_seen_once_by_everybody_whenever_it_came() {
        let signal = Signal::default();
        let (mut one, mut other) = (signal.seen(), signal.seen());
        assert!(signal.changed(&mut one).now_or_never().is_none(), "nothing changed");
        let mut waits = Box::pin(signal.changed(&mut other));
        assert!(waits.as_mut().now_or_never().is_none());
        signal.send();
        waits.await;
        signal.changed(&mut one).await;
        assert!(signal.changed(&mut one).now_or_never().is_none(), "it is seen");
        assert!(signal.changed(&mut other).now_or_never().is_none(), "it is seen");
    }
}
