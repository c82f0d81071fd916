//! What a client hears of its connection besides messages: that it was lost, and what the server refuses, which it says in passing and not as
//! an answer to whoever asked.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Event, ServerError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::names::is_inbox;

/// How long what the server refused to take is not offered again.
const REFUSED: Duration = Duration::from_secs(10);
/// How much later than its next answer a refusal can be heard: another task hears it.
const LATE: Duration = Duration::from_millis(5);
/// Topics that are remembered as such that may be published to.
const KNOWN: usize = 10_000;

/// What a user may have no right to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    Publishing,
    Subscribing,
}

/// What is known of our rights.
#[derive(Default)]
struct Rights {
    refused: HashMap<(Doing, String), Instant>,
    /// Topics that were published to and not refused.
    open: HashSet<String>,
}

/// What was heard since the connection was made.
#[derive(Default)]
pub(super) struct Heard {
    losses: AtomicU64,
    rights: Mutex<Rights>,
    changed: watch::Sender<()>,
}

impl Heard {
    /// Hears an event.
    pub(super) fn hear(&self, event: &Event) {
        match event {
            Event::Disconnected => {
                self.losses.fetch_add(1, Ordering::Relaxed);
                // Rights may be others on the next connection.
                *self.rights() = Rights::default();
            }
            Event::ServerError(ServerError::Other(words)) => {
                if let Some((doing, subject)) = violation(words) {
                    let mut rights = self.rights();
                    rights.open.remove(&subject);
                    if rights.refused.len() >= KNOWN {
                        rights.refused.retain(|(doing, _), at| *doing == Doing::Subscribing || at.elapsed() <= REFUSED);
                    }
                    rights.refused.insert((doing, subject), Instant::now());
                }
            }
            _ => {}
        }
        self.changed.send_replace(());
    }

    /// How often the connection was lost: what came with the same number came over the same one.
    pub(super) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }

    /// Waits until the connection is lost on which losses were `losses`.
    #[cfg(feature = "nats-jetstream")]
    pub(super) async fn until_lost(&self, losses: u64) {
        let mut changed = self.listen();
        while self.losses() == losses {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Tells of everything that is heard from now on.
    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether the server has refused that: publishing, a short while ago.
    pub(super) fn has_refused(&self, doing: Doing, subject: &str) -> bool {
        let mut rights = self.rights();
        // Most users may do everything.
        if rights.refused.is_empty() {
            return false;
        }
        let asked = (doing, subject.to_owned());
        let since = rights.refused.get(&asked).map(Instant::elapsed);
        let over = doing == Doing::Publishing && since.is_some_and(|since| since > REFUSED);
        if over {
            rights.refused.remove(&asked);
        }
        since.is_some() && !over
    }

    /// Waits until the server refuses that.
    pub(super) async fn until_refused(&self, doing: Doing, subject: &str) {
        let mut changed = self.listen();
        while !self.has_refused(doing, subject) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until it is known why what was published to a subject gets no answer, which is then never.
    pub(super) async fn until_silent(&self, subject: &str) -> String {
        let mut changed = self.listen();
        loop {
            if self.is_deaf() {
                return "the user has no right to subscribe to \"_INBOX.>\", where answers come".into();
            }
            if self.has_refused(Doing::Publishing, subject) {
                return format!("the user has no right to publish to {subject:?}");
            }
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether answers cannot be heard: the client listens for all of them at one place.
    fn is_deaf(&self) -> bool {
        let of_answers = |(doing, subject): &(Doing, String)| *doing == Doing::Subscribing && is_inbox(subject) && subject.ends_with(".*");
        self.rights().refused.keys().any(of_answers)
    }

    /// Forgets that a subscription was refused, before it is asked for once more.
    #[cfg(feature = "nats")]
    pub(super) fn forget_subscribing(&self, subject: &str) {
        self.rights().refused.remove(&(Doing::Subscribing, subject.to_owned()));
    }

    /// Waits for a refusal that may come behind the server's answer, where one of the topics was never published to before.
    pub(super) async fn await_refusals(&self, topics: &[&str]) {
        if topics.iter().all(|topic| self.rights().open.contains(*topic)) {
            return;
        }
        sleep(LATE).await;
        let mut rights = self.rights();
        if rights.open.len() > KNOWN {
            rights.open.clear();
        }
        for topic in topics {
            if !rights.refused.contains_key(&(Doing::Publishing, (*topic).to_owned())) {
                rights.open.insert((*topic).to_owned());
            }
        }
    }

    fn rights(&self) -> MutexGuard<'_, Rights> {
        self.rights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the server's words refuse: `Permissions Violation for Publish to "orders"`, of which it changes the letters' case at times.
fn violation(words: &str) -> Option<(Doing, String)> {
    let rest = words.get(.."permissions violation for ".len()).filter(|start| start.eq_ignore_ascii_case("permissions violation for "));
    let what = &words[rest?.len()..];
    let doing = match what.split(' ').next()? {
        word if word.eq_ignore_ascii_case("publish") => Doing::Publishing,
        word if word.eq_ignore_ascii_case("subscription") => Doing::Subscribing,
        _ => return None,
    };
    Some((doing, what.split('"').nth(1)?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_server_refuses_is_remembered_for_a_while_or_until_the_connection_is_lost() {
        let heard = Heard::default();
        let say = |words: &str| heard.hear(&Event::ServerError(ServerError::Other(words.into())));
        say("Permissions Violation for Publish to \"secret.x\"");
        say("Permissions Violation for Subscription to \"a.>\" using queue \"g\"");
        say("maximum connections exceeded");
        assert!(heard.has_refused(Doing::Publishing, "secret.x") && heard.has_refused(Doing::Subscribing, "a.>"));
        assert!(!heard.has_refused(Doing::Subscribing, "secret.x") && !heard.has_refused(Doing::Publishing, "other"));
        tokio::time::advance(REFUSED * 2).await;
        assert!(!heard.has_refused(Doing::Publishing, "secret.x"), "it may have been given");
        assert!(heard.has_refused(Doing::Subscribing, "a.>"), "nothing is asked for again by itself");
        heard.forget_subscribing("a.>");
        assert!(!heard.has_refused(Doing::Subscribing, "a.>"));
        say("Permissions Violation for Publish to \"secret.x\"");
        heard.hear(&Event::Disconnected);
        assert!(heard.losses() == 1 && !heard.has_refused(Doing::Publishing, "secret.x"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_will_never_be_answered_is_told() {
        let heard = Heard::default();
        let say = |words: &str| heard.hear(&Event::ServerError(ServerError::Other(words.into())));
        say("Permissions Violation for Publish to \"orders\"");
        assert!(heard.until_silent("orders").await.contains("publish to \"orders\""));
        say("Permissions Violation for Subscription to \"_INBOX.abc\"");
        assert!(!heard.is_deaf(), "that is one answer alone");
        say("Permissions Violation for Subscription to \"_INBOX.abc.*\"");
        assert!(heard.until_silent("payments").await.contains("_INBOX"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_is_waited_for_once_unless_it_was_refused() {
        let heard = Heard::default();
        let waited = async |topic: &str| {
            let began = Instant::now();
            heard.await_refusals(&[topic]).await;
            began.elapsed() >= LATE
        };
        assert!(waited("a").await && !waited("a").await && waited("b").await);
        heard.hear(&Event::ServerError(ServerError::Other("Permissions Violation for Publish to \"a\"".into())));
        assert!(waited("a").await && waited("a").await && !waited("b").await);
    }
}
