//! Redriving, interrupted.

use std::time::Duration;

use longshore_testkit::servers::{self, unique};

use super::support::{connect_to, hand, wish};
use crate::work::{each_comes_once, redrive_in_pieces};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_killed_half_way_and_run_again_redrives_each_once() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    let tries = redrive_in_pieces(&roles, &topic, (1..).step_by(60).map(Duration::from_millis)).await;
    assert!(tries > 1, "it was never interrupted");
    let hand = hand(&roles, wish(&topic, "g")).await;
    each_comes_once(&roles, &topic, hand).await;
}
