//! The tasks of a host, and what their ends mean.

use std::fmt;

use tokio::task::JoinSet;

use super::RunError;
use crate::config::Mistakes;

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A host exists for it: without any of these it ends.
    Main,
    /// It serves the others and ends with them: what a job pulls from, gauges.
    Served,
}

/// Why a task ended otherwise than by being told to.
#[derive(Debug)]
pub(super) enum Failure {
    /// A broker refuses what is configured.
    Refused(Mistakes),
    /// It has been tried often enough whether something can be reached, in words.
    Unreachable(String),
    /// Anything else, in words.
    Failed(String),
}

/// A task that ended.
struct Ended {
    what: String,
    kind: Kind,
    result: Result<(), Failure>,
}

/// All tasks. One that fails is told and leaves the others alone.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: JoinSet<Ended>,
    main: usize,
    failure: Option<Failure>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, what: impl Into<String>, kind: Kind, task: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        let what = what.into();
        self.main += usize::from(kind == Kind::Main);
        self.tasks.spawn(async move { Ended { what, kind, result: task.await } });
    }

    /// Ends once nothing runs any more that a host exists for. Cancel-safe.
    pub(super) async fn all_ended(&mut self) {
        while self.main > 0 {
            self.one_ended().await;
        }
    }

    /// Ends once no task runs any more. Cancel-safe.
    pub(super) async fn drained(&mut self) {
        while !self.tasks.is_empty() {
            self.one_ended().await;
        }
    }

    /// What failed first, if anything did: all that was refused, where that was the first.
    pub(super) fn first_failure(self) -> Option<Failure> {
        self.failure
    }

    async fn one_ended(&mut self) {
        let failure = match self.tasks.join_next().await {
            None => return self.main = 0,
            Some(Ok(ended)) => {
                self.main -= usize::from(ended.kind == Kind::Main);
                ended.result.err().map(|failure| failure.of(&ended.what))
            }
            // What it was is lost with it; nothing says that others of its kind still run.
            Some(Err(panic)) => {
                self.main = self.main.min(self.tasks.len());
                Some(Failure::Failed(format!("a task ended by a bug: {panic}")))
            }
        };
        if let Some(failure) = failure {
            let is_kept = matches!((&self.failure, &failure), (None, _) | (Some(Failure::Refused(_)), Failure::Refused(_)));
            // What ends the host is told by whoever it is handed to.
            if self.main > 0 || !is_kept {
                tracing::error!("{failure}");
            }
            match (&mut self.failure, failure) {
                (Some(Failure::Refused(first)), Failure::Refused(more)) => first.extend(more),
                (Some(_), _) => {}
                (none, failure) => *none = Some(failure),
            }
        }
    }
}

impl Failure {
    /// The same as that of a task of that name. A mistake says by itself what it is about.
    fn of(self, task: &str) -> Self {
        match self {
            Failure::Refused(mistakes) => Failure::Refused(mistakes),
            Failure::Unreachable(what) => Failure::Unreachable(format!("{task}: {what}")),
            Failure::Failed(what) => Failure::Failed(format!("{task}: {what}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Refused(mistakes) => mistakes.fmt(f),
            Failure::Unreachable(what) | Failure::Failed(what) => f.write_str(what),
        }
    }
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(mistakes) => RunError::Refused(mistakes),
            Failure::Unreachable(what) => RunError::Unreachable(what),
            Failure::Failed(what) => RunError::Failed(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_fails_leaves_the_others_alone_and_the_host_ends_with_the_last() {
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut tasks = Tasks::default();
        tasks.spawn("a", Kind::Main, async { Err(Failure::Failed("broken".into())) });
        tasks.spawn("b", Kind::Main, async move { receiver.await.map_err(|e| Failure::Failed(e.to_string())) });
        tasks.spawn("c", Kind::Served, std::future::pending());
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), tasks.all_ended()).await;
        assert!(early.is_err(), "b still runs");
        sender.send(()).expect("b listens");
        tasks.all_ended().await;
        assert_eq!(tasks.first_failure().map(|failure| failure.to_string()).as_deref(), Some("a: broken"));
    }
}
