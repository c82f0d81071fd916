//! What a running host tells of itself.

use super::host::{Guest, Project, eventually, guest};

/// Names that dashboards and alerts rely on.
const NAMES: [&str; 22] = [
    "messaging_messages_published_total",
    "messaging_messages_consumed_total",
    "messaging_message_processing_duration_seconds_count",
    "messaging_errors_total",
    "messaging_broker_health",
    "longshore_outcomes_total",
    "longshore_retries_total",
    "longshore_dead_letters_total",
    "longshore_dead_letter_depth",
    "longshore_topic_depth",
    "longshore_in_flight",
    "longshore_lag",
    "longshore_oldest_open_seconds",
    "longshore_dropped_total",
    "longshore_lost_total",
    "longshore_stale_settlements_total",
    "longshore_breaker_state",
    "longshore_handler_info",
    "longshore_deploys_total",
    "longshore_traps_total",
    "longshore_instances",
    "longshore_queue_wait_seconds_count",
];

fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

#[test]
fn every_metric_is_there_and_three_ok_one_retried_one_dead_are_counted_exactly() {
    let project = Project::new(&format!(
        r#"
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "in" }}]
output = "out"
publish = ["out"]
retry = {{ initial-delay = "10ms" }}
"#,
        guest(Guest::Echo)
    ));
    let payloads = ["a", "b", "fail-until:2", "reject"];
    project.publish("in", payloads.iter().enumerate().map(|(n, p)| (format!("key-{n}"), (*p).to_owned(), None)));
    let host = project.start(&[]);
    let mut text = String::new();
    eventually("all are counted, and brokers were asked", || {
        text = host.get("/metrics").map(|(_, text)| text).unwrap_or_default();
        let told = |sample: &str| value(&text, sample).is_some_and(|v| v > 0.0);
        told(r#"messaging_messages_consumed_total{broker="default",subscription="echo/in",outcome="dead-letter"}"#)
            && told(r#"longshore_topic_depth{broker="default",topic="out"}"#)
            && value(&text, r#"messaging_messages_consumed_total{broker="default",subscription="echo/in",outcome="ok"}"#) == Some(3.0)
            // A gauge of the broker is as old as its last reading: it follows what was handled, it does not go along with it.
            && value(&text, r#"longshore_lag{subscription="echo/in"}"#) == Some(0.0)
    });
    let consumed = |outcome: &str| {
        value(&text, &format!(r#"messaging_messages_consumed_total{{broker="default",subscription="echo/in",outcome="{outcome}"}}"#))
    };
    assert_eq!([consumed("ok"), consumed("retry"), consumed("dead-letter")], [Some(3.0), Some(1.0), Some(1.0)], "{text}");
    assert_eq!(value(&text, r#"messaging_broker_health{broker="default"}"#), Some(1.0));
    let missing: Vec<_> = NAMES.iter().filter(|name| !text.lines().any(|line| line.starts_with(**name))).collect();
    assert!(missing.is_empty(), "missing: {missing:?}\n{text}");
}
