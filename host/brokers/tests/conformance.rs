//! The conformance suite on the brokers inside this process.

mod support;

use longshore_core::Flag;
use longshore_testkit::conformance::{self, Matrix, Verdict};
use support::{EmbeddedSubject, MemorySubject};

/// What neither can do.
const NO_PARTITIONS: &str = "equal_keys_share_a_partition";

/// The lines that say unsupported: all of them are meant, so that a role that was forgotten cannot hide behind one.
fn unsupported(matrix: &Matrix) -> Vec<&'static str> {
    matrix.entries.iter().filter(|entry| entry.verdict == Verdict::Unsupported).map(|entry| entry.test).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_does_what_it_declares() {
    let matrix = conformance::run(&EmbeddedSubject::default()).await;
    matrix.assert_passed();
    assert_eq!(unsupported(&matrix), [NO_PARTITIONS]);
    matrix.assert_kept_as("embedded");
}

#[tokio::test]
async fn memory_does_what_it_declares() {
    let matrix = conformance::run(&MemorySubject).await;
    matrix.assert_passed();
    assert_eq!(
        unsupported(&matrix),
        [
            NO_PARTITIONS,
            "messages_and_marks_outlive_a_crash",
            "retries_their_attempts_and_their_times_outlive_a_crash",
            "delayed_messages_outlive_a_crash"
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
