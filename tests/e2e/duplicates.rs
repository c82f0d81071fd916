//! The dedup inbox, with the real binary: what was done is done once, over copies, restarts, two hosts and `kill -9`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use longshore_testkit::servers;

use super::host::{OnServer, Project, eventually, example};

/// Charges that are asked for, each twice and the second time among others.
const CHARGES: usize = 120;
/// Times that a host is killed meanwhile.
const KILLS: usize = 4;

fn charge(n: usize) -> serde_json::Value {
    let headers = serde_json::json!({ "idempotency-key": format!("order-{n}") });
    serde_json::json!({ "topic": "charges", "key": format!("customer-{}", n % 7), "payload": n.to_string(), "headers": headers })
}

/// Asks five times for two charges.
fn ask_again_and_again(project: &Project) {
    project.publish_lines([1, 2, 1, 1, 2].map(charge));
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
    let project = example("idempotent-charge", "");
    let told = project.ok(&["check"]);
    assert!(!told.contains("exactly once"), "{told}");
    for round in 0..2 {
        ask_again_and_again(&project);
        project.ok(&["run", "--until-idle"]);
        let receipts = receipts(&project.messages("receipts"));
        assert_eq!(receipts, BTreeMap::from([("order-1".to_owned(), 1), ("order-2".to_owned(), 1)]), "round {round}");
    }
    assert_eq!(project.ok(&["kv", "keys", "charged"]), "order-1\norder-2\n");
}

#[test]
fn a_duplicate_is_counted() {
    let project = example("idempotent-charge", "");
    let host = project.start(&[]);
    ask_again_and_again(&project);
    eventually("three duplicates are counted", || {
        let (_, metrics) = host.get("/metrics").expect("an answer");
        metrics.contains("longshore_duplicates_total{subscription=\"cashier/charges\"} 3")
    });
    let (_, handlers) = host.get("/api/v1/handlers").expect("an answer");
    let handlers: serde_json::Value = serde_json::from_str(&handlers).unwrap();
    assert_eq!(handlers[0]["subscriptions"][0]["duplicates"], 3, "{handlers}");
    host.signal("INT");
    eventually("it says so at the end", || host.log().contains("2 done, 0 retries, 0 dead letters, 0 discarded, 3 duplicates"));
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

fn two_hosts_make_each_charge_once(overlay: &str, address: (&str, &str)) {
    // What a killed host had comes soon.
    let soon = "[handlers.cashier]\nsubscribe = [{ topic = \"charges\", lease = \"2s\", max-in-flight = 10, dedup = { key = \"header:idempotency-key\", lease = \"2s\" } }]\n";
    let cashier = OnServer::example("idempotent-charge", overlay, address, soon);
    let _stays = cashier.start("stays.log");
    for kill in 0..=KILLS {
        let killed = cashier.start("killed.log");
        let some = |n: &usize| (n % CHARGES) % (KILLS + 1) == kill;
        cashier.publish((0..CHARGES * 2).filter(some).map(|n| charge(n % CHARGES)));
        killed.kill();
    }
    eventually("there is a receipt for each", || receipts(&cashier.messages("receipts")).len() >= CHARGES);
    // Copies of what was done wait in nobody's hands any more.
    eventually("nothing waits", || {
        let groups = cashier.ok(&["groups", "list", "--output", "json"]);
        let mut groups = groups.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_charges = groups.find(|group| group["topic"] == "charges").unwrap_or_default();
        of_charges["lag"] == 0 && of_charges["retries"] == 0
    });
    let receipts = receipts(&cashier.messages("receipts"));
    assert_eq!((receipts.len(), receipts.values().max()), (CHARGES, Some(&1)), "{receipts:?}");
}

/// The broker stays; what remembers the duplicates, and what the guest keeps, is on a server that goes away in the middle.
#[test]
fn a_store_that_is_gone_for_a_while_costs_no_attempt_and_doubles_nothing() {
    let Some(redis) = servers::Redis::start(&servers::RedisOptions::default().durable()) else { return };
    let Some(nats) = servers::Nats::start(&servers::NatsOptions::default()) else { return };
    let laid = format!(
        "[brokers.default]\ntype = \"nats-jetstream\"\nurl = \"${{NATS_URL}}\"\n[stores.default]\ntype = \"redis\"\nurl = \"{}\"\n\
         [handlers.cashier]\nretry = {{ max-attempts = 3, initial-delay = \"50ms\" }}\n",
        redis.url()
    );
    let cashier = OnServer::laid_over(example("idempotent-charge", ""), "away", &laid, ("NATS_URL", &nats.url()));
    let host = cashier.start("host.log");
    let is_full = std::env::vars_os().any(|(name, _)| name == "LONGSHORE_FAULTS_FULL");
    let (outages, gone) = if is_full { (6, Duration::from_secs(10)) } else { (1, Duration::ZERO) };
    let mut charges = 0;
    for _ in 0..outages {
        cashier.publish((charges..charges + 60).flat_map(|n| [charge(n), charge(n)]));
        charges += 60;
        eventually("some are done", || receipts(&cashier.messages("receipts")).len() > charges - 60);
        redis.server.kill();
        let began = Instant::now();
        cashier.publish((charges..charges + 60).flat_map(|n| [charge(n), charge(n)]));
        charges += 60;
        eventually("the host is not ready, and says why", || {
            let (code, told) = host.get("/readyz").expect("an answer");
            code == 503 && told.contains(r#"store \"default\": "#)
        });
        let (_, status) = host.get("/api/v1/status").expect("an answer");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!((&status["stores"][0]["type"], &status["stores"][0]["status"]), (&"redis".into(), &"unhealthy".into()), "{status}");
        eventually("the metrics say so", || {
            let (_, metrics) = host.get("/metrics").expect("an answer");
            metrics.contains("longshore_store_health{store=\"default\"} 0")
        });
        std::thread::sleep(gone.saturating_sub(began.elapsed()));
        redis.server.launch();
        eventually("the host is ready again", || host.get("/readyz").expect("an answer").0 == 200);
        eventually("there is a receipt for each", || receipts(&cashier.messages("receipts")).len() == charges);
    }
    let receipts = receipts(&cashier.messages("receipts"));
    assert_eq!(receipts.values().max(), Some(&1), "{receipts:?}");
    assert_eq!(cashier.ok(&["dlq", "list", "--count"]).trim(), "0");
}
