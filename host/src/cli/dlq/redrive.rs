//! `dlq redrive`: in steps, at a pace, each letter once however often it is started again.

use std::num::NonZeroU32;
use std::time::Duration;

use longshore_admin::model::{DeadLetterFilter, Redrive, Redriven};
use tokio::time::{Instant, sleep_until};

use super::filter::Filter;
use super::over;
use crate::cli::App;
use crate::cli::failure::Failure;
use crate::cli::output::{is_watched, line};
use crate::cli::session::Session;

/// Letters of one step where there is no pace to keep.
const STEP: u64 = 500;

/// Gives dead letters back.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The id of one; all that pass the filters without
    id: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// To this topic, for all its groups, in place of the group that failed
    #[arg(long, value_name = "TOPIC")]
    to: Option<String>,
    /// At most so many a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Only say how many it would be
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let Args { id, filter, to, rate, limit, dry_run } = args;
    let broker = filter.broker.clone();
    let one = id.is_some();
    let wanted = filter.until_now().wanted(id);
    let done = over(app, broker.as_deref(), async |session| {
        if dry_run {
            return would(session, wanted, limit).await;
        }
        let pace = Pace { rate, limit: if one { Some(1) } else { limit } };
        pace.run(session, &wanted, to.as_deref()).await
    })
    .await?;
    line(&format!("{} {}", if dry_run { "would redrive" } else { "redriven" }, done.count))?;
    match done.skipped {
        0 => Ok(()),
        n => line(&format!("left {n}: redriven `max-redrives` times already; mend the handler, or redrive them --to another topic")),
    }
}

async fn would(session: &Session, wanted: DeadLetterFilter, limit: Option<u64>) -> Result<Redriven, Failure> {
    let count = session.control.count_dead_letters(wanted).await?.count;
    Ok(Redriven { count: limit.map_or(count, |limit| count.min(limit)), skipped: 0 })
}

/// How fast, and how many at most.
struct Pace {
    rate: Option<NonZeroU32>,
    limit: Option<u64>,
}

impl Pace {
    async fn run(&self, session: &Session, wanted: &DeadLetterFilter, to: Option<&str>) -> Result<Redriven, Failure> {
        let (start, mut done) = (Instant::now(), Redriven::default());
        loop {
            let step = self.step(done.count);
            if step == 0 {
                return Ok(done);
            }
            let filter = DeadLetterFilter { limit: usize::try_from(step).ok(), ..wanted.clone() };
            let answer = session.control.redrive(Redrive { filter, to: to.map(Into::into) }).await?;
            done = Redriven { count: done.count + answer.count, skipped: answer.skipped };
            if answer.count == 0 {
                return Ok(done);
            }
            if is_watched() {
                eprint!("\r{} redriven", done.count);
            }
            sleep_until(start + self.due(done.count)).await;
        }
    }

    /// How many go next.
    fn step(&self, done: u64) -> u64 {
        let left = self.limit.map_or(STEP, |limit| limit.saturating_sub(done));
        let at_once = self.rate.map_or(STEP, |rate| u64::from(rate.get()).div_ceil(10));
        left.min(at_once).min(STEP)
    }

    /// When that many may have gone.
    fn due(&self, done: u64) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(done as f64 / f64::from(rate.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_limit_and_rate() {
        let pace = |rate: Option<u32>, limit| Pace { rate: rate.and_then(NonZeroU32::new), limit };
        assert_eq!(pace(None, None).step(0), 500);
        assert_eq!(pace(None, Some(3)).step(1), 2);
        assert_eq!(pace(None, Some(3)).step(3), 0);
        assert_eq!(pace(Some(50), None).step(0), 5);
        assert_eq!(pace(Some(1), None).step(0), 1);
        assert_eq!(pace(Some(50), None).due(100), Duration::from_secs(2));
    }
}
