//! Waiting for a condition with a deadline, on a thread.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `attempt` until it answers.
///
/// # Errors
/// What it last said, when `limit` is over; at least one attempt is made.
pub(super) fn wait<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let end = now() + limit;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(why) if now() >= end => return Err(why),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a server that starts has no paused clock")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_told_when_time_is_over() {
        let mut looks = 0;
        let answer: Result<(), String> = wait(Duration::from_millis(50), || {
            looks += 1;
            Err(format!("look {looks}"))
        });
        assert_eq!(answer, Err(format!("look {looks}")));
        assert!(looks > 1, "it looked again");
    }

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let answer = wait(Duration::from_secs(60), || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(String::new()) }
        });
        assert_eq!(answer, Ok(3));
    }
}
