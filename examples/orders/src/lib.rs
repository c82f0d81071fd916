//! Orders come in, payments go out. What cannot be an order is rejected; what the bank refuses is tried again.

mod bank;
mod order;

use longshore_sdk::{Failure, Message, OrFail, Outgoing, info};

use order::Order;

#[longshore_sdk::handler]
fn handle(message: &Message) -> Result<Outgoing, Failure> {
    let order: Order = message.json().or_reject("not an order")?;
    order.check().or_reject("not a good order")?;

    // A bank that does not answer is an error like any other: `?` has it tried again, by the retry policy of `longshore.toml`.
    let payment = bank::charge(&order, message.attempt())?;
    info!(bank = order.bank, amount_cents = order.amount_cents, "order {} is paid", order.id);

    // The payment leaves together with the acknowledgement of the order, or not at all.
    Ok(Outgoing::to("payments").key(&order.customer).json(&payment)?)
}

#[cfg(test)]
mod tests {
    use longshore_sdk::testing::{self, Message};

    use super::*;

    fn order(bank: &str, amount_cents: i64) -> Message {
        let json = format!(r#"{{"id":"o-1","customer":"ada","bank":"{bank}","amount_cents":{amount_cents},"currency":"EUR"}}"#);
        Message::new("orders").payload(json)
    }

    #[test]
    fn a_good_order_becomes_a_payment_of_its_customer() {
        let done = testing::run(handle, order("harbour", 1250));
        assert_eq!(done.outcome, Ok(()));
        let [payment] = done.outputs.as_slice() else { panic!("{:?}", done.outputs) };
        assert_eq!((payment.topic(), payment.key_text().as_str()), (Some("payments"), "ada"));
        assert_eq!(payment.text(), r#"{"order":"o-1","customer":"ada","amount_cents":1250,"currency":"EUR"}"#);
    }

    #[test]
    fn a_flaky_bank_is_retried_and_then_pays() {
        let first = testing::run(handle, order("flaky", 1250));
        assert_eq!(first.outcome, Err(Failure::retry("the bank flaky did not answer (attempt 1)")));
        assert_eq!(first.outputs, []);
        let third = testing::run(handle, order("flaky", 1250).attempt(3));
        assert_eq!((third.outcome, third.outputs.len()), (Ok(()), 1));
    }

    #[test]
    fn what_cannot_be_an_order_is_rejected_with_the_reason() {
        let table = [
            (Message::new("orders").payload("{"), "not an order: EOF while parsing"),
            (Message::new("orders").payload(r#"{"id":"o-1"}"#), "not an order: missing field `customer`"),
            (order("harbour", 0), "not a good order: an amount of 0 cents"),
            (order("harbour", -5), "not a good order: an amount of -5 cents"),
        ];
        for (message, expected) in table {
            match testing::run(handle, message).outcome {
                Err(Failure::Reject(reason)) => assert!(reason.starts_with(expected), "{reason}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
