//! The handler that comes with Longshore: every message goes on as it is, to the handler's output or to the topic of its own name. It is what
//! bridges between brokers, and what copies a broker that forgets into the log.

use longshore_core::{Call, Crash, Destination, Done, Handler, NewOutput, Outputs, headers};

/// Where messages go on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PassThrough {
    /// The handler's `output`.
    ToOutput,
    /// The topic that each came from, on whatever broker the grants say.
    ToItsTopic,
}

impl Handler for PassThrough {
    async fn handle(&self, call: Call) -> Result<Done, Crash> {
        let mut rows = Vec::with_capacity(call.rows().len());
        for (origin, index) in (0u32..).zip(call.from..call.to) {
            let message = call.batch.get(index);
            let destination = match self {
                PassThrough::ToOutput => Destination::Output,
                PassThrough::ToItsTopic => Destination::Topic(message.topic),
            };
            // Facts of a dead letter are of the broker that it was on; here it is a message like any other.
            let headers = message.headers.filter(|(name, _)| !headers::is_reserved(name));
            NewOutput { origin, destination, key: message.key, payload: message.payload, headers, delay: 0 }.append(&mut rows);
        }
        let handled = u32::try_from(call.len()).expect("a call is bounded far below 2^32 messages");
        let outputs = Outputs::check(rows, handled).map_err(|e| Crash::Host(e.to_string()))?;
        Ok(Done { handled, failures: Vec::new(), outputs })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_core::{Batch, Facts, Message, Order, Receipt, SubscriptionInfo};

    use super::*;

    #[tokio::test]
    async fn what_comes_goes_on_but_for_the_facts_of_a_dead_letter() {
        let mut batch = Batch::default();
        for (position, payload) in [(1, Some(&b"one"[..])), (2, None)] {
            let headers = [("tenant", &b"a"[..]), (headers::DEAD_REASON, b"exhausted")];
            let message = Message { id: "i", topic: "in", key: Some(b"k"), payload, headers, timestamp: 7, attempt: 3 };
            batch.push(&message, Receipt { position, token: b"" }, Facts::default());
        }
        let subscription = SubscriptionInfo {
            name: "h/in".into(),
            handler: "h".into(),
            group: None,
            broker: "b".into(),
            order: Order::None,
            max_attempts: 5,
        };
        let call =
            |from, to| Call { batch: Arc::new(batch.clone()), from, to, subscription: Arc::new(subscription.clone()), partition: None };
        let done = PassThrough::ToOutput.handle(call(0, 2)).await.expect("it never fails");
        let outputs: Vec<_> =
            done.outputs.iter().map(|o| (o.origin(), o.destination(), o.key(), o.payload(), o.headers().count())).collect();
        assert_eq!(
            outputs,
            [(0, Destination::Output, Some(&b"k"[..]), Some(&b"one"[..]), 1), (1, Destination::Output, Some(&b"k"[..]), None, 1)]
        );
        let done = PassThrough::ToItsTopic.handle(call(1, 2)).await.expect("it never fails");
        assert_eq!(done.outputs.iter().map(|o| (o.origin(), o.destination())).collect::<Vec<_>>(), [(0, Destination::Topic("in"))]);
    }
}
