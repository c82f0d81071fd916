//! What must hold: looks at every event as it happens, and at the whole at the end. Knows nothing of how the engine works.
//!
//! [`calls`]: who may be called when. [`judge`]: what an answer entitles to. [`published`]: outputs and dead letters. [`settled`]: what may
//! end or come again.

mod calls;
mod judge;
mod published;
mod settled;

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{Delivery, Order, RetryPolicy};
use longshore_engine::Policy;
use longshore_testkit::scripted::{Event, NewMessage, Settling};

use crate::plan::Plan;
use judge::Licence;

pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// Everything known of one message.
#[derive(Default)]
pub(crate) struct Told {
    key: Option<String>,
    partition: u32,
    position: u64,
    appended_at: u64,
    /// The attempt that the broker would hand it over with.
    attempt: u32,
    /// Not before that time with that attempt.
    not_before: u64,
    /// By host: the attempt that it was handed over with last.
    handed: BTreeMap<u32, u32>,
    /// Hosts that have it in a call.
    running: BTreeSet<u32>,
    /// Outputs of each answer that said it is done.
    done: Vec<Vec<Vec<u8>>>,
    discarded: bool,
    /// What its failures entitle to.
    licences: Vec<Licence>,
    /// Whether its last hand-over was answered with a counted failure.
    failed_now: bool,
    /// Whether an output of it was refused by its broker.
    refused: bool,
    most_unanswered: u32,
    dead_letters: u32,
    ended: u32,
    /// Its broker, which keeps nothing, let it go.
    forgotten: bool,
    /// The host that it ended with.
    ended_by: Option<u32>,
}

impl Told {
    /// Whether its handler is through with it.
    fn decided(&self) -> bool {
        !self.done.is_empty() || self.discarded || self.ended > 0 || self.dead_letters > 0 || self.licences.iter().any(Licence::is_dead)
    }
}

/// A call that runs.
pub(crate) struct Open {
    host: u32,
    messages: Vec<(u32, u32)>,
}

/// The bounds and policies that it checks against.
pub(crate) struct Known {
    settling: Settling,
    order: Order,
    delivery: Delivery,
    retry: RetryPolicy,
    dead_letters: bool,
    max_deliveries: u32,
    concurrency: usize,
    max_in_flight: usize,
    max_bytes: usize,
    max_messages: usize,
    originals: Vec<NewMessage>,
}

/// One message that a lane holds.
struct Held {
    lane: u32,
    host: u32,
    bytes: usize,
}

/// The oracle.
#[derive(Default)]
pub(crate) struct Oracle {
    known: Option<Known>,
    messages: BTreeMap<u32, Told>,
    calls: BTreeMap<u32, Open>,
    /// Hosts by lane.
    lanes: BTreeMap<u32, u32>,
    held: BTreeMap<u32, Held>,
    /// Every output that a done message answered: message, ordinal.
    entitled: BTreeMap<Vec<u8>, (u32, usize)>,
    /// How often each output was published.
    published: BTreeMap<Vec<u8>, u32>,
    /// Outputs that were published and not failed to be confirmed, by broker: none of them may be published once more.
    out: BTreeSet<(String, Vec<u8>)>,
}

impl Oracle {
    /// Tells it what was drawn.
    pub(crate) fn know(&mut self, plan: &Plan, policy: &Policy) {
        self.known = Some(Known {
            settling: plan.personality.settling,
            order: plan.order,
            delivery: plan.delivery,
            retry: policy.retry.clone(),
            dead_letters: policy.dead_letter.topic.is_some(),
            max_deliveries: policy.max_deliveries,
            concurrency: policy.concurrency,
            max_in_flight: policy.subscribe.max_in_flight,
            max_bytes: policy.max_bytes_in_flight,
            max_messages: policy.batching.max_messages(),
            originals: plan.messages.clone(),
        });
    }

    fn known(&self) -> &Known {
        self.known.as_ref().expect("it is told before anything happens")
    }

    fn told(&mut self, message: u32) -> Result<&mut Told> {
        self.messages.get_mut(&message).ok_or_else(|| format!("message {message} was never appended"))
    }

    /// Looks at an event.
    pub(crate) fn observe(&mut self, now: u64, event: &Event) -> Result {
        match event {
            Event::Appended { message, partition, position, key } => {
                let told =
                    Told { key: key.clone(), partition: *partition, position: *position, appended_at: now, attempt: 1, ..Told::default() };
                self.messages.insert(*message, told);
                Ok(())
            }
            Event::Assigned { lane, host, .. } => {
                self.lanes.insert(*lane, *host);
                Ok(())
            }
            Event::LaneEnded { lane, .. } | Event::Revoked { lane, lost: true } => {
                self.lanes.remove(lane);
                self.held.retain(|_, h| h.lane != *lane);
                Ok(())
            }
            Event::LeaseExpired { message, .. } => {
                self.held.remove(message);
                Ok(())
            }
            Event::Noted { messages, .. } => {
                self.held.retain(|message, _| !messages.contains(message));
                Ok(())
            }
            Event::Forgotten { message } => {
                self.held.remove(message);
                self.told(*message)?.forgotten = true;
                Ok(())
            }
            Event::Fetched { .. } => self.fetched(event),
            Event::Called { host, call, messages } => self.called(now, *host, *call, messages),
            Event::Answered { call, answer, .. } => self.answered(now, *call, answer),
            Event::Abandoned { call, .. } => self.let_go(*call).map(drop),
            Event::Published { broker, message } => self.published(now, broker, message),
            Event::Refused { id, .. } => {
                self.told(published::number(id)?)?.refused = true;
                Ok(())
            }
            Event::PublishFailed { broker, .. } => {
                self.out.retain(|(of, _)| of != broker);
                Ok(())
            }
            Event::Settled { lane, ended, again, forgotten, .. } => {
                let host = self.lanes.get(lane).copied();
                self.settled(now, ended, again, forgotten)?;
                ended.iter().try_for_each(|message| self.told(*message).map(|told| told.ended_by = host))
            }
            Event::Revoked { .. }
            | Event::FetchFailed { .. }
            | Event::SettleFailed { .. }
            | Event::Extended { .. }
            | Event::Shown { .. }
            | Event::Note(_) => Ok(()),
        }
    }

    /// Whether everything ended as it must.
    pub(crate) fn at_the_end(&self) -> Result {
        for (number, told) in &self.messages {
            if told.ended + u32::from(told.forgotten) != 1 {
                return Err(format!("message {number} ended {} times", told.ended));
            }
            if self.known().settling == Settling::Transaction && self.known().delivery == Delivery::AtLeastOnce {
                self.exactly_once(*number, told)?;
            }
        }
        match self.calls.first_key_value() {
            None => Ok(()),
            Some((call, _)) => Err(format!("call {call} never ended")),
        }
    }
}
