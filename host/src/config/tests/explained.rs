//! What `explain` prints.

use super::file;
use crate::config::explain;

#[test]
fn every_value_is_told_with_its_origin() {
    let config = file(
        r#"
[brokers.default]
type = "embedded"
[brokers.cheap]
type = "pubsub"
url = "x"
[defaults]
retry = { max-attempts = 9 }
[handlers.h]
component = "h.wasm"
batch = { max-messages = 10 }
publish = ["out"]
subscribe = [{ topic = "a", order = "key", retry = { jitter = 0 } }]
[handlers.there]
component = "h.wasm"
publish = ["out"]
subscribe = [{ topic = "a", broker = "cheap" }]
[brokers.list]
type = "queue"
[handlers.queue]
component = "h.wasm"
subscribe = [{ topic = "a", broker = "list" }, { topic = "b", broker = "list", fetch = { max-wait = "3s" } }]
[jobs.j]
component = "j.wasm"
publish = [{ topic = "out", broker = "cheap" }]
subscribe = [{ topic = "b" }]
"#,
    )
    .beside("longshore.prod.toml", "[handlers.h]\ncircuit-breaker = { threshold = 5 }\n")
    .env("prod")
    .set("handlers.h.concurrency=3")
    .good();
    let text: Vec<String> = explain(&config).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"));
}
