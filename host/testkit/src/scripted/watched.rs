//! A handler that writes into the history what it was called with and what it answered.

use longshore_core::{Call, Crash, Done, Handler};

use super::event::{Answer, Event};
use super::history::History;

/// Any handler, watched.
pub struct Watched<H> {
    /// The host's number.
    pub host: u32,
    /// Where it writes.
    pub history: History,
    /// Who handles.
    pub handler: H,
}

/// A closure as a handler.
pub struct Closure<F>(F);

/// Makes a handler of a closure.
pub fn closure<F, A>(handle: F) -> Closure<F>
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Done, Crash>> + Send,
{
    Closure(handle)
}

impl<F, A> Handler for Closure<F>
where
    F: Fn(Call) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Done, Crash>> + Send,
{
    fn handle(&self, call: Call) -> impl Future<Output = Result<Done, Crash>> + Send {
        (self.0)(call)
    }
}

/// Says that a call was let go, unless it was answered.
struct Open<'a> {
    history: &'a History,
    host: u32,
    call: u32,
    answered: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.history.record(Event::Abandoned { host: self.host, call: self.call });
        }
    }
}

impl<H: Handler> Handler for Watched<H> {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let number = self.history.next_call();
        let messages = (call.from..call.to).map(|i| (super::log::number_of(call.batch.row(i).id()), call.batch.row(i).attempt())).collect();
        self.history.record(Event::Called { host: self.host, call: number, messages });
        let mut open = Open { history: &self.history, host: self.host, call: number, answered: false };
        let result = self.handler.handle(call).await;
        open.answered = true;
        let answer = match &result {
            Ok(done) => Ok(Answer {
                handled: done.handled,
                failures: done.failures.clone(),
                outputs: done.outputs.iter().map(|o| (o.origin(), o.payload().unwrap_or_default().to_vec())).collect(),
            }),
            Err(crash) => Err(crash.clone()),
        };
        self.history.record(Event::Answered { host: self.host, call: number, answer });
        result
    }
}
