//! The conformance suite on the brokers inside this process.

mod support;

use longshore_core::Flag;
use longshore_testkit::conformance;
use support::{EmbeddedSubject, MemorySubject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_does_what_it_declares() {
    conformance::run(&EmbeddedSubject::default()).await.assert_passed();
}

#[tokio::test]
async fn memory_does_what_it_declares() {
    conformance::run(&MemorySubject).await.assert_passed();
}

#[tokio::test]
async fn memory_and_embedded_have_one_matrix_but_for_durability() {
    let embedded = conformance::run(&EmbeddedSubject::default()).await;
    let memory = conformance::run(&MemorySubject).await;
    println!("{embedded}");
    assert_eq!(embedded.without(Flag::Durable), memory.without(Flag::Durable));
}
