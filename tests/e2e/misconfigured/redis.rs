//! Redis.

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{self, Redis, RedisCluster, RedisOptions, RedisSentinel};

use super::{Row, broker, check, row};

const GRANT: &str = "let an administrator give it to the user with ACL SETUSER; the page of Redis lists all rights that are needed";

/// The rights that the page lists, but for the keys.
const RIGHTS: &str = "+@connection +@stream +@sortedset +@hash +@string +@keyspace +@scripting +multi +exec +time -@dangerous +info";

fn streams(address: &str) -> String {
    format!("type = \"redis-streams\"\n{address}")
}

/// A server with everything that rows need.
fn server(authority: &Authority) -> Option<Redis> {
    let options = RedisOptions::default().durable().tls(authority).password("secret");
    let options = options.user("narrow", "secret", &format!("~orders ~longshore:* {RIGHTS}"));
    let options = options.user("no-stream", "secret", &format!("~* {RIGHTS} -@stream"));
    Redis::start(&options.user("no-scripts", "secret", &format!("~* {RIGHTS} -@scripting")))
}

fn at(redis: &Redis, more: &str) -> String {
    streams(&format!("host = \"127.0.0.1\"\nport = {}\n{more}", redis.port()))
}

fn user(redis: &Redis, name: &str) -> String {
    at(redis, &format!("username = \"{name}\"\npassword = \"secret\""))
}

#[test]
fn every_misconfiguration_of_redis_is_told() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let Some(redis) = server(&ours) else { return };
    check(&[who_we_are(&redis), where_it_is(&redis), how_it_is_encrypted(&redis, &ours, &theirs), what_is_there(&redis)].concat());
}

fn who_we_are(redis: &Redis) -> Vec<Row<'static>> {
    let failed = format!(
        "brokers.default: Redis at 127.0.0.1:{}: Password authentication failed - AuthenticationFailed; check username and password of user",
        redis.port()
    );
    let unknown = format!("{failed} \"nobody\"");
    let failed = format!("{failed} \"default\"");
    let lacks = "handlers.billing.subscribe[0]: the user has no right on Redis to XADD, XLEN, XDEL, XRANGE, XTRIM, XINFO, XGROUP, XREADGROUP, \
                 XACK, XCLAIM, XPENDING, XREAD on \"orders\"";
    vec![
        broker("a wrong password", 2, at(redis, "password = \"wrong\""), &[&failed]),
        broker("no password", 2, at(redis, ""), &["NOAUTH Authentication required.; check username and password"]),
        broker("an unknown user", 2, user(redis, "nobody"), &[&unknown]),
        broker(
            "a user without a right to the other topics",
            2,
            user(redis, "narrow"),
            &[
                "handlers.billing.publish[0]: the user has no right on Redis to TYPE, XADD on \"payments\"",
                "handlers.billing.subscribe[0].dead-letter: the user has no right on Redis to TYPE, XADD on \"orders.billing.dlq\"",
                GRANT,
            ],
        ),
        broker("a user without streams", 2, user(redis, "no-stream"), &[lacks, GRANT]).ends_run(),
        broker(
            "a user without scripts",
            2,
            user(redis, "no-scripts"),
            &["the user may run no scripts on Redis, which all of Longshore's work is done by"],
        ),
    ]
}

fn where_it_is(redis: &Redis) -> Vec<Row<'static>> {
    let nobody = servers::free_port();
    let refused = format!("brokers.default: Redis at 127.0.0.1:{nobody}: Connection refused");
    let both = "both url and host, port or db are set: use one form";
    vec![
        broker(
            "a wrong port",
            3,
            streams(&format!("host = \"127.0.0.1\"\nport = {nobody}")),
            &[&refused, "see whether the server runs, and whether this is where it is"],
        ),
        broker("a wrong host", 3, streams("host = \"nowhere.invalid\""), &["brokers.default: Redis at nowhere.invalid:6379: "]),
        broker(
            "a url that is none",
            2,
            streams("url = \"http://127.0.0.1\""),
            &["brokers.default: url is not of the form redis://host:6379/0 or rediss://host:6380/0"],
        ),
        broker("a url and a port", 2, streams("url = \"redis://127.0.0.1\"\nport = 1"), &[both]),
        broker("a database that is not there", 2, at(redis, "db = 99\npassword = \"secret\""), &["DB index is out of range"]),
        broker("no connection for commands", 2, at(redis, "pool-size = 0"), &["pool-size", "1"]),
        broker("sentinels without a master", 2, streams("sentinels = [\"127.0.0.1:1\"]"), &["set sentinel-master"]),
        broker("a master without sentinels", 2, streams("sentinel-master = \"main\""), &["sentinel-master needs sentinels"]),
        broker(
            "a sentinel that is none",
            2,
            streams("sentinels = [\"here\"]\nsentinel-master = \"main\""),
            &["is not of the form host:26379"],
        ),
        broker(
            "sentinels that are not there",
            3,
            streams(&format!("sentinels = [\"127.0.0.1:{nobody}\"]\nsentinel-master = \"main\"")),
            &["Redis at sentinels' \"main\": Connection refused"],
        ),
    ]
}

fn how_it_is_encrypted(redis: &Redis, ours: &Authority, theirs: &Authority) -> Vec<Row<'static>> {
    let tls = |authority: &Authority| format!("tls = {{ enabled = true, ca = \"{}\" }}", authority.certificate().display());
    let over_tls = |authority: &Authority| {
        streams(&format!("host = \"localhost\"\nport = {}\npassword = \"secret\"\n{}", redis.tls_port(), tls(authority)))
    };
    let untrusted = format!("brokers.default: Redis at localhost:{} over TLS: invalid peer certificate: ", redis.tls_port());
    vec![
        broker("everything is right over TLS", 0, over_tls(ours), &["healthy"]),
        broker("a certificate of somebody else", 2, over_tls(theirs), &[&untrusted, "; check tls.ca and the host's name"]),
        broker("TLS where none is spoken", 3, at(redis, "password = \"secret\"\ntls = { enabled = true }"), &["over TLS: timed out"]),
        broker(
            "an authority that is not there",
            2,
            at(redis, "tls = { enabled = true, ca = \"no.pem\" }"),
            &["tls.ca: ", "no.pem cannot be read: "],
        ),
        broker(
            "an authority that nothing uses",
            2,
            at(redis, &tls(ours).replace("enabled = true, ", "")),
            &["tls.ca is set, and no TLS is spoken: set tls.enabled = true, or write a url with rediss://"],
        ),
        broker(
            "a certificate without its key",
            2,
            at(redis, "tls = { enabled = true, cert = \"c.pem\" }"),
            &["tls.cert is set without tls.key: they belong together, set both or none"],
        ),
    ]
}

fn what_is_there(redis: &Redis) -> Vec<Row<'static>> {
    let good = at(redis, "password = \"secret\"");
    let no_group =
        "handlers.billing.subscribe[0].start: group \"billing\" has no position on the stream \"orders\", and start = \"none\" makes none";
    vec![
        broker("everything is right", 0, &*good, &["broker default (redis-streams): healthy", "no mistakes found"]),
        row("a group that must be there", 2, &*good, "start = \"none\"", "", &[no_group]).ends_run(),
        row("a lease of nothing", 2, &*good, "lease = \"0s\"", "", &["a lease of nothing lends nothing"]),
        row("a position that is none", 2, &*good, "start = \"soon\"", "", &["is no id of a stream entry"]),
    ]
}

#[test]
fn keys_that_are_something_else_and_servers_that_forget_are_told() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    redis.ask(&["SET", "orders", "text"]).expect("set");
    redis.ask(&["RPUSH", "payments", "x"]).expect("pushed");
    let at = |kind: &str| format!("type = \"{kind}\"\nurl = \"{}\"", redis.url());
    let forgets = "brokers.default: Redis has neither an append-only file nor a replica: what it took may be gone after its crash";
    check(&[
        broker(
            "keys of another kind",
            2,
            at("redis-streams"),
            &[
                "handlers.billing.subscribe[0].topic: the key \"orders\" on Redis is a string, and this broker keeps a topic in a stream",
                "name another topic, or give the key another name: redis-cli RENAME orders orders.old",
                "the key \"payments\" on Redis is a list, and this broker keeps a topic in a stream",
            ],
        ),
        broker(
            "a key that is no list",
            2,
            at("redis-list"),
            &["the key \"orders\" on Redis is a string, and this broker keeps a topic in a list"],
        ),
    ]);
    redis.ask(&["DEL", "orders", "payments"]).expect("deleted");
    redis.ask(&["CONFIG", "SET", "maxmemory", "64mb"]).expect("set");
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).expect("set");
    check(&[
        broker(
            "a server that forgets and evicts",
            0,
            at("redis-streams"),
            &[
                forgets,
                "set appendonly yes in its configuration",
                "Redis removes keys once its memory is full (maxmemory-policy allkeys-lru), and messages with them",
                "no mistakes found",
            ],
        ),
        broker("the same for lists", 0, at("redis-list"), &[forgets]),
    ]);
    assert_eq!(redis.ask(&["DBSIZE"]).expect("asked"), ["0"], "a check changes nothing");
}

#[test]
fn a_node_of_a_cluster_and_a_replica_are_told() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default()) else { return };
    let Some(sentinel) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let at = |port: u16| streams(&format!("host = \"127.0.0.1\"\nport = {port}"));
    let rows: [Row<'_>; 2] = [
        broker("a cluster", 2, at(cluster.nodes()[0].port()), &["the server is a node of a Redis Cluster, and is not named as one"]),
        broker("a replica", 2, at(sentinel.replica.port()), &["the server is a replica, which takes no messages"]),
    ];
    check(&rows);
}

#[test]
fn every_misconfiguration_of_channels_is_told() {
    let least = "resetkeys +@connection +publish +subscribe +psubscribe +ping";
    let options = RedisOptions::default().password("secret");
    let options = options.user("deaf", "secret", &format!("resetchannels &payments {least} +@scripting"));
    let options = options.user("mute", "secret", &format!("resetchannels &orders {least} +@scripting"));
    let Some(redis) = Redis::start(&options.user("least", "secret", &format!("resetchannels &orders &payments {least}"))) else { return };
    let at = |more: &str| format!("type = \"redis-pubsub\"\nhost = \"127.0.0.1\"\nport = {}\n{more}", redis.port());
    let user = |name: &str| at(&format!("username = \"{name}\"\npassword = \"secret\""));
    let healthy = "broker default (redis-pubsub): healthy";
    check(&[
        broker("everything is right", 0, at("password = \"secret\""), &[healthy, "no mistakes found"]),
        broker("a wrong password", 2, at("password = \"wrong\""), &["check username and password"]),
        broker(
            "a user who may not listen",
            2,
            user("deaf"),
            &["handlers.billing.subscribe[0]: listening to \"orders\": ", "give the user the rights"],
        ),
        broker(
            "a user who may not publish",
            2,
            user("mute"),
            &["handlers.billing.publish[0]: the user has no right on Redis to PUBLISH on \"payments\"", GRANT],
        ),
        broker(
            "a user with the least rights",
            0,
            user("least"),
            &[healthy, "Redis does not tell whether the user may publish to \"payments\""],
        ),
    ]);
}
