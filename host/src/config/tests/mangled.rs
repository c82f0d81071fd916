//! Files that somebody's cat has walked over: any answer is good, a panic is not.

use proptest::prelude::*;

use super::file;

const WHOLE: &str = r#"
shutdown-grace = "${GRACE:-30s}"
[brokers.default]
type = "pubsub"
url = "pubsub://me:pass@host"
password = "hunter2"
faults = { refuse = 0.5 }
[handlers.billing]
component = "billing.wasm"
build = { command = "make", watch = ["src"] }
reuse = 10000
limits = { memory = "64MiB", deadline = "5s" }
batch = { max-messages = 100, max-wait = "10ms" }
subscribe = [{ topic = "orders", group = "ü", start = "2026-01-31T08:00:00Z" }, { patterns = ["a.**"] }]
publish = ["payments", { topic = "x", broker = "default", as = "y" }]
config = { currency = "EUR", n = 1.5 }
retry = { max-attempts = 5, backoff = "linear", jitter = true }
dead-letter = { topic = "{topic}.{group}.dlq" }
[topics."orders.created"]
retention = "7d"
"#;

/// Parts that change what the text around them means.
const PIECES: [&str; 16] = ["[", "]", "{", "}", "\"", "=", ".", "\n", "${", "}", "*", "nan", "-1", "[[a]]", "é", "99999999999999999999"];

fn mangled() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0usize..12, prop::sample::select(&PIECES[..]));
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, cut, piece) in changes {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #[test]
    fn mangled_files_never_panic(text in mangled()) {
        if let Err(error) = file(&text).load() {
            let told = error.render(crate::config::Look::Lined);
            prop_assert!(!told.is_empty());
        }
    }

    #[test]
    fn mangled_arguments_never_panic(argument in "[a-c.\"=\\[{$}é]{0,12}") {
        let _ = file("").set(&argument).load().map_err(|error| error.render(crate::config::Look::Plain));
    }
}
