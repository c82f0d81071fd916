//! Who reads with which consumer now, over all hosts, and word that a stream was emptied. By core NATS: nothing of it outlives its lane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_nats::Subscriber;
use futures::StreamExt;
use longshore_core::{BoxFuture, BrokerError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::nats::link::Link;

/// Hosts answer here, for `<stream>.<consumer>`.
const ASK: &str = "longshore-members";
/// Word that the messages of `<stream>` are gone.
const PURGED: &str = "longshore-purged";
/// How long answers are waited for.
const GATHER: Duration = Duration::from_millis(60);

/// The lanes of this process, a task that tells of them, and those that clean up behind them.
pub(super) struct Members {
    link: Arc<Link>,
    lanes: Mutex<Lanes>,
    /// Grows when a lane ends.
    pub(super) ended: watch::Sender<u64>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Lanes {
    next: u64,
    open: HashMap<u64, Open>,
}

struct Open {
    stream: String,
    consumer: String,
    revoke: watch::Sender<bool>,
}

/// A lane that lives. Its group has a member for as long as this is not dropped.
pub(super) struct Alive {
    members: Arc<Members>,
    number: u64,
}

impl Members {
    /// Begins to answer.
    pub(super) async fn start(link: Arc<Link>) -> Result<Arc<Self>, BrokerError> {
        let subscribe = async |subject: String| {
            let trouble = |error| BrokerError::reconnect(format!("broker {:?}: {error}", link.name));
            link.client.subscribe(subject).await.map_err(trouble)
        };
        let (asked, purged) = (subscribe(format!("{ASK}.*.*")).await?, subscribe(format!("{PURGED}.*")).await?);
        let members = Arc::new(Members { link, lanes: Mutex::default(), ended: watch::Sender::new(0), tasks: Mutex::default() });
        members.finish(answer(Arc::downgrade(&members), asked, purged));
        Ok(members)
    }

    /// Does something that nobody waits for, such as leaving; it ends with the broker at the latest. Nothing where no runtime is left.
    pub(super) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(work, &runtime);
        }
    }

    /// Enters a lane. The future ends when it is to end.
    pub(super) fn enter(self: &Arc<Self>, stream: &str, consumer: &str) -> (Arc<Alive>, BoxFuture<'static, ()>) {
        let revoke = watch::Sender::new(false);
        let mut revoked = revoke.subscribe();
        let mut lanes = self.lanes();
        lanes.next += 1;
        let number = lanes.next;
        lanes.open.insert(number, Open { stream: stream.into(), consumer: consumer.into(), revoke });
        drop(lanes);
        // A lane that nobody revokes never ends by this, also when it leaves first.
        let ends = async move {
            if revoked.wait_for(|revoked| *revoked).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        (Arc::new(Alive { members: self.clone(), number }), Box::pin(ends))
    }

    /// How many lanes, over all hosts, each of these consumers has: stream and consumer.
    pub(super) async fn count(&self, consumers: &[(&str, &str)]) -> Result<Vec<u64>, BrokerError> {
        let trouble = |error: &dyn std::error::Error| BrokerError::retry(format!("broker {:?}: {error}", self.link.name));
        let mut counts = vec![0; consumers.len()];
        let inbox = self.link.client.new_inbox();
        let mut answers = self.link.client.subscribe(format!("{inbox}.*")).await.map_err(|e| trouble(&e))?;
        for (i, (stream, consumer)) in consumers.iter().enumerate() {
            let ask = self.link.client.publish_with_reply(format!("{ASK}.{stream}.{consumer}"), format!("{inbox}.{i}"), Vec::new().into());
            ask.await.map_err(|e| trouble(&e))?;
        }
        let gather = async {
            while let Some(answer) = answers.next().await {
                let number = |text: &str| text.parse::<u64>().ok();
                let which = answer.subject.rsplit('.').next().and_then(number).and_then(|i| counts.get_mut(usize::try_from(i).ok()?));
                if let (Some(count), Some(more)) = (which, std::str::from_utf8(&answer.payload).ok().and_then(number)) {
                    *count += more;
                }
            }
        };
        let _ = tokio::time::timeout(GATHER, gather).await;
        Ok(counts)
    }

    /// Tells all hosts that messages of a stream are gone.
    pub(super) async fn tell_purged(&self, stream: &str) -> Result<(), BrokerError> {
        let told = self.link.client.publish(format!("{PURGED}.{stream}"), Vec::new().into()).await;
        told.map_err(|error| BrokerError::retry(format!("broker {:?}: {error}", self.link.name)))
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_here(&self, stream: &str, consumer: &str) -> usize {
        self.lanes().open.values().filter(|lane| lane.stream == stream && lane.consumer == consumer).count()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.members.lanes().open.remove(&self.number);
        self.members.ended.send_modify(|ended| *ended += 1);
    }
}

/// Answers for as long as there is somebody to answer for.
async fn answer(members: Weak<Members>, mut asked: Subscriber, mut purged: Subscriber) {
    loop {
        tokio::select! {
            Some(question) = asked.next() => {
                let Some(members) = members.upgrade() else { return };
                let mut levels = question.subject.split('.').skip(1);
                let (Some(stream), Some(consumer), Some(reply)) = (levels.next(), levels.next(), question.reply.clone()) else { continue };
                let here = members.count_here(stream, consumer);
                if here > 0 {
                    // Whoever asked waits a moment only: an answer that cannot leave now is of no use later.
                    let _ = members.link.client.publish(reply, here.to_string().into()).await;
                }
            }
            Some(word) = purged.next() => {
                let Some(members) = members.upgrade() else { return };
                let stream = word.subject.rsplit('.').next().unwrap_or_default();
                members.lanes().open.values().filter(|lane| lane.stream == stream).for_each(|lane| { lane.revoke.send_replace(true); });
            }
            else => return,
        }
    }
}
