//! The task that hears the messages of one subscription and lets them wait. It is the only one that the client's own channels wait for, so
//! what is dropped is dropped where it is counted.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use futures::stream::{Map, ReadyChunks, SelectAll, select_all};
use futures::{FutureExt, StreamExt};
use longshore_core::Connection;
use tokio::sync::oneshot;

use crate::buffer::Buffer;
use crate::nats::link::Link;

/// A message, and the number of the filter that brought it.
pub(super) struct Heard {
    pub(super) filter: usize,
    pub(super) message: Message,
}

/// Messages that are let to wait in one go.
const STEP: usize = 256;

/// Gives each message the number of its filter.
type Number = Box<dyn FnMut(Message) -> Heard + Send>;
type Subscribers = ReadyChunks<SelectAll<Map<Subscriber, Number>>>;

/// How a lane says that it leaves.
pub(super) struct Leaving {
    buffer: Arc<Buffer<Heard>>,
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

/// What is heard, and where it waits.
pub(super) struct Listening {
    subscribers: Subscribers,
    buffer: Arc<Buffer<Heard>>,
    link: Arc<Link>,
    stop: oneshot::Receiver<oneshot::Sender<()>>,
}

/// Hears `subscribers`, one for each filter, in order.
pub(super) fn listening(subscribers: Vec<Subscriber>, buffer: Arc<Buffer<Heard>>, link: Arc<Link>) -> (Listening, Leaving) {
    let numbered = subscribers.into_iter().enumerate().map(|(filter, subscriber)| {
        let number: Number = Box::new(move |message| Heard { filter, message });
        subscriber.map(number)
    });
    let (asked, stop) = oneshot::channel();
    let listening = Listening { subscribers: select_all(numbered).ready_chunks(STEP), buffer: buffer.clone(), link, stop };
    (listening, Leaving { buffer, stop: asked })
}

impl Listening {
    /// Hears until the lane leaves, or until the client ends.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                heard = self.subscribers.next() => match heard {
                    Some(heard) => self.keep(heard),
                    None => return,
                },
                left = &mut self.stop => {
                    // A lane that was dropped says nothing: its subscribers are dropped with this task.
                    let Ok(gone) = left else { return };
                    self.unsubscribe().await;
                    let _ = gone.send(());
                    return;
                }
            }
        }
    }

    fn keep(&self, heard: Vec<Heard>) {
        self.buffer.put(heard.into_iter().map(|heard| (heard.message.length, heard)));
    }

    /// Tells the server, so that it gives the group's other members what comes next, and keeps what came before it knew.
    async fn unsubscribe(&mut self) {
        for subscriber in self.subscribers.get_mut().iter_mut() {
            let _ = subscriber.get_mut().unsubscribe().await;
        }
        let _ = self.link.ping().await;
        while let Some(Some(heard)) = self.subscribers.next().now_or_never() {
            self.keep(heard);
        }
    }
}

impl Leaving {
    /// Unsubscribes, confirmed by the server.
    pub(super) async fn leave(self) {
        let (gone, confirmed) = oneshot::channel();
        if self.stop.send(gone).is_ok() {
            let _ = confirmed.await;
        }
        self.buffer.tell_left();
    }
}
