//! What may end at the source, and what may come again.

use longshore_core::{Delivery, Order};

use super::judge::{Licence, floor};
use super::{Oracle, Result};

impl Oracle {
    pub(crate) fn settled(&mut self, now: u64, ended: &[u32], again: &[(u32, u64, u32)], forgotten: &[u32]) -> Result {
        if !forgotten.is_empty() {
            return Err(format!("{forgotten:?} were settled, and the mark does not cover them"));
        }
        for (message, earlier) in ended.iter().flat_map(|m| again.iter().map(move |(earlier, _, _)| (*m, *earlier))) {
            self.may_end_while(message, earlier)?;
        }
        for message in ended {
            self.may_end(*message)?;
            self.told(*message)?.ended += 1;
            self.held.remove(message);
        }
        for (message, delay, attempt) in again {
            self.may_come_again(*message, *delay, *attempt)?;
            let told = self.told(*message)?;
            (told.attempt, told.not_before) = (*attempt, now + delay);
            self.held.remove(message);
        }
        Ok(())
    }

    /// No message is done while an earlier one of its key comes again.
    fn may_end_while(&self, message: u32, earlier: u32) -> Result {
        let (told, before) = (&self.messages[&message], &self.messages[&earlier]);
        let given_up = told.dead_letters > 0 || told.discarded || told.licences.iter().any(Licence::is_dead);
        let done = !told.done.is_empty() && !given_up && told.most_unanswered <= self.known().max_deliveries;
        if done && before.position < told.position && self.share_order(message, earlier) {
            return Err(format!("message {message} ends as done while {earlier} of its key comes again"));
        }
        Ok(())
    }

    fn may_end(&self, message: u32) -> Result {
        let told = self.messages.get(&message).ok_or_else(|| format!("message {message} ends and does not exist"))?;
        if told.ended > 0 {
            return Err(format!("message {message} ends twice"));
        }
        if self.known().delivery == Delivery::AtMostOnce {
            return Ok(());
        }
        let done = told.done.iter().any(|outputs| outputs.iter().all(|o| self.published.contains_key(o)));
        let crashed = told.most_unanswered > self.known().max_deliveries;
        let given_up = !self.known().dead_letters && (crashed || told.refused || told.licences.iter().any(Licence::is_dead));
        if done || told.discarded || told.dead_letters > 0 || given_up {
            return Ok(());
        }
        if told.done.is_empty() {
            return Err(format!("message {message} ends and nobody finished it"));
        }
        Err(format!("message {message} ends and its outputs are not out"))
    }

    fn may_come_again(&self, message: u32, delay: u64, attempt: u32) -> Result {
        let told = self.messages.get(&message).ok_or_else(|| format!("message {message} comes again and does not exist"))?;
        if self.known().delivery == Delivery::AtMostOnce {
            return Err(format!("message {message} comes again, though at most once"));
        }
        let by_failure = told.licences.iter().any(|l| matches!(l, Licence::Again { delay: d, attempt: a } if *a == attempt && *d <= delay));
        // What it answered does not count where it ran behind one whose output was refused.
        let ran_behind = || self.messages.iter().any(|(m, t)| t.refused && t.position < told.position && self.share_order(message, *m));
        // It waits behind another of its key, and gives its place to messages that can run.
        let parked = attempt == told.attempt && self.known().order != Order::None && (!told.failed_now || ran_behind());
        let by_output = told.refused && attempt == told.attempt + 1 && delay >= floor(&self.known().retry, told.attempt);
        if attempt < told.attempt || !(by_failure || parked || by_output) {
            return Err(format!(
                "message {message} comes again after {delay} ms as attempt {attempt} without a cause: {:?}",
                told.licences
            ));
        }
        Ok(())
    }
}
