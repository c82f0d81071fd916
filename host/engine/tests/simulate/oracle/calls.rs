//! Who may be called when: bounds, one call for a message and for a key, attempts, no retry early, order of successes.

use longshore_core::{Crash, Delivery};
use longshore_testkit::scripted::{Answer, Event};

use super::judge::Says;
use super::{Held, Open, Oracle, Result, Told};

impl Oracle {
    pub(crate) fn fetched(&mut self, event: &Event) -> Result {
        let Event::Fetched { lane, host, message, attempt, unanswered, bytes } = event else { return Ok(()) };
        let told = self.told(*message)?;
        told.handed.insert(*host, *attempt);
        told.most_unanswered = told.most_unanswered.max(*unanswered);
        told.failed_now = false;
        self.held.insert(*message, Held { lane: *lane, host: *host, bytes: *bytes });
        let lanes = self.lanes.values().filter(|h| *h == host).count().max(1);
        let held: Vec<usize> = self.held.values().filter(|h| h.host == *host).map(|h| h.bytes).collect();
        let (most, most_bytes) = (self.known().max_in_flight + lanes - 1, self.known().max_bytes);
        if held.len() > most {
            return Err(format!("host {host} holds {} messages in {lanes} lanes, more than {most}", held.len()));
        }
        let (sum, largest) = (held.iter().sum::<usize>(), held.iter().max().copied().unwrap_or(0));
        if sum > most_bytes + lanes * largest {
            return Err(format!("host {host} holds {sum} bytes in {lanes} lanes, more than {most_bytes}"));
        }
        Ok(())
    }

    pub(crate) fn called(&mut self, now: u64, host: u32, call: u32, messages: &[(u32, u32)]) -> Result {
        let at_once = self.calls.values().filter(|c| c.host == host).count() + 1;
        if at_once > self.known().concurrency {
            return Err(format!("host {host} has {at_once} calls at once"));
        }
        if messages.is_empty() || messages.len() > self.known().max_messages {
            return Err(format!("call {call} has {} messages", messages.len()));
        }
        for (message, attempt) in messages {
            self.may_be_called(now, host, call, *message, *attempt)?;
        }
        for (message, _) in messages {
            self.told(*message)?.running.insert(host);
        }
        self.calls.insert(call, Open { host, messages: messages.to_vec() });
        Ok(())
    }

    fn may_be_called(&self, now: u64, host: u32, call: u32, message: u32, attempt: u32) -> Result {
        let told = self.messages.get(&message).ok_or_else(|| format!("call {call} has message {message}, which does not exist"))?;
        if told.running.contains(&host) {
            return Err(format!("message {message} is in two calls of host {host}"));
        }
        if told.handed.get(&host) != Some(&attempt) {
            return Err(format!("message {message} was handed over as attempt {:?} and is called as {attempt}", told.handed.get(&host)));
        }
        if attempt == told.attempt && now < told.not_before {
            return Err(format!("message {message} comes {} ms early", told.not_before - now));
        }
        if self.known().delivery == Delivery::AtMostOnce {
            if told.ended == 0 {
                return Err(format!("message {message} is called before it is settled, though at most once"));
            }
            if told.ended_by != Some(host) {
                return Err(format!("host {host} calls message {message}, which host {:?} has for good", told.ended_by));
            }
            if !told.done.is_empty() || told.discarded || !told.licences.is_empty() {
                return Err(format!("message {message} is called again, though at most once"));
            }
        }
        let running = self.calls.iter().filter(|(_, c)| c.host == host).flat_map(|(id, c)| c.messages.iter().map(move |(m, _)| (*id, *m)));
        for (other_call, other) in running {
            if self.share_order(message, other) {
                return Err(format!("call {call} with {message} and call {other_call} with {other} hold one key"));
            }
        }
        Ok(())
    }

    /// The call is over.
    pub(crate) fn let_go(&mut self, call: u32) -> Result<Open> {
        let open = self.calls.remove(&call).ok_or_else(|| format!("call {call} ends twice"))?;
        for (message, _) in &open.messages {
            self.told(*message)?.running.remove(&open.host);
        }
        Ok(open)
    }

    pub(crate) fn answered(&mut self, now: u64, call: u32, answer: &std::result::Result<Answer, Crash>) -> Result {
        let open = self.let_go(call)?;
        let says = self.judge(now, &open.messages, answer);
        let outputs = answer.as_ref().map(|a| a.outputs.as_slice()).unwrap_or_default();
        for (i, (says, (message, _))) in (0u32..).zip(says.iter().zip(&open.messages)) {
            match says {
                Says::Nothing => {}
                Says::Done => {
                    self.in_order(*message)?;
                    let of_it: Vec<Vec<u8>> = outputs.iter().filter(|(origin, _)| *origin == i).map(|(_, p)| p.clone()).collect();
                    for (ordinal, payload) in of_it.iter().enumerate() {
                        self.entitled.insert(payload.clone(), (*message, ordinal));
                    }
                    self.told(*message)?.done.push(of_it);
                }
                Says::Discard => self.told(*message)?.discarded = true,
                Says::Failed(licence) => {
                    let told = self.told(*message)?;
                    told.failed_now = true;
                    told.licences.push(licence.clone());
                }
            }
        }
        Ok(())
    }

    /// No message is done before an earlier one of its key is through.
    fn in_order(&self, message: u32) -> Result {
        if self.known().delivery == Delivery::AtMostOnce {
            return Ok(());
        }
        let position = self.messages[&message].position;
        // One that hosts died over may be given up before it is called; one that a broker refused an output of failed after it was done.
        let through = |told: &Told| told.decided() || told.refused || told.most_unanswered > self.known().max_deliveries;
        let early =
            self.messages.iter().find(|(earlier, told)| told.position < position && self.share_order(**earlier, message) && !through(told));
        match early {
            Some((earlier, _)) => Err(format!("message {message} is done before {earlier} of its key")),
            None => Ok(()),
        }
    }
}
