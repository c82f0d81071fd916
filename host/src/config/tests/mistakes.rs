//! Bad files and what a person is told about them.

use super::file;

/// A snapshot of everything that is told about a file.
macro_rules! told {
    ($case:expr) => {
        insta::assert_snapshot!($case.wrong())
    };
}

#[test]
fn all_mistakes_are_told_at_once() {
    told!(file(
        r#"
shutdown-grace = 30
[brokers.default]
type = "embeded"
[brokers.events]
provider = "pubsub"
[brokers.cheap]
type = "pubsub"
connection_string = "x"
max-message-size = "1 mega"
faults = { refuse = 2.0 }
[handlers.billing]
componnent = "billing.wasm"
reuse = "sometimes"
subscribe = [{ topic = "orders", broker = "event", order = "keys", max_in_flight = 10 }]
retry = { max-attempts = 0, multiplier = nan, jitter = 1.5, max-delay = "0s", max_retries = 3 }
batch = { max-messages = 10001, max-wait = 10 }
dead-letter = "dlq"
limits = { deadline = "5", memory = 64 }
publish = "payments"
dedup = { key = "ids", window = "0s" }
http = ["api.example.com"]
stores = { cache = ["sessions"] }
[handlers.empty]
component = ""
subscribe = []
[jobs.nightly]
component = "n.wasm"
schedule = "0 3 * * *"
[stores.default]
type = "memory"
[admin]
listen = true
prot = 1
"#
    ));
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    told!(file("[handlers.billing]\ncomponent = \"a\npassword = \"hunter2\"\n"));
}

#[test]
fn a_table_that_stands_twice_is_told_with_both_lines() {
    told!(file("[brokers.default]\ntype = \"embedded\"\n\n[brokers.other]\ntype = \"embedded\"\n\n[brokers.default]\ntype = \"memory\"\n"));
}

#[test]
fn missing_variables_and_overlays_are_named() {
    told!(
        file("[handlers.h]\ncomponent = \"${NOWHERE}\"\nreuse = \"${WRONG}\"\nsubscribe = [{ topic = \"a${\" }]\n")
            .variable("WRONG", "often")
    );
    told!(file("").env("prod"));
}

#[test]
fn mistakes_in_arguments_and_overlays_point_there() {
    told!(
        file("[handlers.h]\ncomponent = \"h.wasm\"\nsubscribe = [{ topic = \"a\" }]\n")
            .beside("longshore.prod.toml", "[handlers.h]\nreuse = 0\n")
            .env("prod")
            .set("handlers.h.concurrency=many")
            .set("handlers.h.max-in-flihgt=3")
            .set("nonsense")
    );
}

#[test]
fn names_that_nobody_has_are_told_with_those_that_there_are() {
    told!(file(
        r#"
[brokers.events]
type = "embedded"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a" }, { topic = "b", broker = "evnets" }]
publish = ["x", { topic = "y", broker = "events" }]
output = "z"
[topics.a]
retention = "1d"
[jobs.h]
component = "h.wasm"
"#
    ));
}

#[test]
fn what_the_broker_cannot_do_is_told_with_who_can() {
    told!(file(
        r#"
[brokers.default]
type = "pubsub"
url = "x"
[brokers.events]
type = "embedded"
[handlers.h]
component = "h.wasm"
[[handlers.h.subscribe]]
topic = "a"
patterns = ["b.*"]
group = "g"
order = "key"
delivery = "at-least-once"
start = "1970-01-01T00:00:00Z"
retry = { max-attempts = 2 }
"#
    ));
}

#[test]
fn dead_letters_that_come_back_are_told() {
    told!(file(
        r#"
[handlers.self]
component = "h.wasm"
subscribe = [{ topic = "a" }]
dead-letter = { topic = "{topic}" }
[handlers.wide]
component = "h.wasm"
subscribe = [{ patterns = ["orders.**"] }]
[handlers.there]
component = "h.wasm"
subscribe = [{ topic = "x" }]
dead-letter = { topic = "y" }
[handlers.back]
component = "h.wasm"
subscribe = [{ topic = "y", dead-letter = { topic = "x" } }]
[handlers.good]
component = "h.wasm"
subscribe = [{ topic = "q" }, { topic = "q.good.dlq" }]
dead-letter = { topic = "dead.{group}" }
[handlers.braces]
component = "h.wasm"
subscribe = [{ topic = "b" }]
dead-letter = { topic = "{topics}.dlq" }
"#
    ));
}

#[test]
fn values_that_do_not_go_together_are_told() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
reconnect = { initial-delay = "1m" }
[handlers.h]
component = "h.wasm"
max-in-flight = 50
[[handlers.h.subscribe]]
topic = "a.*"
batch = { max-messages = 100 }
[[handlers.h.subscribe]]
topic = "b"
retry = { initial-delay = "2m" }
[[handlers.h.subscribe]]
topic = ["b", "c"]
[[handlers.h.subscribe]]
group = "x"
[[handlers.h.subscribe]]
topic = "d"
mode = "broadcast"
group = "x"
start = "2026-01-31"
[handlers."a/b"]
component = "h.wasm"
subscribe = [{ topic = "or..ders" }]
publish = [{ topic = "x.*", as = "y" }]
[jobs.j]
component = "j.wasm"
subscribe = [{ topic = "e", concurrency = 3 }]
[admin]
listen = "0.0.0.0:7070"
"#
    ));
    told!(file("[admin]\nlisten = \"7070\"\n"));
}

#[test]
fn secrets_beside_a_mistake_are_covered() {
    let told = file(
        r#"
[brokers.default]
type = "pubsub"
url = "pubsub://me:hunter1@host"
password = "file:missing"
[brokers.other]
type = "pubsub"
url = 5
password = 'hunter2'
[brokers.third]
type = "pubsub"
passwd = "hunter7"
[handlers]
h = { component = "h", config = { a = "hunter3", "b" = 'hunter4' }, subscribe = [{ topic = "a" }], x = "pubsub://me:hunter5@host" }
i = { component = "h", subscribe = [{ topic = "${SECRET}" }], reuse = "pubsub://me:hunter6@host" }
"#,
    )
    .variable("SECRET", "a..b")
    .set("admin.token=hunter8")
    .set("admin.tokn=hunter9");
    assert!(!told.wrong().contains("hunter"), "{}", told.wrong());
    told!(told);
}

#[test]
fn names_that_mean_two_things_are_told() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
[brokers.other]
type = "embedded"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a" }]
publish = ["x", { topic = "x", broker = "other" }, { topic = "y", as = "z" }, { topic = "w", as = "z" }]
[jobs.j]
component = "j.wasm"
subscribe = [{ topic = "b" }, { topic = "b", group = "second" }]
"#
    ));
}

#[test]
fn kinds_of_brokers_that_are_not_here_are_told_apart() {
    told!(file(
        "[brokers.a]\ntype = \"webhook\"\n[brokers.b]\ntype = \"redis\"\n[brokers.c]\ntype = \"memory\"\n[brokers.d]\ntype = \"x\"\n"
    ));
}

#[test]
fn names_that_no_topic_can_have_are_told_before_the_first_message() {
    told!(file(
        r#"
[handlers.a]
component = "a.wasm"
subscribe = [{ topic = "orders", group = "team/billing" }, { topic = "two words" }]
"#
    ));
}

#[test]
fn keys_that_mean_nothing_here_are_told() {
    told!(file(
        r#"
[handlers.a]
component = "a.wasm"
subscribe = [{ topic = "orders", fetch = { max-wait = "1s" } }, { topic = "events", mode = "broadcast", start = "earliest" }]
[jobs.b]
component = "b.wasm"
limits = { deadline = "5s", cpu = "1s" }
"#
    ));
}

#[test]
fn what_no_queue_can_do_is_told() {
    told!(file(
        r#"
[brokers.default]
type = "queue"
[handlers.first]
component = "a.wasm"
subscribe = [{ topic = "orders" }, { topic = "waits", fetch = { max-wait = "0s" } }]
[handlers.second]
component = "a.wasm"
subscribe = [{ topic = "orders" }, { topic = "a", order = "key" }, { topic = "b", mode = "broadcast" }]
"#
    ));
}

#[test]
fn at_most_once_is_refused_where_nobody_knows_who_had_a_message() {
    let subscribe = |broker: &str| {
        let subscribe = r#"[{ topic = "orders", delivery = "at-most-once" }]"#;
        format!("[brokers.default]\ntype = {broker:?}\n[handlers.a]\ncomponent = \"a.wasm\"\nsubscribe = {subscribe}\n")
    };
    told!(file(&subscribe("queue")));
    file(&subscribe("embedded")).good();
}

#[test]
fn tries_that_nobody_counts_are_not_bounded() {
    let broker = |kind: &str| format!("[brokers.default]\ntype = {kind:?}\nreconnect = {{ max-attempts = 3 }}\n");
    told!(file(&broker("queue")));
    file(&broker("embedded")).good();
}

#[test]
fn a_retry_beside_at_most_once_is_refused() {
    let subscribe = |more: &str| {
        format!("[handlers.a]\ncomponent = \"a.wasm\"\nsubscribe = [{{ topic = \"orders\", delivery = \"at-most-once\"{more} }}]\n")
    };
    told!(file(&subscribe(", retry = { max-attempts = 3 }")));
    // What a handler says of all its subscriptions means something to the others.
    file(&format!("[defaults]\nretry = {{ max-attempts = 3 }}\n{}", subscribe(""))).good();
}

#[test]
fn copies_that_cannot_be_or_would_double_are_told() {
    told!(file(
        r#"
[brokers.default]
type = "pubsub"
url = "x"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a", persist = true }]
"#
    ));
    told!(file(
        r#"
[brokers.log]
type = "embedded"
[brokers.cheap]
type = "pubsub"
url = "x"
[handlers.h]
component = "h.wasm"
subscribe = [
    { topic = ["a", "b"], broker = "cheap", persist = true, order = "key" },
    { topic = "c", broker = "log", persist = true },
]
[handlers.same]
component = "h.wasm"
subscribe = [{ topic = ["a", "b"], broker = "cheap", persist = true }]
[handlers.other]
component = "h.wasm"
subscribe = [{ topic = "b", broker = "cheap", persist = true }]
"#
    ));
}

#[test]
fn what_needs_keeping_is_told_where_nothing_is_kept() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
[brokers.cheap]
type = "pubsub"
url = "x"
[defaults]
retry = { max-attempts = 3 }
[topics.a]
broker = "cheap"
retention = "1h"
[handlers.all]
component = "h.wasm"
dead-letter = { topic = "dead" }
max-deliveries = 3
subscribe = [{ topic = "a", broker = "cheap", retry = { max-attempts = 2 }, delivery = "at-least-once", start = "earliest" }]
[handlers.some]
component = "h.wasm"
dead-letter = { topic = "dead" }
subscribe = [{ topic = "a" }, { topic = "b", broker = "cheap" }]
[handlers.none]
component = "h.wasm"
dead-letter = false
subscribe = [{ topic = "c", broker = "cheap", delivery = "at-most-once", start = "latest" }]
[handlers.copied]
component = "h.wasm"
retry = { max-attempts = 2 }
subscribe = [{ topic = "d", broker = "cheap", persist = true, delivery = "at-least-once", start = "earliest" }]
"#
    ));
}

#[test]
fn what_comes_with_longshore_is_told_apart_from_files() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
[handlers.bridge]
component = "longshore:pass-true"
subscribe = [{ topic = "a" }]
[handlers.other]
component = "longshore:pass-through"
subscribe = [{ topic = "a" }]
publish = ["b"]
output = "b"
reuse = "fresh"
build = { command = "true" }
"#
    ));
}

#[test]
fn keys_of_one_kind_of_broker_are_told_where_another_kind_has_none() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
[brokers.cheap]
type = "pubsub"
url = "x"
[handlers.h]
component = "h.wasm"
subscribe = [
    { topic = "a", buffer = 10 },
    { topic = "b", broker = "cheap", buffer = "10" },
    { topic = "c", broker = "cheap", buffer = 0 },
    { topic = "d", broker = "cheap", buffer = 5 },
]
"#
    ));
}

#[test]
fn mistakes_about_stores_are_told_where_they_are() {
    told!(file(
        r#"
[stores.shared]
type = "redis-streams"
[stores.other]
type = "memory"
max-sise = "1MiB"
default-ttl = "0s"
[stores.small]
type = "embedded"
max-size = "100KiB"
[stores.smaller]
type = "memory"
max-value-size = "65MiB"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a" }]
stores = { cache = ["bad name", { bucket = "b", store = "othr" }, "b"], key-value = ["c", { bucket = "d", as = "c" }], locks = ["l", { name = "m", store = "othr" }] }
"#
    ));
}

#[test]
fn duplicates_can_be_told_where_something_remembers_what_was_done() {
    told!(file(
        r#"
[brokers.default]
type = "embedded"
[brokers.away]
type = "queue"
[brokers.calls]
type = "pubsub"
url = "x"
[stores.shared]
type = "memory"
[stores.narrow]
type = "memory"
max-key-size = "31B"
[defaults]
dedup = true
[handlers.good]
component = "a.wasm"
subscribe = [{ topic = "good" }]
[handlers.bad]
component = "a.wasm"
subscribe = [
  { topic = "once", delivery = "at-most-once" },
  { topic = "all", mode = "broadcast" },
  { topic = "stored", dedup = { key = "json:id" } },
  { topic = "stored", dedup = { store = "shared" }, group = "other" },
  { topic = "calls", broker = "calls" },
  { topic = "away", broker = "away" },
  { topic = "elsewhere", broker = "away", dedup = { store = "share" } },
  { topic = "there", broker = "away", dedup = { store = "shared", key = "header:k" } },
  { topic = "tight", broker = "away", dedup = { store = "narrow" } },
]
"#
    ));
}

#[test]
fn what_no_transaction_covers_is_not_asked_for_exactly_once() {
    told!(file(
        r#"
[brokers.default]
type = "log"
[brokers.elsewhere]
type = "log"
[stores.default]
type = "memory"
[handlers.good]
component = "a.wasm"
subscribe = [{ topic = "good", exactly-once = true }, { topic = "kept", dedup = true }]
publish = ["out"]
[handlers.unasked]
component = "a.wasm"
subscribe = [{ topic = "unasked" }, { topic = "no", exactly-once = false }]
publish = [{ topic = "out", broker = "elsewhere" }]
[handlers.bad]
component = "a.wasm"
subscribe = [{ topic = "plain" }, { topic = "once", exactly-once = true }, { topic = "kept", exactly-once = true, dedup = true }]
publish = ["out", { topic = "far-out", broker = "elsewhere" }]
[handlers.far]
component = "a.wasm"
subscribe = [{ topic = "far", broker = "elsewhere", exactly-once = true }]
publish = ["out"]
[jobs.j]
component = "a.wasm"
subscribe = [{ topic = "work", exactly-once = true }, { topic = "plain" }]
"#
    ));
}
