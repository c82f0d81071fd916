//! One direction of a connection: bytes are read, wait until they are due, and are written.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::End;
use super::{Direction, Traffic};

/// Bytes that one read may take.
const CHUNK: usize = 16 << 10;
/// Bytes that may wait to be late.
const WAITING: usize = 4 << 20;
/// Pieces that a slow second is made of.
const PIECES: usize = 20;

/// What one side says on its way to the other.
pub(super) struct Pipe<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    direction: Direction,
    traffic: watch::Receiver<Traffic>,
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// Bytes that were written since the traffic changed.
    passed: usize,
    /// When the last of the queue is due.
    last: Instant,
    /// The sender has nothing more to say.
    said: bool,
}

impl<'a> Pipe<'a> {
    pub(super) fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, direction: Direction, traffic: watch::Receiver<Traffic>) -> Pipe<'a> {
        Pipe { from, to, direction, traffic, queue: VecDeque::new(), queued: 0, passed: 0, last: Instant::now(), said: false }
    }

    /// Until the sender has said everything and it has arrived, which the receiver is told.
    ///
    /// # Errors
    /// How both directions are to end.
    pub(super) async fn run(mut self) -> Result<(), End> {
        let mut buffer = vec![0; CHUNK];
        let mut traffic = *self.traffic.borrow_and_update();
        while !(self.said && self.queue.is_empty()) {
            if self.room(traffic) == Some(0) {
                return Err(End::Clean);
            }
            let (hangs, due) = (traffic == Traffic::Hang, self.queue.front().map(|(due, _)| *due));
            let chunk = piece(traffic).min(CHUNK);
            tokio::select! {
                biased;
                Ok(()) = self.traffic.changed() => {
                    traffic = *self.traffic.borrow_and_update();
                    self.begin_anew();
                }
                () = until(due), if !hangs => self.write(traffic).await?,
                read = self.from.read(&mut buffer[..chunk]), if !hangs && !self.said && self.queued < waiting(traffic) => match read? {
                    0 => self.said = true,
                    length => self.enqueue(&buffer[..length], traffic),
                },
                else => std::future::pending().await,
            }
        }
        self.to.shutdown().await.map_err(End::from)
    }

    /// What was held back under the traffic before is due.
    fn begin_anew(&mut self) {
        self.passed = 0;
        self.last = Instant::now();
        self.queue.iter_mut().for_each(|(due, _)| *due = self.last);
    }

    fn enqueue(&mut self, bytes: &[u8], traffic: Traffic) {
        let now = Instant::now();
        let due = match traffic {
            Traffic::Delay(delay) => now + delay,
            Traffic::Slow(rate) => now.max(self.last) + Duration::from_secs_f64(bytes.len() as f64 / rate.max(1) as f64),
            _ => now,
        };
        // What was read later never arrives earlier.
        self.last = due.max(self.last);
        self.queued += bytes.len();
        self.queue.push_back((self.last, bytes.to_vec()));
    }

    async fn write(&mut self, traffic: Traffic) -> Result<(), End> {
        let (_, mut bytes) = self.queue.pop_front().expect("something was due");
        self.queued -= bytes.len();
        bytes.truncate(self.room(traffic).unwrap_or(usize::MAX));
        self.passed += bytes.len();
        self.to.write_all(&bytes).await.map_err(End::from)
    }

    /// Bytes that may pass until the connection is cut.
    fn room(&self, traffic: Traffic) -> Option<usize> {
        match traffic {
            Traffic::CutAfter(direction, bytes) if direction == self.direction => Some(bytes.saturating_sub(self.passed)),
            _ => None,
        }
    }
}

/// Bytes to read at once: little by little where they are to trickle.
fn piece(traffic: Traffic) -> usize {
    match traffic {
        Traffic::Slow(rate) => (rate / PIECES).max(1),
        _ => CHUNK,
    }
}

/// Bytes that may wait; beyond, nothing is read, and the sender feels it.
fn waiting(traffic: Traffic) -> usize {
    match traffic {
        Traffic::Slow(_) => 1,
        _ => WAITING,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
