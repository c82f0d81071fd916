//! Brokers that keep nothing: what is copied into the log outlives everything, what is not is handled once at most.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use longshore_testkit::servers::{Nats, NatsOptions, Redis, RedisOptions};

use super::host::{Guest, Host, Project, eventually, guest};

/// A server, and whoever publishes to it besides the host.
enum Forgetful {
    Nats(Nats),
    Redis(Redis),
}

impl Forgetful {
    /// One for each kind that is installed.
    fn each() -> Vec<Forgetful> {
        let nats = Nats::start(&NatsOptions::default()).map(Forgetful::Nats);
        let redis = Redis::start(&RedisOptions::default()).map(Forgetful::Redis);
        nats.into_iter().chain(redis).collect()
    }

    fn config(&self) -> String {
        let (kind, url) = match self {
            Forgetful::Nats(nats) => ("nats", nats.url()),
            Forgetful::Redis(redis) => ("redis-pubsub", redis.url()),
        };
        format!("[brokers.default]\ntype = \"embedded\"\n[brokers.cheap]\ntype = \"{kind}\"\nurl = \"{url}\"\n")
    }

    /// A host whose handler consumes from it, with more keys of its subscription, with a comma before each, and more lines of the handler.
    fn project(&self, subscription: &str, handler: &str) -> Project {
        Project::new(&format!(
            r#"{}
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "in", broker = "cheap"{subscription} }}]
publish = ["out"]
output = "out"
{handler}
"#,
            self.config(),
            guest(Guest::Echo)
        ))
    }

    fn restart(&self) {
        match self {
            Forgetful::Nats(nats) => nats.server.restart(),
            Forgetful::Redis(redis) => redis.server.restart(),
        }
    }

    /// Publishes as somebody who knows nothing of Longshore.
    fn publish(&self, topic: &str, payloads: impl IntoIterator<Item = String>) {
        let payloads = payloads.into_iter();
        let (port, text): (u16, String) = match self {
            Forgetful::Nats(nats) => {
                let lines = payloads.map(|payload| format!("PUB {topic} {}\r\n{payload}\r\n", payload.len()));
                (nats.port(), ["CONNECT {\"verbose\":false}\r\n".to_owned()].into_iter().chain(lines).collect())
            }
            Forgetful::Redis(redis) => (redis.port(), payloads.map(|payload| format!("PUBLISH {topic} \"{payload}\"\r\n")).collect()),
        };
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "{text}PING\r\n").unwrap();
        let lines = BufReader::new(stream).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.trim_start_matches('+') == "PONG"), "the server has read it");
    }
}

/// How often each payload was published to a topic of the log.
fn payloads(project: &Project, topic: &str) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let all = project.messages(topic);
    all.iter().for_each(|m| *seen.entry(m["payload"].as_str().unwrap().to_owned()).or_default() += 1);
    seen
}

/// Messages that the log has of a topic.
fn depth(host: &Host, topic: &str) -> usize {
    let (_, metrics) = host.get("/metrics").unwrap();
    let sample = metrics.lines().find(|line| line.starts_with("longshore_topic_depth") && line.contains(&format!("topic=\"{topic}\"")));
    sample.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn what_was_copied_outlives_kill_9_and_is_retried_and_dead_lettered() {
    for broker in Forgetful::each() {
        let project = broker.project(", persist = true", r#"retry = { max-attempts = 4, initial-delay = "20ms", multiplier = 1.0 }"#);
        let payload = |n: usize| match n % 4 {
            0 => format!("fail-until:3 {n}"),
            1 if n < 20 => format!("fail {n}"),
            _ => format!("plain {n}"),
        };
        let host = project.start(&[]);
        // The handler is away, copying goes on.
        project.ok(&["handlers", "pause", "echo"]);
        broker.publish("in", (0..300).map(payload));
        eventually("all are in the log", || depth(&host, "in") == 300);
        host.kill();
        project.ok(&["run", "--until-idle"]);
        let (out, dead) = (payloads(&project, "out"), payloads(&project, "in.echo.dlq"));
        for n in 0..300 {
            let payload = payload(n);
            let expected = if payload.starts_with("fail ") { (0, 1) } else { (1, 0) };
            let count = |of: &BTreeMap<String, usize>| of.get(&payload).copied().unwrap_or(0);
            assert_eq!((count(&out), count(&dead)), expected, "{payload}: published, and dead-lettered");
        }
    }
}

#[test]
fn what_was_received_is_copied_to_the_end_when_the_host_stops() {
    for broker in Forgetful::each() {
        let project = broker.project(", persist = true", "");
        let mut host = project.start(&[]);
        broker.publish("in", (0..500).map(|n| n.to_string()));
        // The server has read them, and hands them out in order: once the last is there, so are the others.
        eventually("the first is there", || depth(&host, "in") > 0);
        host.signal("TERM");
        assert_eq!(host.ended(), Some(0), "{}", host.log());
        project.ok(&["run", "--until-idle"]);
        let out = payloads(&project, "out");
        assert!(out.values().all(|times| *times == 1), "{out:?}");
        let first_lost = (0..500).find(|n| !out.contains_key(&n.to_string())).unwrap_or(500);
        assert_eq!(out.len(), first_lost, "nothing that was received before the host left is missing: {out:?}");
    }
}

#[test]
fn what_is_not_copied_is_handled_once_at_most_and_a_server_that_restarts_is_heard_again() {
    for broker in Forgetful::each() {
        let project = broker.project("", "");
        let explained = project.ok(&["explain"]);
        assert!(explained.contains("at most once") && !explained.contains("retry."), "{explained}");
        let host = project.start(&[]);
        broker.publish("in", ["fail 1", "plain 2", "panic 3", "plain 4"].map(String::from));
        eventually("the good ones are out", || payloads(&project, "out").len() == 2);
        let (_, metrics) = host.get("/metrics").unwrap();
        let lost: Vec<&str> = metrics.lines().filter(|l| l.starts_with("longshore_dead_letters_total") && l.ends_with(" 2")).collect();
        assert_eq!(lost.len(), 1, "what failed is counted: {metrics}");
        assert_eq!(project.ok(&["dlq", "list", "--output", "json"]).trim(), "", "there is nowhere to keep it");
        broker.restart();
        let mut n = 4;
        eventually("it is heard again", || {
            n += 1;
            broker.publish("in", [format!("plain {n}")]);
            payloads(&project, "out").len() > 2
        });
        assert!(payloads(&project, "out").values().all(|times| *times == 1));
    }
}
