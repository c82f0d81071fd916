//! The conformance suite.

use std::marker::PhantomData;

use longshore_brokers::redis::lists::Lists;
use longshore_brokers::redis::streams::Streams;
use longshore_core::{Adapter, BoxFuture, Capabilities, Flag, Roles};
use longshore_testkit::conformance::{self, Subject, Verdict};
use longshore_testkit::servers::{Redis, RedisOptions};

use crate::support::connect;

/// What no single stream can do.
const NO_PARTITIONS: &str = "equal_keys_share_a_partition";

/// What is not done with streams.
pub(crate) const NOT_OF_STREAMS: [&str; 4] =
    [NO_PARTITIONS, "a_request_is_answered", "a_request_that_nobody_answers_times_out", "a_reply_to_nobody_is_an_error"];

/// What nobody can do who is given each message once, by whoever comes first.
pub(crate) const NOT_OF_LISTS: [&str; 18] = [
    "a_start_at_the_end_sees_only_what_comes_later",
    "a_lane_brings_messages_in_the_order_of_publishing",
    "every_group_gets_every_message",
    "waiting_retries_are_told_when_a_lane_begins",
    "a_start_at_a_time_begins_with_the_first_message_from_then_on",
    "a_group_is_moved_to_the_beginning_the_end_a_position_and_a_time",
    "a_group_that_moves_loses_its_retries",
    "a_group_in_use_is_not_moved",
    "browsing_moves_nobody",
    "waiting_for_messages_ends_when_there_are_some",
    NO_PARTITIONS,
    "a_request_is_answered",
    "a_request_that_nobody_answers_times_out",
    "a_reply_to_nobody_is_an_error",
    "what_was_done_is_remembered_after_a_crash",
    "every_subscriber_gets_a_copy_of_what_comes_while_it_is_there",
    "a_failed_broadcast_comes_again_to_its_subscriber_alone",
    "a_broadcast_leaves_no_group",
];

/// An adapter on a server of its own.
struct OnRedis<A>(Redis, PhantomData<fn() -> A>);

impl<A> OnRedis<A> {
    /// `None`: not installed.
    fn start() -> Option<Self> {
        Some(OnRedis(Redis::start(&RedisOptions::default().durable())?, PhantomData))
    }
}

impl<A: Adapter> Subject for OnRedis<A> {
    fn capabilities(&self) -> Capabilities {
        A::CAPABILITIES
    }

    fn connect(&self) -> BoxFuture<'_, Roles> {
        Box::pin(connect::<A>(self.0.port()))
    }

    fn is_queue(&self) -> bool {
        A::IS_QUEUE
    }

    fn restart(&self, roles: Roles) -> BoxFuture<'_, Option<Roles>> {
        Box::pin(async move {
            drop(roles);
            tokio::task::block_in_place(|| self.0.server.restart());
            Some(connect::<A>(self.0.port()).await)
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_do_what_they_declare() {
    let Some(subject) = OnRedis::<Streams>::start() else { return };
    let matrix = conformance::run(&subject).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("redis-streams");
    assert_eq!(matrix.tests(&Verdict::Unsupported), NOT_OF_STREAMS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_do_what_they_declare() {
    let Some(subject) = OnRedis::<Lists>::start() else { return };
    let matrix = conformance::run(&subject).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("redis-list");
    assert_eq!(matrix.without(Flag::DedupInbox).tests(&Verdict::Unsupported), NOT_OF_LISTS);
}
