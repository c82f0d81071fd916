//! Outputs and dead letters: only of those who may, under the right id, with the original byte for byte.

use longshore_core::headers;
use longshore_testkit::scripted::Stored;

use super::judge::Licence;
use super::{Oracle, Result, Told};
use crate::support::{DEAD_LETTERS, FAR, OUT};

/// The number in `orders/<number>` or `orders/<number>/<ordinal>`.
pub(crate) fn number(id: &str) -> Result<u32> {
    id.split('/').nth(1).and_then(|n| n.parse().ok()).ok_or_else(|| format!("{id:?} is no id of ours"))
}

impl Oracle {
    pub(crate) fn published(&mut self, _now: u64, broker: &str, message: &Stored) -> Result {
        match (broker, message.topic.as_str()) {
            ("home", DEAD_LETTERS) => self.dead_letter(message),
            ("home", OUT) | ("away", FAR) => self.output(broker, message),
            (broker, topic) => Err(format!("{:?} was published to {topic:?} of {broker}", message.id)),
        }
    }

    fn output(&mut self, broker: &str, message: &Stored) -> Result {
        let payload = message.payload.clone().unwrap_or_default();
        let Some((origin, ordinal)) = self.entitled.get(&payload) else {
            return Err(format!("{:?} was published for a message that is not done", message.id));
        };
        let expected = format!("orders/{origin}/{ordinal}");
        if message.id != expected {
            return Err(format!("{expected:?} was published as {:?}", message.id));
        }
        if !self.out.insert((broker.to_owned(), payload.clone())) {
            return Err(format!("{:?} was published to {broker} again, though it was confirmed", message.id));
        }
        *self.published.entry(payload).or_default() += 1;
        Ok(())
    }

    fn dead_letter(&mut self, message: &Stored) -> Result {
        let number = number(&message.id)?;
        let (Some(reason), Some(attempts)) = (message.header(headers::DEAD_REASON), message.header(headers::DEAD_ATTEMPTS)) else {
            return Err(format!("the dead letter {number} lacks its reason or its attempts"));
        };
        let original = &self.known().originals[number as usize - 1];
        let kept: Vec<_> = message.headers.iter().filter(|(name, _)| !name.starts_with(headers::DEAD_PREFIX)).cloned().collect();
        if message.payload.as_ref() != Some(&original.payload)
            || message.key != original.key.as_ref().map(|k| k.as_bytes().to_vec())
            || kept != original.headers
        {
            return Err(format!("the dead letter {number} is not the original byte for byte"));
        }
        let (max_deliveries, retry) = (self.known().max_deliveries, self.known().retry.clone());
        let told = self.told(number)?;
        let entitled = told
            .licences
            .iter()
            .any(|l| matches!(l, Licence::Dead { reason: r, attempt } if *r == reason && attempt.to_string() == attempts));
        let crashed = reason == "crashed" && told.most_unanswered > max_deliveries;
        let by_output = told.refused
            && message.header(headers::DEAD_CLASS) == Some("output")
            && (reason == "expired" || (reason == "exhausted" && attempts.parse().is_ok_and(|a: u32| a >= retry.max_attempts)));
        let once = reason == "exhausted" && told.refused;
        if !entitled && !crashed && !by_output && !once {
            return Err(format!("the dead letter {number} ({reason}, {attempts} attempts) has no cause"));
        }
        told.dead_letters += 1;
        Ok(())
    }

    /// Under transactions nothing is published twice or for nothing.
    pub(crate) fn exactly_once(&self, number: u32, told: &Told) -> Result {
        if told.dead_letters > 1 {
            return Err(format!("message {number} has {} dead letters", told.dead_letters));
        }
        let home = |payload: &&Vec<u8>| self.home_only(payload);
        let out: Vec<(&Vec<u8>, u32)> =
            self.published.iter().filter(|(p, _)| home(p) && self.entitled[*p].0 == number).map(|(p, times)| (p, *times)).collect();
        if out.iter().any(|(_, times)| *times != 1) {
            return Err(format!("an output of message {number} was published twice"));
        }
        if told.dead_letters == 1 {
            return if out.is_empty() { Ok(()) } else { Err(format!("message {number} is dead and has outputs")) };
        }
        let published: Vec<&Vec<u8>> = out.into_iter().map(|(p, _)| p).collect();
        let whole = told.done.iter().any(|of_it| {
            let mut wanted: Vec<&Vec<u8>> = of_it.iter().filter(home).collect();
            wanted.sort();
            wanted == published
        });
        let without = published.is_empty() && (told.done.is_empty() || told.discarded || !self.known().dead_letters);
        if whole || without { Ok(()) } else { Err(format!("the outputs of message {number} are those of no one answer")) }
    }

    /// Whether an output was answered for the home broker: its payload says so.
    fn home_only(&self, payload: &[u8]) -> bool {
        payload.ends_with(OUT.as_bytes())
    }
}
