//! The conformance suite.

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Adapter, BoxFuture, Capabilities, Roles};
use longshore_testkit::conformance::{self, Matrix, Subject, Verdict};
use longshore_testkit::servers::{Redis, RedisOptions};

use crate::support::streams;

/// What no single stream can do.
const NO_PARTITIONS: &str = "equal_keys_share_a_partition";

struct StreamsSubject(Redis);

impl Subject for StreamsSubject {
    fn capabilities(&self) -> Capabilities {
        Streams::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(streams(self.0.port()))
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(async move {
            drop(roles);
            tokio::task::block_in_place(|| self.0.server.restart());
            Some(streams(self.0.port()).await)
        })
    }
}

/// The lines that say unsupported: all of them are meant, so that a role that was forgotten cannot hide behind one.
fn unsupported(matrix: &Matrix) -> Vec<&'static str> {
    matrix.entries.iter().filter(|entry| entry.verdict == Verdict::Unsupported).map(|entry| entry.test).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_do_what_they_declare() {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let matrix = conformance::run(&StreamsSubject(redis)).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("redis-streams");
    assert_eq!(
        unsupported(&matrix),
        [NO_PARTITIONS, "a_request_is_answered", "a_request_that_nobody_answers_times_out", "a_reply_to_nobody_is_an_error"]
    );
}
