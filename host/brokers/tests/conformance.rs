//! The conformance suite on the brokers inside this process.

mod support;

use longshore_core::Flag;
use longshore_testkit::conformance::{self, Verdict};
use support::{EmbeddedSubject, MemorySubject};

/// What neither can do.
const NO_PARTITIONS: &str = "equal_keys_share_a_partition";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_does_what_it_declares() {
    let matrix = conformance::run(&EmbeddedSubject::default()).await;
    matrix.assert_passed();
    assert_eq!(matrix.tests(&Verdict::Unsupported), [NO_PARTITIONS]);
    matrix.assert_kept_as("embedded");
}

#[tokio::test]
async fn memory_does_what_it_declares() {
    let matrix = conformance::run(&MemorySubject).await;
    matrix.assert_passed();
    assert_eq!(
        matrix.tests(&Verdict::Unsupported),
        [
            NO_PARTITIONS,
            "messages_and_marks_outlive_a_crash",
            "retries_their_attempts_and_their_times_outlive_a_crash",
            "delayed_messages_outlive_a_crash",
            "what_was_done_is_remembered_after_a_crash"
        ]
    );
    matrix.assert_kept_as("memory");
}

#[tokio::test]
async fn memory_and_embedded_have_one_matrix_but_for_durability() {
    let embedded = conformance::run(&EmbeddedSubject::default()).await;
    let memory = conformance::run(&MemorySubject).await;
    println!("{embedded}");
    assert_eq!(embedded.without(Flag::Durable), memory.without(Flag::Durable));
}
