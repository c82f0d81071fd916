//! The conformance suite on a real server.

use longshore_core::Flag;
use longshore_testkit::conformance::{self, Verdict};
use longshore_testkit::servers::{RabbitMq, RabbitMqOptions};

use super::support::RabbitMqSubject;

/// What it cannot do: it keeps nothing that was acknowledged, has no partitions, settles and publishes apart, and gives dead letters out
/// only like other messages.
const UNSUPPORTED: [&str; 18] = [
    "dead_letters_are_found_newest_first",
    "a_redriven_message_goes_to_the_failing_group_alone_as_it_was",
    "a_dead_letter_is_redriven_once",
    "what_is_no_dead_letter_stays_and_keeps_no_other_back",
    "redriven_messages_never_share_a_position",
    "removed_dead_letters_are_gone",
    "a_start_at_a_time_begins_with_the_first_message_from_then_on",
    "a_group_is_moved_to_the_beginning_the_end_a_position_and_a_time",
    "a_group_that_moves_loses_its_retries",
    "a_group_in_use_is_not_moved",
    "browsing_moves_nobody",
    "waiting_for_messages_ends_when_there_are_some",
    "equal_keys_share_a_partition",
    "outputs_are_published_with_the_round",
    "a_round_with_an_output_that_cannot_be_is_refused_as_a_whole",
    "a_refused_round_settles_once_it_is_changed",
    "a_message_as_large_as_can_be_finds_room_among_the_dead_letters",
    "what_was_done_is_remembered_after_a_crash",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_does_what_it_declares() {
    let Some(server) = RabbitMq::start(&RabbitMqOptions::default()) else { return };
    let matrix = conformance::run(&RabbitMqSubject { server }).await;
    matrix.assert_passed();
    matrix.assert_kept_as("rabbitmq");
    assert_eq!(matrix.without(Flag::DedupInbox).tests(&Verdict::Unsupported), UNSUPPORTED);
}
