//! `delivery`: where the message being handled comes from, and until when there is time.

use longshore_core::headers;

use crate::bindings::delivery::{Host, Info};
use crate::state::State;

impl Host for State {
    fn details(&mut self, origin: u32) -> wasmtime::Result<Info> {
        let info = self.log.with_current(|current| {
            let (call, index) = current.message(origin)?;
            let facts = call.batch.facts(index);
            let subscription = &call.subscription;
            Some(Info {
                subscription: subscription.name.clone(),
                group: subscription.group.clone(),
                broker: subscription.broker.clone(),
                partition: call.partition,
                position: call.batch.receipt(index).position.to_string(),
                deliveries: facts.deliveries,
                max_attempts: subscription.max_attempts,
                first_failed_at: (facts.first_failed_at != 0).then_some(facts.first_failed_at),
                redrives: facts.redrives,
                wants_reply: call.batch.row(index).header(headers::REPLY_TO).is_some(),
            })
        });
        info.ok_or_else(|| wasmtime::format_err!("delivery.details({origin}): there is no such message in this call"))
    }

    fn deadline(&mut self) -> u64 {
        self.log.with_current(|current| current.deadline)
    }
}
