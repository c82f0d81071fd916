//! Good files and what they mean.

use std::time::Duration;

use longshore_core::{Backoff, Batching, Breaker, Delivery, Order, Start};

use super::file;
use crate::config::{Reuse, Secret, hints};

const SMALLEST: &str = r#"
[handlers.billing]
component = "billing.wasm"
subscribe = [{ topic = "orders" }]
"#;

#[test]
fn the_smallest_file_is_a_handler_with_a_component_and_a_subscription() {
    let config = file(SMALLEST).good();
    let broker = &config.brokers["default"];
    assert_eq!((config.brokers.len(), broker.registration.name, &broker.settings), (1, "embedded", &serde_json::json!({})));
    let handler = &config.handlers["billing"];
    assert_eq!((handler.reuse, handler.limits), (Reuse::After(10_000), longshore_core::Limits::default()));
    assert_eq!(handler.component.file(), Some(config.folder.join("billing.wasm").as_path()));
    let subscription = &handler.subscriptions[0];
    assert_eq!((subscription.name.as_str(), subscription.group.as_deref()), ("billing/orders", Some("billing")));
    assert_eq!((subscription.concurrency, subscription.max_in_flight, subscription.max_deliveries), (16, 1000, 20));
    assert_eq!(subscription.retry, longshore_core::RetryPolicy::default());
    assert_eq!(subscription.dead_letter, longshore_core::DeadLetterPolicy::default());
    assert_eq!((subscription.fetch.max_messages, &subscription.start), (1000, &Start::Earliest));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:7070");
    assert_eq!(config.shutdown_grace, Duration::from_secs(30));
}

#[test]
fn every_key_reaches_its_value() {
    let config = file(
        r#"
shutdown-grace = "5s"
[brokers.default]
type = "embedded"
path = "other.db"
publish-timeout = "3s"
reconnect = { initial-delay = "2s", max-delay = "1m" }
max-message-size = "2MiB"
[handlers.h]
component = "h.wasm"
build = { command = "make", watch = ["src"] }
reuse = "fresh"
limits = { memory = "1MiB", deadline = "2s" }
publish = ["out", "audit.*", { topic = "copy", as = "mirror" }]
output = "mirror"
config = { currency = "EUR", rate = 1.50, on = true }
stores = { cache = [], locks = [] }
http = []
retry = { max-attempts = 2, backoff = "linear", jitter = true, on-timeout = "reject" }
dead-letter = false
batch = { max-messages = 10 }
circuit-breaker = { threshold = 3 }
[[handlers.h.subscribe]]
topic = ["a", "b"]
patterns = ["c.*"]
group = "g"
order = "key"
start = "1970-01-01T00:00:01Z"
fetch = { max-messages = 7 }
concurrency = 2
[topics."orders.created"]
retention = "7d"
max-size = "1GiB"
until-finished = true
[jobs.nightly]
component = "n.wasm"
restart = "on-failure"
subscribe = [{ name = "work", topic = "tasks.open", order = "lane" }]
[admin]
listen = "0.0.0.0:0"
token = "t0ken"
metrics = false
"#,
    )
    .good();
    let broker = &config.brokers["default"];
    assert_eq!(broker.settings, serde_json::json!({ "path": "other.db", "max-message-size": "2MiB" }));
    assert_eq!((broker.publish_timeout.as_secs(), broker.reconnect.max.as_secs(), broker.max_message_size), (3, 60, 2 << 20));
    let handler = &config.handlers["h"];
    assert_eq!((handler.reuse, handler.limits.memory, handler.limits.cpu), (Reuse::Fresh, 1 << 20, Duration::from_secs(1)));
    assert_eq!(handler.build.as_ref().map(|build| build.watch.clone()), Some(vec![config.folder.join("src")]));
    assert_eq!((handler.publish[2].alias.as_deref(), handler.output.as_deref()), (Some("mirror"), Some("mirror")));
    let text = |key: &str| handler.config[key].expose().to_owned();
    assert_eq!((text("currency"), text("rate"), text("on")), ("EUR".into(), "1.50".into(), "true".into()));
    let subscription = &handler.subscriptions[0];
    assert_eq!(subscription.name, "h/a+b+c.*");
    assert_eq!((subscription.order, subscription.start.clone()), (Order::Key, Start::Time(1000)));
    let retry = &subscription.retry;
    assert_eq!((retry.max_attempts, retry.backoff, retry.jitter, retry.reject_timeouts), (2, Backoff::Linear, 0.1, true));
    assert_eq!(subscription.dead_letter.topic, None);
    assert_eq!(subscription.batching, Batching::Fixed { max_messages: 10, max_wait: Duration::from_millis(10) });
    assert_eq!(subscription.breaker, Some(Breaker { threshold: 3, reset_after: Duration::from_secs(60) }));
    let topics = config.topics_of("default");
    assert_eq!((topics[0].0.as_str(), topics[0].1.max_size, topics[0].1.until_finished), ("orders.created", Some(1 << 30), true));
    assert_eq!(config.jobs["nightly"].subscriptions[0].short_name(), "work");
    assert_eq!(config.admin.token, Some(Secret::new("t0ken")));
}

#[test]
fn entries_override_handlers_override_defaults_key_by_key() {
    let config = file(
        r#"
[defaults]
retry = { max-attempts = 9, max-delay = "5m" }
limits = { deadline = "9s" }
circuit-breaker = {}
[handlers.h]
component = "h.wasm"
retry = { max-delay = "2m" }
limits = { memory = "1MiB" }
subscribe = [{ topic = "a", retry = { jitter = 0 } }, { topic = "b", circuit-breaker = false, retry = { max-attempts = 1 } }]
[jobs.j]
component = "j.wasm"
"#,
    )
    .good();
    let handler = &config.handlers["h"];
    assert_eq!((handler.limits.memory, handler.limits.deadline.as_secs()), (1 << 20, 9));
    assert_eq!(config.jobs["j"].limits.deadline.as_secs(), 9);
    let [a, b] = handler.subscriptions.as_slice() else { panic!("two subscriptions") };
    assert_eq!((a.retry.max_attempts, a.retry.max_delay.as_secs(), a.retry.jitter), (9, 120, 0.0));
    assert_eq!((b.retry.max_attempts, b.retry.max_delay.as_secs(), b.retry.jitter), (1, 120, 0.1));
    assert!(a.breaker.is_some() && b.breaker.is_none());
}

#[test]
fn variables_are_read_as_what_their_key_wants() {
    let config = file(
        r#"
[handlers.h]
component = "${NAME}.wasm"
reuse = "${REUSE}"
dead-letter = "${DLQ}"
retry = { max-attempts = "${ATTEMPTS:-7}", jitter = "${JITTER}" }
subscribe = [{ topic = "${TOPICS}", order = "${ORDER}" }]
publish = "${GRANTS}"
config = { worker = "${NAME}", port = "${PORT}" }
"#,
    )
    .variable("NAME", "h")
    .variable("REUSE", "5")
    .variable("DLQ", "no")
    .variable("JITTER", "0.25")
    .variable("TOPICS", "a, b")
    .variable("ORDER", "key")
    .variable("GRANTS", "x,y.*")
    .variable("PORT", "0080")
    .good();
    let handler = &config.handlers["h"];
    let subscription = &handler.subscriptions[0];
    assert_eq!((handler.reuse, subscription.retry.max_attempts, subscription.retry.jitter), (Reuse::After(5), 7, 0.25));
    assert_eq!((subscription.dead_letter.topic.clone(), subscription.order, subscription.topics.len()), (None, Order::Key, 2));
    assert_eq!(handler.publish.len(), 2);
    assert_eq!(handler.config["port"].expose(), "0080");
}

#[test]
fn overlays_and_arguments_are_laid_over_the_file() {
    let config = file(SMALLEST)
        .beside("longshore.prod.toml", "[handlers.billing]\nretry = { max-attempts = 3 }\nlimits = { deadline = \"1s\" }\n")
        .env("prod")
        .set("handlers.billing.retry.max-attempts=4")
        .set("handlers.billing.config.name=from the line")
        .set(r#"brokers.default={ type = "queue" }"#)
        .good();
    let handler = &config.handlers["billing"];
    assert_eq!((handler.subscriptions[0].retry.max_attempts, handler.limits.deadline.as_secs()), (4, 1));
    assert_eq!(handler.config["name"].expose(), "from the line");
    assert_eq!(config.brokers["default"].registration.name, "queue");
}

#[test]
fn what_nobody_keeps_is_delivered_once_at_most_and_what_fails_goes_nowhere() {
    let config = file(
        r#"
[brokers.default]
type = "embedded"
[brokers.cheap]
type = "pubsub"
url = "x"
[defaults]
dead-letter = { topic = "dead" }
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a", broker = "cheap" }, { topic = "b", broker = "cheap", persist = true }, { topic = "c" }]
"#,
    )
    .good();
    let of = |i: usize| {
        let subscription = &config.handlers["h"].subscriptions[i];
        (subscription.delivery, subscription.dead_letter.topic.as_deref())
    };
    assert_eq!(of(0), (Delivery::AtMostOnce, None));
    assert_eq!([of(1), of(2)], [(Delivery::AtLeastOnce, Some("dead")); 2]);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let config = file(
        r#"
[brokers.default]
type = "pubsub"
url = "pubsub://me:hunter1@host"
password = "file:password"
[handlers.h]
component = "h.wasm"
config = { key = "file:password", plain = "hunter3" }
subscribe = [{ topic = "orders" }]
"#,
    )
    .beside("password", "hunter2\n")
    .good();
    let broker = &config.brokers["default"];
    assert_eq!(broker.settings["password"], "hunter2");
    assert_eq!(config.handlers["h"].config["key"].expose(), "hunter2");
    assert_eq!(broker.shown["url"], "pubsub://me:***@host");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn equal_names_of_subscriptions_are_told_apart() {
    let config = file(
        r#"
[brokers.default]
type = "embedded"
[brokers.other]
type = "embedded"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a" }, { topic = "a", broker = "other" }, { topic = "a", group = "second" }, { topic = "b" }]
"#,
    )
    .good();
    let names: Vec<&str> = config.subscriptions().map(|subscription| subscription.name.as_str()).collect();
    assert_eq!(names, ["h/a@default#1", "h/a@other", "h/a@default#2", "h/b"]);
}

#[test]
fn a_broker_without_groups_is_consumed_without_one() {
    let config =
        file("[brokers.default]\ntype = \"pubsub\"\nurl = \"x\"\n[handlers.h]\ncomponent = \"h\"\nsubscribe = [{ topic = \"a\" }]\n")
            .good();
    assert_eq!(config.handlers["h"].subscriptions[0].group, None);
}

#[test]
fn flat_names_get_a_hint() {
    let config = file("[handlers.h]\ncomponent = \"h\"\nsubscribe = [{ topic = \"events\" }, { topic = \"orders\" }]\n").good();
    let hints: Vec<String> = hints(&config).iter().map(ToString::to_string).collect();
    assert_eq!(hints, [r#"handlers.h.subscribe[0].topic: the name "events" does not say what is in it"#]);
}

#[test]
fn what_is_promised_goes_by_what_a_broker_is_able_to_as_it_is_configured() {
    let outputs = |path: &str| {
        let text = format!(
            "[brokers.default]\ntype = \"embedded\"\npath = {path:?}\n[handlers.h]\ncomponent = \"h.wasm\"\nsubscribe = [{{ topic = \"a\" }}]\n"
        );
        let config = file(&text).good();
        config.guarantee(&config.handlers["h"].subscriptions[0]).outputs
    };
    assert_eq!(outputs("whole.db"), crate::config::Outputs::Atomic);
    assert_eq!(outputs("divided.db"), crate::config::Outputs::ConfirmedFirst);
}

#[test]
fn a_store_is_there_where_somebody_uses_one() {
    assert!(file(SMALLEST).good().stores.is_empty());
    assert_eq!(file(SMALLEST).good().store("default").expect("for a command").registration.name, "embedded");

    let config = file(&format!("{SMALLEST}stores = {{ cache = [\"sessions\"] }}\n")).good();
    assert_eq!(config.stores["default"].registration.name, "embedded");
    let config = file(
        r#"
[stores.default]
type = "embedded"
path = "values.db"
[stores.fast]
type = "memory"
timeout = "1s"
max-key-size = "64B"
max-value-size = "2MiB"
default-ttl = "10m"
max-lock-ttl = "1m"
[handlers.h]
component = "h.wasm"
subscribe = [{ topic = "a" }]
stores = { cache = ["sessions", { bucket = "rates", store = "fast", as = "limits" }], key-value = ["carts"], locks = ["charge:*", { name = "slow", store = "fast" }] }
[jobs.j]
component = "j.wasm"
stores = { key-value = [{ bucket = "carts" }] }
"#,
    )
    .good();
    let fast = &config.stores["fast"];
    assert_eq!((fast.timeout, fast.max_key_size, fast.max_value_size), (Duration::from_secs(1), 64, 2 << 20));
    assert_eq!((fast.default_ttl, &fast.settings), (Some(Duration::from_secs(600)), &serde_json::json!({})));
    assert_eq!(config.stores["default"].settings, serde_json::json!({ "path": "values.db" }));
    assert_eq!((fast.max_lock_ttl, config.stores["default"].max_lock_ttl), (Duration::from_secs(60), Duration::from_secs(3600)));
    let told = |bucket: &crate::config::BucketConfig| format!("{} is {}/{}", bucket.alias, bucket.store, bucket.bucket);
    let stores = &config.handlers["h"].stores;
    let of_handler: Vec<String> = stores.cache.iter().chain(&stores.key_value).map(told).collect();
    let locks: Vec<String> = stores.locks.iter().map(|lock| format!("{}/{}", lock.store, lock.names)).collect();
    assert_eq!(locks, ["default/charge:*", "fast/slow"]);
    assert_eq!(of_handler, ["sessions is default/sessions", "limits is fast/rates", "carts is default/carts"]);
    assert_eq!(config.jobs["j"].stores.key_value.len(), 1);
}
