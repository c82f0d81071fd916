//! Locks: what the commands see of them, what a killed host leaves, and the inventory example over several hosts.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_testkit::servers;
use serde_json::{Value, json};

use super::host::{Guest, OnServer, Project, eventually, example, guest, within};

/// The guest that holds locks until its call is cut off.
fn project(more: &str) -> Project {
    Project::new(&format!(
        r#"
[handlers.stores]
component = "{}"
subscribe = [{{ topic = "in" }}]
publish = ["out"]
output = "out"
stores = {{ locks = ["charge:*"] }}
limits = {{ deadline = "50s" }}
{more}
"#,
        guest(Guest::Stores)
    ))
}

fn listed(project: &Project) -> Vec<Value> {
    project.ok(&["locks", "list", "--output", "json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_commands_tell_who_holds_a_lock_and_let_it_go() {
    let project = project("");
    let host = project.start(&[]);
    assert!(listed(&project).is_empty());
    project.fails(4, &["locks", "release", "charge:1", "--yes"]);
    // Both wait for the second, which that one holds itself.
    project.publish("in", [(String::new(), "wait charge:held".to_owned(), None)]);
    eventually("it is held", || listed(&project).len() == 1);
    project.publish("in", [(String::new(), "wait charge:1".to_owned(), None)]);
    eventually("both are held", || listed(&project).len() == 2);

    let locks = listed(&project);
    assert_eq!((&locks[0]["name"], &locks[1]["name"]), (&json!("charge:1"), &json!("charge:held")));
    let first = &locks[0];
    assert_eq!(first["handler"], "stores");
    assert!(first["host"].as_str().unwrap().ends_with(&format!("/{}", host.pid())), "{first}");
    assert!(!first["message"].as_str().unwrap().is_empty(), "{first}");
    assert!(first["fence"].as_u64() > locks[1]["fence"].as_u64(), "{locks:?}");
    assert!((1..=60_000).contains(&first["left_ms"].as_u64().unwrap()) && first["age_ms"].as_u64().unwrap() < 60_000, "{first}");
    let table = project.ok(&["locks", "list", "charge:1*"]);
    assert!(table.starts_with("NAME") && table.contains("charge:1") && !table.contains("charge:held"), "{table}");
    let (_, told) = host.get("/api/v1/locks/charge:1").expect("an answer");
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["fence"], first["fence"]);

    let over = project.fails(4, &["locks", "release", "charge:1", "--yes", "--fence", "1000000"]);
    assert!(over.contains("the grant 1000000"), "{over}");
    let refused = project.fails(2, &["locks", "release", "charge:1"]);
    assert!(refused.contains("Say --yes"), "{refused}");
    assert!(project.ok(&["locks", "release", "charge:1", "--yes"]).contains("released charge:1 (stores on "));
    assert_eq!(listed(&project).len(), 1);
    project.fails(4, &["locks", "release", "charge:1", "--yes"]);

    // The host is killed, and the lease stays until its time is over.
    host.kill();
    let left = listed(&project);
    assert_eq!((left.len(), &left[0]["name"]), (1, &json!("charge:held")));
    project.ok(&["locks", "release", "charge:held", "--yes"]);
    assert!(listed(&project).is_empty());
}

#[test]
fn a_lock_beyond_the_longest_lease_of_its_store_is_refused() {
    let project = project("[stores.default]\ntype = \"embedded\"\nmax-lock-ttl = \"10ms\"\n");
    project.publish("in", [(String::new(), "lock charge:1".to_owned(), None)]);
    project.ok(&["run", "--until-idle"]);
    let told = project.messages("out")[0]["payload"].as_str().unwrap().to_owned();
    assert!(told.contains("a ttl of 1000 ms is more than the 10 ms that a lease may have (max-lock-ttl)"), "{told}");
}

#[test]
fn the_inventory_example_reserves_what_there_is_and_no_more() {
    let project = example("inventory", "");
    project.publish("orders", (0..15).flat_map(|_| ["tea", "salt"].map(|item| (item.to_owned(), "2".to_owned(), None))));
    project.ok(&["run", "--until-idle"]);
    the_shelves_add_up(&project.messages("reserved"), &project.messages("sold-out"), 15, |item| {
        project.ok(&["kv", "get", "shelves", item])
    });
    assert!(listed(&project).is_empty(), "every lock is released");
}

#[test]
fn two_hosts_on_redis_count_one_shelf_though_one_is_killed() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default()) else { return };
    two_hosts_count_one_shelf("redis", ("REDIS_URL", &redis.url()));
}

#[test]
fn two_hosts_on_nats_count_one_shelf_though_one_is_killed() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    two_hosts_count_one_shelf("nats", ("NATS_URL", &nats.url()));
}

fn two_hosts_count_one_shelf(overlay: &str, address: (&str, &str)) {
    const ORDERS: usize = 60;
    // What a killed host held comes again soon, messages and locks alike.
    let soon = "[handlers.inventory]\nsubscribe = [{ topic = \"orders\", lease = \"2s\", fetch = { max-messages = 1 } }]\nconfig = { stock = 20, lease-seconds = 2 }\n";
    let inventory = OnServer::example("inventory", overlay, address, soon);
    let first = inventory.start("first.log");
    let _second = inventory.start("second.log");
    inventory.publish((0..ORDERS).map(|n| json!({ "topic": "orders", "key": if n % 2 == 0 { "tea" } else { "salt" }, "payload": "2" })));
    let read = |topic: &str| inventory.messages(topic);
    eventually("some are reserved", || !read("reserved").is_empty());
    first.kill();
    let _third = inventory.start("third.log");
    within(Duration::from_secs(60), "all are answered", || orders(&read("reserved")).len() + orders(&read("sold-out")).len() == ORDERS);
    the_shelves_add_up(&read("reserved"), &read("sold-out"), ORDERS / 2, |item| inventory.ok(&["kv", "get", "shelves", item]));
}

/// The orders that messages are about. One may have been published twice, by a host that did not live to acknowledge it.
fn orders(messages: &[Value]) -> BTreeSet<String> {
    messages.iter().map(|message| message["headers"]["order"].as_str().unwrap().to_owned()).collect()
}

/// Twenty of each item, two an order: ten orders of each have their part, and the shelf knows them.
fn the_shelves_add_up(reserved: &[Value], sold_out: &[Value], each: usize, shelf: impl Fn(&str) -> String) {
    for item in ["tea", "salt"] {
        let of = |messages: &[Value]| orders(&messages.iter().filter(|message| message["key"] == item).cloned().collect::<Vec<_>>());
        let (reserved, sold_out) = (of(reserved), of(sold_out));
        assert_eq!((reserved.len(), sold_out.len()), (10, each - 10), "of {item}");
        let shelf = shelf(item);
        let mut lines = shelf.lines();
        assert!(lines.next().unwrap().parse::<u64>().unwrap() > 0, "the fence of {item}");
        assert_eq!(lines.next(), Some("0"), "what is left of {item}");
        assert_eq!(lines.map(str::to_owned).collect::<BTreeSet<_>>(), reserved, "who has a part of {item}");
    }
}
