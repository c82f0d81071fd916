//! The conformance suite.

use longshore_core::Flag;
use longshore_testkit::conformance::{self, Verdict};
use longshore_testkit::servers::{Kafka, KafkaOptions};

use super::support::KafkaSubject;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_does_what_it_declares() {
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else { return };
    let matrix = conformance::run(&KafkaSubject { kafka, once: false }).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("kafka");
    assert_eq!(
        matrix.without(Flag::DedupInbox).tests(&Verdict::Unsupported),
        [
            "a_delayed_message_is_never_early",
            "delayed_messages_come_in_the_order_of_their_times",
            "a_delayed_retry_is_never_early",
            "delayed_messages_are_counted_and_purged",
            "outputs_are_published_with_the_round",
            "a_round_with_an_output_that_cannot_be_is_refused_as_a_whole",
            "a_refused_round_settles_once_it_is_changed",
            "a_message_as_large_as_can_be_finds_room_among_the_dead_letters",
            "a_request_is_answered",
            "a_request_that_nobody_answers_times_out",
            "a_reply_to_nobody_is_an_error",
            "delayed_messages_outlive_a_crash",
            "what_was_done_is_remembered_after_a_crash",
            "every_subscriber_gets_a_copy_of_what_comes_while_it_is_there",
            "a_failed_broadcast_comes_again_to_its_subscriber_alone",
            "a_broadcast_leaves_no_group",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_does_exactly_once_what_it_declares() {
    let Some(kafka) = Kafka::start(&KafkaOptions::default()) else { return };
    let matrix = conformance::run(&KafkaSubject { kafka, once: true }).await;
    println!("{matrix}");
    matrix.assert_passed();
    matrix.assert_kept_as("kafka, exactly-once");
    let unsupported = matrix.tests(&Verdict::Unsupported);
    let of_transactions = conformance::tests().into_iter().filter(|test| test.flag == Flag::Transactions);
    assert!(of_transactions.into_iter().all(|test| !unsupported.contains(&test.name)), "{unsupported:?}");
}
