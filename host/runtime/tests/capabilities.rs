//! What guests may and may not do: publishing, configuration, stores that are not there, the sandbox.

mod support;

use longshore_testkit::guests::Guest;
use support::{call, handle, handler, keyed_outputs, outputs};

#[tokio::test]
async fn a_sandboxed_guest_gets_no_environment_files_or_sockets() {
    let handler = handler(Guest::Env, |_| {});
    let done = handle(&handler, call(&["look"])).await.expect("an answer");
    let saw = keyed_outputs(&done);
    assert_eq!(saw.len(), 7, "{saw:?}");
    for (tried, came) in saw {
        match tried.as_str() {
            "environment" | "arguments" => assert_eq!(came, "[]", "{tried}"),
            _ => assert!(came.starts_with("refused: "), "{tried}: {came}"),
        }
    }
}

#[tokio::test]
async fn stores_that_are_not_there_answer_unsupported() {
    let handler = handler(Guest::Stores, |_| {});
    let done = handle(&handler, call(&["cache sessions", "key-value carts", "lock charge"])).await.expect("an answer");
    assert!(done.failures.is_empty(), "{:?}", done.failures);
    for text in outputs(&done) {
        assert!(text.contains("no store stands behind"), "{text}");
    }
}
