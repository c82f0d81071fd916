//! A publisher with `publish-timeout` and `publish-retry` around it.
//!
//! The engine's lanes try again by themselves and use no attempt for it: they get the timeout alone. A guest's `send`, a command and HTTP
//! have nobody else who would try again: they get both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use longshore_core::{Batch, BoxFuture, BrokerError, Outbox, PublishError, Publisher, RetryPolicy};
use longshore_engine::retry_delay;
use tokio::time::{sleep, timeout};

/// What publishing answers: the broker's trouble, or one answer a message.
type Answers = Result<Vec<Result<String, PublishError>>, BrokerError>;

/// A broker's publishing side, bounded and tried again.
pub(crate) struct Patient {
    inner: Arc<dyn Publisher>,
    timeout: Duration,
    retry: Option<RetryPolicy>,
    /// Counts what left, where nobody else does.
    published: Option<Arc<AtomicU64>>,
}

impl Patient {
    /// With the timeout alone, for a lane, which counts what left.
    pub(crate) fn bounded(inner: Arc<dyn Publisher>, timeout: Duration) -> Self {
        Patient { inner, timeout, retry: None, published: None }
    }

    /// With both.
    pub(crate) fn new(inner: Arc<dyn Publisher>, timeout: Duration, retry: RetryPolicy, published: Arc<AtomicU64>) -> Self {
        Patient { inner, timeout, retry: Some(retry), published: Some(published) }
    }

    fn count(&self, messages: usize) {
        if let Some(published) = &self.published {
            published.fetch_add(messages as u64, Ordering::Relaxed);
        }
    }

    fn attempts(&self) -> u32 {
        self.retry.as_ref().map_or(1, |retry| retry.max_attempts)
    }

    async fn try_once(&self, outbox: &Outbox) -> Answers {
        self.inner.prepare(outbox).await;
        match timeout(self.timeout, self.inner.publish(outbox)).await {
            Ok(answer) => answer,
            Err(_) => Ok(vec![Err(PublishError::Timeout); outbox.len()]),
        }
    }
}

impl Publisher for Patient {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Answers> {
        Box::pin(async move {
            let mut answer = self.try_once(outbox).await;
            for failures in 1..self.attempts() {
                let open = open(&answer, outbox.len());
                let Some(retry) = self.retry.as_ref().filter(|_| !open.is_empty()) else { break };
                // No jitter: nobody else waits in step with one caller.
                sleep(retry_delay(retry, failures, 0.0)).await;
                let mut rest = Outbox::default();
                open.iter().for_each(|i| rest.push(&outbox.get(*i), outbox.delay(*i), outbox.origin(*i)));
                merge(&mut answer, &open, self.try_once(&rest).await, outbox.len());
            }
            self.count(answer.iter().flatten().filter(|one| one.is_ok()).count());
            answer
        })
    }

    /// Not tried again: a request that was answered too late may have been carried out.
    fn request<'a>(&'a self, outbox: &'a Outbox, timeout: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(async move {
            let answer = self.inner.request(outbox, timeout).await;
            // What nobody answered in time has been published all the same.
            self.count(usize::from(matches!(answer, Ok(_) | Err(PublishError::Timeout))));
            answer
        })
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        self.inner.is_reply_address(topic)
    }
}

/// The messages for which another try may help, and cannot double them: nobody knows what became of one that was not confirmed in time.
fn open(answer: &Answers, len: usize) -> Vec<usize> {
    match answer {
        Ok(answers) => {
            let passing = |a: &Result<String, PublishError>| matches!(a, Err(PublishError::Unavailable(_)));
            answers.iter().enumerate().filter(|(_, a)| passing(a)).map(|(i, _)| i).collect()
        }
        Err(error) if error.fix.is_human() => Vec::new(),
        Err(_) => (0..len).collect(),
    }
}

/// Puts what a later try answered in place of what an earlier one did.
fn merge(answer: &mut Answers, open: &[usize], later: Answers, len: usize) {
    match (answer.as_mut(), later) {
        (Ok(answers), Ok(later)) => open.iter().zip(later).for_each(|(i, a)| answers[*i] = a),
        (Ok(answers), Err(error)) => open.iter().for_each(|i| answers[*i] = Err(PublishError::Unavailable(error.what.clone()))),
        (Err(_), later) => {
            debug_assert_eq!(open.len(), len, "a broker's error is about all messages");
            *answer = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use longshore_core::{Backoff, Message};
    use tokio::time::Instant;

    use super::*;

    /// Longer than the timeout.
    const PREPARATION: Duration = Duration::from_secs(11);

    /// Answers from a list, and counts what it was asked.
    struct Scripted(Mutex<Vec<Answers>>, Mutex<Vec<usize>>);

    impl Publisher for Scripted {
        fn prepare<'a>(&'a self, _: &'a Outbox) -> BoxFuture<'a, ()> {
            Box::pin(sleep(PREPARATION))
        }

        fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Answers> {
            self.1.lock().unwrap().push(outbox.len());
            Box::pin(std::future::ready(self.0.lock().unwrap().remove(0)))
        }
    }

    fn outbox(messages: usize) -> Outbox {
        let mut outbox = Outbox::default();
        for _ in 0..messages {
            let headers: [(&str, &[u8]); 0] = [];
            outbox.push(&Message { id: "", topic: "t", key: None, payload: None, headers, timestamp: 0, attempt: 1 }, 0, 0);
        }
        outbox
    }

    fn patient(answers: Vec<Answers>) -> (Arc<Scripted>, Patient) {
        let published = Arc::default();
        let inner = Arc::new(Scripted(Mutex::new(answers), Mutex::default()));
        let retry = RetryPolicy {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            initial_delay: Duration::from_secs(1),
            multiplier: 2.0,
            jitter: 0.0,
            ..RetryPolicy::default()
        };
        (inner.clone(), Patient::new(inner, Duration::from_secs(10), retry, published))
    }

    fn busy() -> Result<String, PublishError> {
        Err(PublishError::Unavailable("busy".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_succeed_and_cannot_double_is_tried_again_after_one_and_two_seconds() {
        let refused = || Err(PublishError::Timeout);
        let first = Ok(vec![Ok("1".to_owned()), busy(), refused()]);
        let (inner, patient) = patient(vec![first, Ok(vec![busy()]), Ok(vec![Ok("2".to_owned())])]);
        let began = Instant::now();
        let answers = patient.publish(&outbox(3)).await.unwrap();
        assert_eq!(answers, [Ok("1".to_owned()), Ok("2".to_owned()), refused()]);
        let waited = began.elapsed() - 3 * PREPARATION;
        assert_eq!((waited.as_secs(), inner.1.lock().unwrap().clone()), (3, vec![3, 1, 1]));
        assert_eq!(patient.published.map(|n| n.load(Ordering::Relaxed)), Some(2), "those that were confirmed count, once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_broker_has_to_make_first_does_not_count_against_the_timeout() {
        let (inner, _) = patient(vec![Ok(vec![Ok("1".to_owned())])]);
        let lane = Patient::bounded(inner, Duration::from_secs(1));
        assert_eq!(lane.publish(&outbox(1)).await, Ok(vec![Ok("1".to_owned())]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_error_comes_back_when_the_tries_are_used_up() {
        let down = || Err(BrokerError::reconnect("down"));
        let (inner, patient) = patient(vec![down(), down(), down()]);
        assert_eq!(patient.publish(&outbox(1)).await, down());
        assert_eq!(inner.1.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_a_human_mends_is_not_tried_again() {
        let (inner, patient) = patient(vec![Err(BrokerError::give_up("password"))]);
        assert!(patient.publish(&outbox(1)).await.is_err());
        assert_eq!(inner.1.lock().unwrap().len(), 1);
    }
}
