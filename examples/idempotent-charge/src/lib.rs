//! Charges come with an idempotency key, and more than once: a client that got no answer asks again. Each is made once.
//!
//! Two things keep that. The subscription's dedup inbox drops a copy of what was done, so a copy costs no call. And should a host die between the
//! charge and the acknowledgement, the message comes again as it was: so the charge itself is a step that does nothing the second time.

use longshore_sdk::{Failure, Message, OrFail, Outgoing, key_value};

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<Outgoing, Failure> {
    let key = message.header_text("idempotency-key").or_reject("a charge has the header idempotency-key")?;
    let amount: u64 = message.text().ok().and_then(|text| text.parse().ok()).or_reject("a charge is an amount in cents")?;

    // Where a payment service would be called, with the same key.
    let is_new = key_value::open("charged")?.add(key, amount.to_string())?;
    Ok(Outgoing::to("receipts").key(key).header("charged", if is_new { "now" } else { "before" }).payload(amount.to_string()))
}

#[cfg(test)]
mod tests {
    use longshore_sdk::testing::{Host, Message};

    use super::*;

    fn charge(key: &str, amount: &str) -> Message {
        Message::new("charges").header("idempotency-key", key).payload(amount)
    }

    #[test]
    fn a_charge_that_comes_again_as_it_was_changes_nothing() {
        let host = Host::new();
        for expected in ["now", "before"] {
            let done = host.run(handle, charge("k-1", "250"));
            assert_eq!(done.outcome, Ok(()));
            assert_eq!((done.outputs[0].text().as_str(), done.outputs[0].header("charged")), ("250", Some(expected.as_bytes())));
        }
    }

    #[test]
    fn what_is_no_charge_is_rejected() {
        let host = Host::new();
        for bad in [Message::new("charges").payload("250"), charge("k-1", "much")] {
            assert!(matches!(host.run(handle, bad).outcome, Err(Failure::Reject(_))));
        }
    }
}
