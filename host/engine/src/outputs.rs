//! From what a handler answered to what leaves the host: outputs are checked against grants and limits, addressed, and named.

use std::fmt::Write as _;

use longshore_core::{Batch, Destination, Flag, Message, Outbox, Output, Outputs, headers};

use crate::order::Picked;
use crate::policy::{Policy, Route};

/// Messages of the call, ascending, whose outputs cannot be published, and why.
pub(crate) fn refused(outputs: &Outputs, picked: &Picked, policy: &Policy) -> Vec<(u32, String)> {
    let mut refused: Vec<(u32, String)> = Vec::new();
    let (mut bytes, mut count, mut origin) = (0, 0, u32::MAX);
    for output in outputs.iter() {
        // Each message has the whole limit: one that floods must not fail the others of its call. The runtime bounds the sum.
        (count, bytes) = if output.origin() == origin { (count + 1, bytes + output.size()) } else { (1, output.size()) };
        origin = output.origin();
        if refused.last().is_some_and(|(o, _)| *o == origin) {
            continue;
        }
        let limits = &policy.limits;
        let why = if count > limits.outputs {
            Some(format!("more than {} outputs of one message (limits.outputs)", limits.outputs))
        } else if bytes > limits.output_size {
            Some(format!("outputs of one message take more than {} bytes (limits.output-size)", limits.output_size))
        } else {
            address(output, picked, policy).and_then(|(route, _)| fits(output, route, policy)).err()
        };
        refused.extend(why.map(|w| (origin, w)));
    }
    refused
}

/// Where an output goes: the way out and the broker's topic.
fn address<'a>(output: Output<'a>, picked: &'a Picked, policy: &'a Policy) -> Result<(Route, &'a str), String> {
    let named = match output.destination() {
        Destination::Topic(topic) => topic,
        Destination::Output => policy.outlets.output.as_deref().ok_or("the handler has no `output` topic in the configuration")?,
        Destination::Reply => return reply_address(output, picked, policy).map(|topic| (Route::Home, topic)),
    };
    let (outlet, topic) = policy.outlets.find(named).map_err(|e| e.to_string())?;
    Ok((policy.route(outlet), topic))
}

/// Where the answer to the output's message goes. Its header may say anything: only an address that the broker made is believed, or a
/// sender could have a handler write to a topic that was never granted to it.
fn reply_address<'a>(output: Output<'_>, picked: &'a Picked, policy: &Policy) -> Result<&'a str, String> {
    let row = picked.batch.row(picked.from + output.origin() as usize);
    let to = row.header(headers::REPLY_TO).and_then(|v| std::str::from_utf8(v).ok());
    let to = to.ok_or("a reply to a message that nobody sent as a request")?;
    match &policy.home {
        Some(home) if home.publisher.is_reply_address(to) => Ok(to),
        _ => Err(format!("{to:?} in header {:?} is no reply address of broker {:?}", headers::REPLY_TO, policy.info.broker)),
    }
}

/// Whether the broker of `route` can take the output.
fn fits(output: Output<'_>, route: Route, policy: &Policy) -> Result<(), String> {
    if let Some((name, _)) = output.headers().find(|(name, _)| headers::is_reserved(name)) {
        return Err(format!("header {name:?}: names that begin with {:?} are the host's own", headers::DEAD_PREFIX));
    }
    let outlet = policy.outlet(route).ok_or_else(|| format!("broker {:?} cannot publish", policy.info.broker))?;
    let size = output.size();
    if size > outlet.max_message_size {
        return Err(format!(
            "an output of {size} bytes is over the {} of broker {:?} (max-message-size)",
            outlet.max_message_size, outlet.broker
        ));
    }
    if output.delay() > 0 && !outlet.capabilities.has(Flag::Delay) {
        return Err(format!("broker {:?} cannot delay messages", outlet.broker));
    }
    Ok(())
}

/// Writes outputs into outboxes. Keeps the buffer for their ids.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    id: String,
}

impl Writer {
    /// Appends `output`, number `ordinal` of its message, to `outbox(route)`, if there is one. Its address was checked before.
    pub(crate) fn append<'o>(
        &mut self,
        output: Output<'_>,
        ordinal: u32,
        picked: &Picked,
        policy: &Policy,
        now: u64,
        outbox: impl FnOnce(Route) -> Option<&'o mut Outbox>,
    ) {
        let Ok((route, topic)) = address(output, picked, policy) else { return };
        let Some(outbox) = outbox(route) else { return };
        let at = picked.from + output.origin() as usize;
        let origin = picked.batch.row(at);
        self.id.clear();
        if !origin.id().is_empty() {
            // Deterministic: a second life of the same message publishes under the same id, which the next inbox drops.
            write!(self.id, "{}/{ordinal}", origin.id()).expect("a string takes everything");
        }
        let message = Message {
            id: &self.id,
            topic,
            key: output.key(),
            payload: output.payload(),
            headers: output.headers().chain(carried(&picked.batch, at, output)),
            timestamp: now,
            attempt: 1,
        };
        outbox.push(&message, output.delay(), picked.batch.receipt(at).position);
    }
}

/// Headers that go from a message to what is made of it, unless the handler set them itself: causation, correlation, trace context. By name: a
/// broker whose headers have no order of their own need not be told it.
fn carried<'a>(batch: &'a Batch, index: usize, output: Output<'a>) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone {
    let origin = batch.row(index);
    let trace = origin.header(headers::TRACEPARENT).map(|v| (headers::TRACEPARENT, v));
    let own = Some(origin.id().as_bytes()).filter(|id| !id.is_empty());
    let correlation = origin.header(headers::CORRELATION_ID).or(own).map(|v| (headers::CORRELATION_ID, v));
    let causation = own.map(|v| (headers::CAUSATION_ID, v));
    let set = move |name: &str| output.headers().any(|(n, _)| n == name);
    [causation, correlation, trace].into_iter().flatten().filter(move |(name, _)| !set(name))
}
