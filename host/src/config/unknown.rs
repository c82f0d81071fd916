//! Keys that a table does not have: what was probably meant. Knows the names that other tools and the sources use, and what is still to come.

use super::schema::one_of;

/// How alike two words must be, from 0 to 1, for one to be offered for the other.
const ALIKE: f64 = 0.82;

/// An unknown key and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unknown {
    key: String,
    advice: Advice,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Advice {
    /// This key of the same table was meant.
    Meant(String),
    /// Something else is to be done.
    Say(String),
    /// It belongs to a later version.
    Later,
    /// Nothing is known; these are the keys.
    Keys(Vec<String>),
}

impl Unknown {
    /// What is known about `key` in a table of that element with these keys.
    pub(crate) fn new(element: &str, key: &str, known: &[&str]) -> Self {
        let kebab = key.replace('_', "-").to_lowercase();
        let advice = if known.contains(&kebab.as_str()) {
            Advice::Meant(kebab)
        } else if let Some(meant) = renamed(element, &kebab) {
            if known.contains(&meant) { Advice::Meant(meant.into()) } else { Advice::Say(meant.into()) }
        } else if LATER.iter().any(|(of, keys)| is(of, element) && keys.contains(&kebab.as_str())) {
            Advice::Later
        } else if let Some(near) = nearest(&kebab, known) {
            Advice::Meant(near.into())
        } else {
            Advice::Keys(known.iter().map(|k| (*k).to_owned()).collect())
        };
        Unknown { key: key.into(), advice }
    }

    /// The key of the same table that was probably meant.
    pub(crate) fn meant_key(&self) -> Option<&str> {
        if let Advice::Meant(key) = &self.advice { Some(key) } else { None }
    }

    /// Whether this key stands for the key `other`.
    pub(crate) fn meant(&self, other: &str) -> bool {
        self.meant_key() == Some(other)
    }

    pub(crate) fn problem(&self) -> String {
        match self.advice {
            Advice::Later => format!("`{}` is not supported yet", self.key),
            _ => format!("there is no key `{}` here", self.key),
        }
    }

    pub(crate) fn help(&self) -> String {
        match &self.advice {
            Advice::Meant(key) => format!("did you mean `{key}`?"),
            Advice::Say(advice) => advice.clone(),
            Advice::Later => "take it out; this version would not act on it".into(),
            Advice::Keys(keys) if keys.is_empty() => "this table has no keys".into(),
            Advice::Keys(keys) => format!("the keys here are {}", keys.join(", ")),
        }
    }
}

/// The word among `words` that looks most like `word`, when it looks like it at all.
pub(crate) fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(word, other);
    let best = words.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE || strsim::osa_distance(word, best) <= 1).then_some(best)
}

/// What to do about a kind of broker or store that this build does not have; `element` is one that it has.
pub(crate) fn absent(element: &str, kind: &str, kinds: &[&str]) -> String {
    if element.starts_with("stores.") {
        return absent_store(kind, kinds);
    }
    if let Some(features) = FEATURES.iter().find(|feature| **feature == kind) {
        return format!("this build is without it; build with --features {features}");
    }
    match nearest(kind, kinds) {
        _ if kind == "redis" => "there are redis-streams, redis-list and redis-pubsub".into(),
        _ if LATER_KINDS.contains(&kind) => format!("{kind} is not supported yet"),
        Some(near) => format!("did you mean {near:?}?"),
        None => "this build has no other".into(),
    }
}

/// A store is named after its server alone, a broker also after what of it is used.
fn absent_store(kind: &str, kinds: &[&str]) -> String {
    if let Some((_, feature)) = STORES.iter().find(|(store, _)| *store == kind) {
        return format!("this build is without it; build with --features {feature}");
    }
    let of_broker = || kinds.iter().copied().find(|store| kind.starts_with(&format!("{store}-")));
    match of_broker().or_else(|| nearest(kind, kinds)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => "this build has no other".into(),
    }
}

/// `did you mean "x"?` or the list of what there is.
pub fn did_you_mean(word: &str, words: &[&str]) -> String {
    match nearest(word, words) {
        Some(near) => format!("did you mean {near:?}?"),
        None if words.is_empty() => "there is none".into(),
        None => format!("there is {}", one_of(words)),
    }
}

/// Whether a line of the tables below is about that element. All kinds of brokers are one, and all kinds of stores.
fn is(of: &str, element: &str) -> bool {
    of == element || (of == "Broker" && element.starts_with("brokers.")) || (of == "Store" && element.starts_with("stores."))
}

fn renamed(element: &str, key: &str) -> Option<&'static str> {
    let line = RENAMED.iter().find(|(of, names, _)| is(of, element) && names.contains(&key))?;
    Some(line.2)
}

/// Kinds of brokers that a build may be without; each has a feature of its name.
const FEATURES: [&str; 9] =
    ["embedded", "kafka", "memory", "nats", "nats-jetstream", "rabbitmq", "redis-list", "redis-pubsub", "redis-streams"];

/// Kinds of brokers that a later version will have.
const LATER_KINDS: [&str; 1] = ["webhook"];

/// Kinds of stores that a build may be without, and the feature that has each.
const STORES: [(&str, &str); 4] = [("embedded", "embedded"), ("memory", "memory"), ("nats", "nats-jetstream"), ("redis", "redis-streams")];

/// Element, names that others use there, and either the key that is meant or a sentence about what to do.
const RENAMED: &[(&str, &[&str], &str)] = &[
    ("File", &["broker", "connection", "connections", "messaging"], "brokers"),
    ("File", &["handler", "consumers", "subscribers", "functions", "components", "pipelines"], "handlers"),
    ("File", &["job", "schedules", "cron"], "jobs"),
    ("File", &["topic", "queues", "channels"], "topics"),
    ("File", &["default", "global"], "defaults"),
    ("File", &["http", "server", "health", "metrics", "monitoring", "enable-monitoring"], "admin"),
    ("File", &["grace", "shutdown-timeout", "grace-period", "terminate-timeout"], "shutdown-grace"),
    ("File", &["retry", "dead-letter", "limits"], "put it into [defaults] for every handler, or into one handler's table"),
    (
        "brokers.kafka",
        &["url", "uri", "servers", "brokers", "broker-list", "hosts", "host", "address", "connection-string", "bootstrap-server"],
        "bootstrap-servers",
    ),
    ("Broker", &["provider", "kind", "backend", "driver", "broker-type", "adapter"], "type"),
    ("Broker", &["connection-string", "uri", "connection-url", "address", "servers", "host", "dsn"], "url"),
    ("Broker", &["file", "filename", "database", "db-path"], "path"),
    ("Broker", &["max-retries", "retries", "retry"], "publish-retry"),
    ("Broker", &["health-timeout", "timeout"], "ping-timeout"),
    ("Broker", &["send-timeout", "delivery-timeout"], "publish-timeout"),
    ("Broker", &["max-request-size", "max-message-bytes", "message-max-bytes"], "max-message-size"),
    ("Broker", &["reconnect-delay", "reconnect-backoff", "max-reconnect-attempts"], "reconnect"),
    ("Broker", &["prefetch", "prefetch-count", "qos"], "set `max-in-flight` on the subscription; prefetch follows from it"),
    ("Broker", &["group-id", "consumer-group", "group"], "set `group` on the subscription"),
    ("Broker", &["enabled", "enable"], "a broker is there when its table is; take the table out to be without it"),
    ("Handler", &["wasm", "module", "file", "path", "source", "image"], "component"),
    ("Handler", &["subscriptions", "subscribes", "consume", "triggers", "inputs", "source-topics"], "subscribe"),
    ("Handler", &["publishes", "outputs", "produce", "producers", "grants"], "publish"),
    ("Handler", &["env", "environment", "variables", "settings"], "config"),
    (
        "Handler",
        &["topic", "topics", "patterns", "broker", "group", "order", "start", "delivery", "mode"],
        "it belongs to an entry of `subscribe`: subscribe = [{ topic = \"…\" }]",
    ),
    ("Handler", &["allowed-outbound-hosts", "outbound-hosts", "allowed-hosts"], "http"),
    ("Handler", &["memory", "memory-limit", "timeout", "deadline", "cpu"], "it belongs into `limits`: limits = { deadline = \"5s\" }"),
    ("Job", &["wasm", "module", "file", "path", "source"], "component"),
    ("Job", &["subscriptions", "consume"], "subscribe"),
    ("Job", &["restart-policy"], "restart"),
    ("Subscription", &["topics", "queue", "channel", "subject", "stream", "subjects", "channels"], "topic"),
    ("Subscription", &["pattern", "topic-pattern", "wildcard"], "patterns"),
    ("Subscription", &["group-id", "consumer-group", "queue-group", "durable"], "group"),
    ("Subscription", &["prefetch", "prefetch-count", "qos", "buffer-size", "max-ack-pending"], "max-in-flight"),
    ("Subscription", &["auto-offset-reset", "offset", "start-position", "deliver-policy", "start-id"], "start"),
    ("Subscription", &["auto-ack", "auto-commit", "enable-auto-commit", "acks"], "delivery"),
    ("Subscription", &["workers", "parallelism", "num-workers", "max-workers", "instances"], "concurrency"),
    ("Subscription", &["ordering", "ordered"], "order"),
    ("Subscription", &["max-poll-records", "count", "batch-size"], "fetch"),
    ("Subscription", &["max-deliver", "max-delivery", "delivery-limit"], "max-deliveries"),
    ("Fetch", &["max-poll-records", "count", "batch-size", "max-count"], "max-messages"),
    ("Fetch", &["block", "timeout", "wait", "wait-time"], "max-wait"),
    ("Batch", &["size", "batch-size", "count", "max-size"], "max-messages"),
    ("Batch", &["timeout", "period", "wait", "linger"], "max-wait"),
    (
        "Retry",
        &["max-retries", "retries", "max-retry-attempts", "max"],
        "write `max-attempts`, which counts the first try too: 3 retries are max-attempts = 4",
    ),
    ("Retry", &["strategy", "policy", "kind"], "backoff"),
    ("Retry", &["delay", "interval", "base-delay", "retry-delay", "initial-interval", "min-delay"], "initial-delay"),
    ("Retry", &["max-interval", "cap"], "max-delay"),
    ("Retry", &["factor", "base", "backoff-multiplier"], "multiplier"),
    ("Retry", &["max-elapsed-time", "ttl", "timeout"], "max-age"),
    ("PublishRetry", &["max-retries", "retries"], "write `max-attempts`, which counts the first try too: 3 retries are max-attempts = 4"),
    ("PublishRetry", &["delay", "interval", "retry-delay"], "initial-delay"),
    ("DeadLetter", &["queue", "destination", "dlq-topic", "name", "target"], "topic"),
    ("DeadLetter", &["enabled", "enable"], "write dead-letter = false to be without dead letters"),
    ("Breaker", &["failure-threshold", "max-failures", "failures"], "threshold"),
    ("Breaker", &["timeout", "reset-timeout", "recovery-timeout", "cool-down"], "reset-after"),
    ("Breaker", &["enabled", "enable"], "a breaker is there when its table is; write circuit-breaker = false to be without one"),
    ("Limits", &["timeout", "wall", "wall-time", "max-duration"], "deadline"),
    ("Limits", &["mem", "max-memory", "memory-limit"], "memory"),
    ("Limits", &["fuel", "cpu-time"], "cpu"),
    ("Admin", &["port", "address", "bind", "addr", "host"], "listen"),
    ("Admin", &["password", "api-key", "secret"], "token"),
    ("Admin", &["enable-monitoring", "monitoring", "prometheus"], "metrics"),
    ("Grant", &["name", "channel"], "topic"),
    ("Grant", &["alias"], "as"),
    ("BucketGrant", &["name"], "bucket"),
    ("LockGrant", &["lock", "pattern"], "name"),
    ("Store", &["provider", "kind", "backend", "driver", "adapter"], "type"),
    ("Topic", &["max-age", "ttl", "retention-time"], "retention"),
    ("Topic", &["max-bytes", "retention-size", "retention-bytes"], "max-size"),
    ("Build", &["cmd", "run", "script"], "command"),
    ("Build", &["paths", "files", "sources"], "watch"),
];

/// Element, and keys that a later version will have. They are refused: a key that is accepted is enforced.
const LATER: &[(&str, &[&str])] = &[
    ("File", &["schemas", "schema-registry", "profiles"]),
    ("Broker", &["pool-size", "tls", "security"]),
    ("Handler", &["profile", "hooks"]),
    ("Job", &["schedule", "interval", "http"]),
    ("Subscription", &["buffer", "overflow", "lease", "on-vanished", "ack-interval", "match", "exchange", "exchange-type", "routing-key"]),
    ("Retry", &["mode"]),
    ("DeadLetter", &["retention", "alert-above"]),
    (
        "Topic",
        &[
            "partitions",
            "replication-factor",
            "kind",
            "description",
            "schema",
            "codec",
            "key-codec",
            "validate",
            "envelope",
            "key-from",
            "max-length",
            "approximate",
            "durable",
            "max-priority",
            "exchange",
            "exchange-type",
            "routing-key",
            "claim-check-above",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_offered() {
        let check = |element: &str, key: &str, known: &[&str], problem: &str, help: &str| {
            let unknown = Unknown::new(element, key, known);
            assert!(unknown.problem().contains(problem) && unknown.help().contains(help), "{}: {}", unknown.problem(), unknown.help());
        };
        check("Retry", "max_attempts", &["max-attempts"], "no key `max_attempts`", "did you mean `max-attempts`?");
        check("Retry", "max-atempts", &["max-attempts", "max-age"], "no key", "did you mean `max-attempts`?");
        check("brokers.rabbitmq", "provider", &["type", "url"], "no key", "did you mean `type`?");
        check("brokers.rabbitmq", "connection_string", &["type", "url"], "no key", "did you mean `url`?");
        check("brokers.kafka", "url", &["type", "bootstrap-servers"], "no key", "did you mean `bootstrap-servers`?");
        check("Retry", "max_retries", &["max-attempts"], "no key", "3 retries are max-attempts = 4");
        check("Handler", "hooks", &["component"], "not supported yet", "take it out");
        assert_eq!(absent("brokers.embedded", "webhook", &["embedded"]), "webhook is not supported yet");
        assert_eq!(absent("stores.embedded", "memory", &["embedded"]), "this build is without it; build with --features memory");
        assert_eq!(absent("brokers.embedded", "embeded", &["embedded"]), "did you mean \"embedded\"?");
        assert_eq!(absent("stores.embedded", "nats", &["embedded"]), "this build is without it; build with --features nats-jetstream");
        assert_eq!(absent("stores.embedded", "redis-list", &["embedded", "redis"]), "did you mean \"redis\"?");
        assert_eq!(absent("stores.embedded", "embeded", &["embedded"]), "did you mean \"embedded\"?");
        assert_eq!(absent("stores.embedded", "x", &[]), "this build has no other");
        check("Admin", "xyz", &["listen", "token"], "no key", "the keys here are listen, token");
    }
}
