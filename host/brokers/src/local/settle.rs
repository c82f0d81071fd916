//! One round of settlement: what ended, what comes again, what is published with it. All or nothing.
//!
//! A round may come twice, as it was or changed. A retry of a message that the mark or the ranges above it already cover was taken before,
//! and is not taken again; the rest is idempotent by itself.

use std::time::Duration;

use longshore_core::row::Row;
use longshore_core::{Again, BrokerError, Outbox, Receipt, SettleError, Settled, headers};

use super::admit::{admit, check_name, is_inbox};
use super::broker::Broker;
use super::publish::run_from;
use super::tables::{LaneId, Retry, Tables};

type Result<T> = std::result::Result<T, BrokerError>;

impl<T: Tables> Broker<T> {
    /// Settles a round of a lane, whose inbox remembers for `window`, or says why nothing of it was.
    pub(super) fn settle(
        &mut self,
        lane: LaneId,
        round: &Settled,
        window: Duration,
        now: u64,
    ) -> Result<std::result::Result<(), SettleError>> {
        if let Err(refused) = self.check_outputs(&round.outputs) {
            return Ok(Err(refused));
        }
        if !self.lanes.contains_key(&lane) {
            return Ok(Err(BrokerError::reconnect("the lane's topic was removed").into()));
        }
        for receipt in round.finished.iter().filter(|r| !r.token.is_empty()) {
            self.tables.end_retry(lane, retry_id(receipt.token)?)?;
        }
        for (receipt, how) in round.again.iter().zip(&round.again_how) {
            self.take_again(lane, receipt, how, now)?;
        }
        self.move_mark(lane, round)?;
        self.remember(lane, &round.inbox, window, now)?;
        self.take_outputs(&round.outputs, now)?;
        Ok(Ok(()))
    }

    fn check_outputs(&self, outputs: &Outbox) -> std::result::Result<(), SettleError> {
        let mut before: Option<Row<'_>> = None;
        for i in 0..outputs.len() {
            let row = outputs.row(i);
            // Outputs mostly go where the one before went.
            let checked = if before.is_some_and(|before| row.shares_topic(before)) {
                admit(row, outputs.delay(i), &self.limits)
            } else {
                self.route(row, outputs.delay(i)).map(|_| ())
            };
            checked.or_else(|error| self.admit_dead_letter(row).then_some(()).ok_or(SettleError::Output { index: i, error }))?;
            before = Some(row);
        }
        Ok(())
    }

    /// Whether a row that no topic would take is taken all the same, being a dead letter: facts were added to a message that was within
    /// bounds, and there is nowhere else for it to go. Its topic is made.
    fn admit_dead_letter(&self, row: Row<'_>) -> bool {
        let has_place = || self.names.contains_key(row.topic()) || check_name(row.topic()).is_ok();
        row.header(headers::DEAD_REASON).is_some() && row.payload().is_some() && has_place()
    }

    fn take_again(&mut self, lane: LaneId, receipt: Receipt<'_>, how: &Again, now: u64) -> Result<()> {
        let entry = &self.lanes[&lane];
        let due = due_at(now, how.delay).max(entry.cursor.0 + 1);
        if !receipt.token.is_empty() {
            self.tables.postpone(lane, retry_id(receipt.token)?, due, how.attempt, how.first_failed_at)?;
        } else if receipt.position > entry.record.mark && !entry.record.above.contains(receipt.position) {
            let deliveries = 1 + entry.crashes.get(&receipt.position).copied().unwrap_or(0);
            let retry = Retry {
                position: receipt.position,
                due,
                attempt: how.attempt,
                deliveries,
                unanswered: 0,
                redrives: 0,
                first_failed_at: how.first_failed_at,
            };
            // A message that was purged while somebody held it has nothing to come again.
            if let Some(row) = self.tables.row(entry.record.topic, receipt.position)? {
                self.tables.add_retry(lane, &retry, &row)?;
            }
        }
        if self.wake.lanes.last() != Some(&lane) {
            self.wake.lanes.push(lane);
        }
        Ok(())
    }

    fn move_mark(&mut self, lane: LaneId, round: &Settled) -> Result<()> {
        let Some(entry) = self.lanes.get_mut(&lane).filter(|_| !round.is_empty()) else { return Ok(()) };
        let mark = round.up_to.unwrap_or(0).max(entry.record.mark);
        if mark == entry.record.mark && round.above == entry.record.above {
            return Ok(());
        }
        let moved = mark > entry.record.mark;
        entry.record.mark = mark;
        entry.record.above.clone_from(&round.above);
        entry.record.above.remove_up_to(mark);
        if entry.ephemeral.is_some() {
            self.wake.lanes.push(lane);
            return Ok(());
        }
        if moved && !entry.crashes.is_empty() {
            self.tables.forget_crashes(lane, mark)?;
        }
        self.tables.put_lane(&entry.record)
    }

    /// Publishes outputs that were checked, but for replies: those are handed over once the round stands.
    fn take_outputs(&mut self, outputs: &Outbox, now: u64) -> Result<()> {
        let mut i = 0;
        while i < outputs.len() {
            let end = run_from(outputs, i, |_| true);
            if !is_inbox(outputs.row(i).topic()) {
                self.place(outputs, i..end, now, |_| ())?;
            }
            i = end;
        }
        Ok(())
    }
}

/// When a delay from `now` is over: rounded up, and one more because the clock's milliseconds are rounded down. Never early.
pub(super) fn due_at(now: u64, delay: Duration) -> u64 {
    if delay.is_zero() {
        return now;
    }
    let millis = u64::try_from(delay.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    now.saturating_add(millis).saturating_add(1)
}

/// The number in a receipt's token.
fn retry_id(token: &[u8]) -> Result<u64> {
    let bytes = token.try_into().map_err(|_| BrokerError::give_up("a receipt of another broker"))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_floor() {
        assert_eq!(due_at(100, Duration::ZERO), 100);
        assert_eq!(due_at(100, Duration::from_millis(10)), 111);
        assert_eq!(due_at(100, Duration::from_micros(10_001)), 112);
        assert_eq!(due_at(100, Duration::MAX), u64::MAX);
    }
}
