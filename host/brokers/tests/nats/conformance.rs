//! The conformance suite.

use longshore_core::Flag;
use longshore_testkit::conformance::{self, Verdict};
use longshore_testkit::servers::{Nats, NatsOptions};

use super::support::{CoreSubject, JetStreamSubject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jetstream_does_what_it_declares() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let matrix = conformance::run(&JetStreamSubject { nats }).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("nats-jetstream");
    assert_eq!(
        matrix.without(Flag::DedupInbox).tests(&Verdict::Unsupported),
        [
            "equal_keys_share_a_partition",
            "a_delayed_message_is_never_early",
            "delayed_messages_come_in_the_order_of_their_times",
            "a_delayed_retry_is_never_early",
            "delayed_messages_are_counted_and_purged",
            "outputs_are_published_with_the_round",
            "a_round_with_an_output_that_cannot_be_is_refused_as_a_whole",
            "a_refused_round_settles_once_it_is_changed",
            "a_message_as_large_as_can_be_finds_room_among_the_dead_letters",
            "delayed_messages_outlive_a_crash",
            "what_was_done_is_remembered_after_a_crash",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_nats_does_what_it_declares() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let matrix = conformance::run(&CoreSubject { nats }).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("nats");
    assert_eq!(
        matrix.tests(&Verdict::Passed),
        [
            "publishing_answers_the_id_that_readers_see",
            "each_message_of_a_batch_is_answered_for",
            "payload_key_and_headers_arrive_byte_for_byte",
            "a_message_without_timestamp_gets_one",
            "a_start_at_the_end_sees_only_what_comes_later",
            "a_fetch_keeps_to_its_room",
            "a_message_larger_than_the_room_comes_alone",
            "a_dropped_fetch_loses_nothing",
            "a_lane_brings_messages_in_the_order_of_publishing",
            "a_fetch_that_waits_is_woken_and_does_not_poll",
            "every_group_gets_every_message",
            "a_member_that_leaves_is_followed_by_another",
            "a_request_is_answered",
            "a_request_that_nobody_answers_times_out",
            "a_reply_to_nobody_is_an_error",
            "a_pattern_means_topics_that_are_there_and_those_that_come",
            "a_star_means_one_level",
            "every_subscriber_gets_a_copy_of_what_comes_while_it_is_there",
        ]
    );
}
