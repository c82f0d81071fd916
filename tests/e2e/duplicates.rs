//! The dedup inbox, with the real binary: what was done is done once, over copies, restarts, two hosts and `kill -9`.

use std::collections::BTreeMap;
use std::process::Command;

use longshore_testkit::servers;

use super::host::{Project, eventually, example, text};

/// Charges that are asked for, each twice and the second time among others.
const CHARGES: usize = 120;
/// Times that a host is killed meanwhile.
const KILLS: usize = 4;

fn cashier(overlay: &str) -> Project {
    example("idempotent-charge", overlay)
}

fn lines(numbers: impl Iterator<Item = usize>) -> String {
    let line = |n: usize| {
        let headers = serde_json::json!({ "idempotency-key": format!("order-{n}") });
        serde_json::json!({ "topic": "charges", "key": format!("customer-{}", n % 7), "payload": n.to_string(), "headers": headers })
            .to_string()
    };
    numbers.map(line).collect::<Vec<_>>().join("\n")
}

/// Receipts by idempotency key.
fn receipts(messages: &[serde_json::Value]) -> BTreeMap<String, usize> {
    let mut receipts = BTreeMap::new();
    for message in messages {
        *receipts.entry(message["key"].as_str().expect("a receipt has a key").to_owned()).or_default() += 1;
    }
    receipts
}

#[test]
fn a_charge_that_is_asked_for_again_is_made_once_also_after_a_restart() {
    let project = cashier("");
    let told = project.ok(&["check"]);
    assert!(!told.contains("exactly once"), "{told}");
    for round in 0..2 {
        project.write("input.jsonl", &lines([1, 2, 1, 1, 2].into_iter()));
        project.ok(&["publish", "--from", "input.jsonl"]);
        project.ok(&["run", "--until-idle"]);
        let receipts = receipts(&project.messages("receipts"));
        assert_eq!(receipts, BTreeMap::from([("order-1".to_owned(), 1), ("order-2".to_owned(), 1)]), "round {round}");
    }
    assert_eq!(project.ok(&["kv", "keys", "charged"]), "order-1\norder-2\n");
}

#[test]
fn a_duplicate_is_counted() {
    let project = cashier("");
    let host = project.start(&[]);
    project.write("input.jsonl", &lines([1, 2, 1, 1, 2].into_iter()));
    project.ok(&["publish", "--from", "input.jsonl"]);
    eventually("three duplicates are counted", || {
        let (_, metrics) = host.get("/metrics").expect("an answer");
        metrics.contains("longshore_duplicates_total{subscription=\"cashier/charges\"} 3")
    });
}

#[test]
fn two_hosts_on_redis_make_each_charge_once_while_one_is_killed() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default()) else { return };
    two_hosts_make_each_charge_once("redis", ("REDIS_URL", &redis.url()));
}

#[test]
fn two_hosts_on_nats_make_each_charge_once_while_one_is_killed() {
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    two_hosts_make_each_charge_once("nats", ("NATS_URL", &nats.url()));
}

fn two_hosts_make_each_charge_once(overlay: &str, (variable, url): (&str, &str)) {
    let project = cashier(overlay);
    let file = format!("longshore.{overlay}.toml");
    // What a killed host had comes soon.
    let laid = std::fs::read_to_string(project.path().join(&file)).unwrap();
    let soon = "[handlers.cashier]\nsubscribe = [{ topic = \"charges\", lease = \"2s\", max-in-flight = 10, dedup = { key = \"header:idempotency-key\", lease = \"2s\" } }]\n";
    project.write(&file, &format!("{laid}\n{soon}"));
    let command = |arguments: &[&str]| -> Command {
        let mut command = project.command(&[arguments, &["--env", overlay]].concat());
        command.env(variable, url);
        command
    };
    let ok = |arguments: &[&str]| {
        let output = command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let _stays = project.launch(command(&["run"]), "stays.log");
    for kill in 0..=KILLS {
        let killed = project.launch(command(&["run"]), "killed.log");
        let some = |n: usize| (n % CHARGES) % (KILLS + 1) == kill;
        project.write("input.jsonl", &lines((0..CHARGES * 2).filter(|n| some(*n)).map(|n| n % CHARGES)));
        ok(&["publish", "--from", "input.jsonl"]);
        killed.kill();
    }
    let mut messages = Vec::new();
    eventually("there is a receipt for each", || {
        let output = command(&["consume", "receipts", "--from-start"]).output().unwrap();
        messages = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        receipts(&messages).len() >= CHARGES
    });
    // Copies of what was done wait in nobody's hands any more.
    eventually("nothing waits", || {
        let groups = ok(&["groups", "list", "--output", "json"]);
        let mut groups = groups.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_charges = groups.find(|group| group["topic"] == "charges").unwrap_or_default();
        of_charges["lag"] == 0 && of_charges["retries"] == 0
    });
    let output = command(&["consume", "receipts", "--from-start"]).output().unwrap();
    messages = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let receipts = receipts(&messages);
    assert_eq!((receipts.len(), receipts.values().max()), (CHARGES, Some(&1)), "{receipts:?}");
}
