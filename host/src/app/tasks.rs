//! The tasks of a host, and what their ends mean.

use tokio::task::JoinSet;

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A host exists for it: without any of these it ends.
    Main,
    /// It serves the others and ends with them: what a job pulls from, gauges.
    Served,
}

/// A task that ended.
struct Ended {
    what: String,
    kind: Kind,
    result: Result<(), String>,
}

/// All tasks. One that fails is told and leaves the others alone.
#[derive(Default)]
pub(super) struct Tasks {
    tasks: JoinSet<Ended>,
    main: usize,
    failure: Option<String>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, what: impl Into<String>, kind: Kind, task: impl Future<Output = Result<(), String>> + Send + 'static) {
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

    /// What failed first, if anything did.
    pub(super) fn first_failure(self) -> Option<String> {
        self.failure
    }

    async fn one_ended(&mut self) {
        let failure = match self.tasks.join_next().await {
            None => return self.main = 0,
            Some(Ok(ended)) => {
                self.main -= usize::from(ended.kind == Kind::Main);
                ended.result.err().map(|failure| format!("{}: {failure}", ended.what))
            }
            // What it was is lost with it; nothing says that others of its kind still run.
            Some(Err(panic)) => {
                self.main = self.main.min(self.tasks.len());
                Some(format!("a task ended by a bug: {panic}"))
            }
        };
        if let Some(failure) = failure {
            tracing::error!("{failure}");
            self.failure.get_or_insert(failure);
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
        tasks.spawn("a", Kind::Main, async { Err("broken".to_owned()) });
        tasks.spawn("b", Kind::Main, async move { receiver.await.map_err(|e| e.to_string()) });
        tasks.spawn("c", Kind::Served, std::future::pending());
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), tasks.all_ended()).await;
        assert!(early.is_err(), "b still runs");
        sender.send(()).expect("b listens");
        tasks.all_ended().await;
        assert_eq!(tasks.first_failure().as_deref(), Some("a: broken"));
    }
}
