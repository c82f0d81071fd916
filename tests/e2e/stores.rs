//! Caches and key-value buckets: what a handler keeps, what outlives the host, and what the commands see of it.

use std::collections::BTreeMap;

use longshore_testkit::servers;

use super::host::{Guest, OnServer, Project, eventually, example, guest, text};

/// The guest that touches a bucket, with what it may open.
fn project(stores: &str, more: &str) -> Project {
    at_once(16, stores, more)
}

/// The same with so many calls at once.
fn at_once(calls: usize, stores: &str, more: &str) -> Project {
    Project::new(&format!(
        r#"
[handlers.stores]
component = "{}"
subscribe = [{{ topic = "in", concurrency = {calls} }}]
publish = ["out"]
output = "out"
stores = {{ {stores} }}
{more}
"#,
        guest(Guest::Stores)
    ))
}

fn touch(project: &Project, what: &[&str]) {
    project.publish("in", what.iter().map(|text| (String::new(), (*text).to_owned(), None)));
}

/// What came of each touch, by kind of store.
fn went(project: &Project) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    project.messages("out").iter().map(|m| (text(&m["key"]), text(&m["payload"]))).collect()
}

#[test]
fn what_a_handler_keeps_outlives_the_host_and_is_seen_by_the_commands() {
    let project = project(r#"cache = ["sessions"], key-value = [{ bucket = "shopping-carts", as = "carts" }]"#, "");
    project.ok(&["check"]);
    touch(&project, &["cache sessions", "key-value carts", "key-value others"]);
    project.ok(&["run", "--until-idle"]);
    let messages = project.messages("out");
    let mut told: Vec<&str> = messages.iter().filter_map(|m| m["payload"].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains(r#"add it to its stores = { key-value = ["others"] }"#), "{told:?}");
    assert_eq!(told[1..], ["ok", "ok"]);

    assert_eq!(project.ok(&["kv", "get", "shopping-carts", "touched"]), "yes\n");
    assert_eq!(project.ok(&["kv", "keys", "shopping-carts"]), "touched\n");
    project.ok(&["kv", "set", "shopping-carts", "a:1", "one"]);
    project.ok(&["kv", "set", "shopping-carts", "a:2", "two"]);
    assert_eq!(project.ok(&["kv", "keys", "shopping-carts", "a:*"]), "a:1\na:2\n");
    assert_eq!(project.ok(&["kv", "delete", "shopping-carts", "--matching", "a:*"]), "2 removed\n");
    project.ok(&["kv", "delete", "shopping-carts", "touched"]);
    let missing = project.fails(4, &["kv", "get", "shopping-carts", "touched"]);
    assert!(missing.contains(r#"there is no "touched" in the key-value bucket "shopping-carts""#), "{missing}");
    project.fails(4, &["kv", "delete", "shopping-carts", "touched"]);

    project.ok(&["cache", "set", "sessions", "k", "v", "--ttl", "1h"]);
    let shown: serde_json::Value = serde_json::from_str(&project.ok(&["cache", "get", "sessions", "k", "--output", "json"])).unwrap();
    assert_eq!((&shown["key"], &shown["value"]), (&"k".into(), &"v".into()));
    assert!((1..=3_600_000).contains(&shown["ttl_ms"].as_u64().unwrap()), "{shown}");
    let refused = project.fails(2, &["kv", "set", "shopping-carts", "k", "v", "--ttl", "1h"]);
    assert!(refused.contains("a time to live is for caches"), "{refused}");
    let refused = project.fails(2, &["kv", "get", "no bucket", "k"]);
    assert!(refused.contains(r#""no bucket" cannot be the name of a bucket"#), "{refused}");
    let unknown = project.fails(4, &["kv", "get", "shopping-carts", "k", "--store", "elsewhere"]);
    assert!(unknown.contains(r#"there is no store "elsewhere""#), "{unknown}");
}

#[test]
fn commands_ask_the_host_that_has_the_store() {
    for kind in ["embedded", "memory"] {
        let project = project(r#"key-value = ["carts"]"#, &format!("[stores.default]\ntype = \"{kind}\"\n"));
        let host = project.start(&[]);
        touch(&project, &["key-value carts"]);
        eventually("the handler wrote", || text(&project.run(&["kv", "get", "carts", "touched"]).stdout) == "yes\n");
        project.ok(&["kv", "set", "carts", "k/ü ?", "v"]);
        assert_eq!(project.ok(&["kv", "get", "carts", "k/ü ?"]), "v\n");
        assert_eq!(project.ok(&["kv", "keys", "carts", "k*"]), "k/ü ?\n");
        host.kill();
        match kind {
            "embedded" => assert_eq!(project.ok(&["kv", "get", "carts", "k/ü ?"]), "v\n", "it outlives kill -9"),
            _ => assert!(project.fails(3, &["kv", "get", "carts", "k"]).contains("is in the memory of the host")),
        }
    }
}

#[test]
fn a_host_that_opened_no_store_says_why() {
    let project = project("", "");
    let _host = project.start(&[]);
    let told = project.fails(4, &["kv", "set", "carts", "k", "v"]);
    assert!(told.contains("the host that runs has opened none, as no handler or job of its configuration uses one"), "{told}");
}

/// A host that has a file of this configuration, but runs on another one, is not asked for what is in this one's.
#[test]
fn a_host_on_another_configuration_is_not_asked() {
    let project = project(r#"key-value = ["carts"]"#, "");
    let host = project.start(&[]);
    let other = "[brokers.default]\ntype = \"embedded\"\n[stores.default]\ntype = \"embedded\"\npath = \"other.db\"\n";
    project.write("other.toml", &format!("{other}[admin]\nlisten = \"127.0.0.1:0\"\n"));
    let on_other = |arguments: &[&'static str]| [arguments, &["--config", "other.toml"]].concat();
    project.ok(&on_other(&["kv", "set", "carts", "k", "other"]));
    project.fails(4, &["kv", "get", "carts", "k"]);
    assert_eq!(project.ok(&on_other(&["kv", "get", "carts", "k"])), "other\n");
    let told = project.fails(1, &on_other(&["consume", "in", "--from-start"]));
    assert!(told.contains("longshore.db is in use by process") && told.contains("a host that runs on"), "{told}");
    assert!(told.contains("longshore.toml"), "{told}");
    drop(host);
}

#[test]
fn values_beyond_the_limits_of_a_store_are_told_with_the_limit() {
    let project = project(r#"key-value = ["carts"]"#, "[stores.default]\ntype = \"embedded\"\nmax-value-size = \"2B\"\n");
    touch(&project, &["key-value carts"]);
    project.ok(&["run", "--until-idle"]);
    let told = went(&project);
    assert!(told["key-value"].contains("a value of 3 bytes is more than the 2 that store \"default\" takes"), "{told:?}");
    let error = project.fails(1, &["kv", "set", "carts", "k", "long"]);
    assert!(error.contains("max-value-size"), "{error}");
}

/// A hundred calls at once miss a value that takes half a second to make; on one host, and on two that share a server.
#[test]
fn of_many_who_miss_a_value_at_once_one_computes_it() {
    let grants = r#"cache = ["pages"], locks = ["cache:*"]"#;
    let alone = at_once(100, grants, "");
    touch(&alone, &["compute pages"; 100]);
    alone.ok(&["run", "--until-idle"]);
    all_went_well_and_one_computed(&alone.messages("out"), &alone.ok(&["cache", "get", "pages", "computed"]));

    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default()) else { return };
    let laid = ["brokers.default]\ntype = \"redis-streams", "stores.default]\ntype = \"redis"];
    let laid = laid.map(|table| format!("[{table}\"\nurl = \"${{REDIS_URL}}\"\n")).concat();
    let shared = OnServer::laid_over(at_once(50, grants, ""), "redis", &laid, ("REDIS_URL", &redis.url()));
    let _hosts = ["first.log", "second.log"].map(|log| shared.start(log));
    shared.publish((0..100).map(|n| serde_json::json!({ "topic": "in", "key": n.to_string(), "payload": "compute pages" })));
    let mut messages = Vec::new();
    eventually("all have it", || {
        messages = shared.messages("out");
        messages.len() >= 100
    });
    all_went_well_and_one_computed(&messages, &shared.ok(&["cache", "get", "pages", "computed"]));
}

fn all_went_well_and_one_computed(messages: &[serde_json::Value], computed: &str) {
    let bad: Vec<_> = messages.iter().filter(|message| message["payload"] != "ok").collect();
    assert!(messages.len() == 100 && bad.is_empty(), "{bad:?} of {}", messages.len());
    assert_eq!(computed, "1\n");
}

/// Of 25 requests of one customer never more than ten pass in one window, and all pass in the end.
#[test]
fn the_rate_limit_example_admits_so_many_in_each_window_and_all_in_the_end() {
    let project = example("rate-limit", "");
    project.publish("requests", (0..25).map(|n| ("ada".to_owned(), n.to_string(), None)));
    project.publish("requests", (25..30).map(|n| ("grace".to_owned(), n.to_string(), None)));
    project.ok(&["run", "--until-idle"]);
    the_numbers_add_up(&project.messages("admitted"));
}

#[test]
fn two_hosts_on_redis_keep_one_limit() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default()) else { return };
    two_hosts_keep_one_limit("redis", ("REDIS_URL", &redis.url()));
}

#[test]
fn two_hosts_on_nats_keep_one_limit() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    two_hosts_keep_one_limit("nats", ("NATS_URL", &nats.url()));
}

/// The same with two hosts that share a store: neither knows what the other has admitted but by the store.
fn two_hosts_keep_one_limit(overlay: &str, address: (&str, &str)) {
    // One message at a time, or the first that asks might have them all.
    let one = "[handlers.limiter]\nsubscribe = [{ topic = \"requests\", fetch = { max-messages = 1 } }]\n";
    let limiter = OnServer::example("rate-limit", overlay, address, one);
    let told = limiter.ok(&["check", "--connect"]);
    assert!(told.contains(&format!("store default ({overlay}): healthy")), "{told}");
    let hosts = ["first.log", "second.log"].map(|log| limiter.start(log));
    let request =
        |n: usize| serde_json::json!({ "topic": "requests", "key": if n < 25 { "ada" } else { "grace" }, "payload": n.to_string() });
    limiter.publish((0..30).map(request));
    let mut messages = Vec::new();
    eventually("all are admitted", || {
        messages = limiter.messages("admitted");
        messages.len() >= 30
    });
    for host in &hosts {
        let (_, handlers) = host.get("/api/v1/handlers").expect("an answer");
        let handlers: serde_json::Value = serde_json::from_str(&handlers).unwrap();
        assert!(handlers[0]["subscriptions"][0]["ok"].as_u64() > Some(0), "both admit some: {handlers}");
    }
    the_numbers_add_up(&messages);
}

fn the_numbers_add_up(messages: &[serde_json::Value]) {
    let (mut windows, mut payloads) = (BTreeMap::<(String, String), usize>::new(), Vec::new());
    for message in messages {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        *windows.entry((text(&message["key"]), text(&message["headers"]["window"]))).or_default() += 1;
        payloads.push(text(&message["payload"]).parse::<usize>().unwrap());
    }
    payloads.sort_unstable();
    assert_eq!(payloads, (0..30).collect::<Vec<_>>(), "each once");
    assert!(windows.values().all(|count| *count <= 10), "{windows:?}");
    assert!(windows.keys().filter(|(customer, _)| customer == "ada").count() >= 3, "{windows:?}");
}

#[test]
fn a_store_that_is_not_there_or_lets_nobody_in_is_told_by_check_connect() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default().password("right")) else { return };
    let with = |url: &str, password: &str| {
        let store = format!("[stores.default]\ntype = \"redis\"\nurl = \"{url}\"\npassword = \"{password}\"\n");
        project(r#"cache = ["sessions"]"#, &store)
    };
    let wrong = with(&redis.url(), "hunter2").fails(2, &["check", "--connect"]);
    assert!(wrong.contains("stores.default") && wrong.contains("Password authentication failed"), "{wrong}");
    assert!(!wrong.contains("hunter2"), "{wrong}");
    for arguments in [&["run"][..], &["cache", "get", "sessions", "k"]] {
        let wrong = with(&redis.url(), "hunter2").fails(2, arguments);
        assert!(wrong.contains("stores.default") && wrong.contains("longshore.toml:"), "{arguments:?}: {wrong}");
        assert!(wrong.contains("Password authentication failed") && !wrong.contains("hunter2"), "{arguments:?}: {wrong}");
    }
    let gone = with("redis://127.0.0.1:1", "right").fails(3, &["check", "--connect"]);
    assert!(gone.contains("stores.default") && gone.contains("see whether the server runs"), "{gone}");
}
