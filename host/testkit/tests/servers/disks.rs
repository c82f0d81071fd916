//! Servers on a disk that is full.

use longshore_testkit::servers::{Redis, RedisOptions};

const DISK: usize = 24 << 20;

#[test]
fn redis_stores_nothing_while_its_disk_is_full_and_stores_again_after() {
    // With `always`, a Redis that cannot sync ends itself; with `everysec` it refuses writes until it can.
    let options = RedisOptions::default().set("appendonly", "yes").set("appendfsync", "everysec").disk(DISK);
    let Some(redis) = Redis::start(&options) else { return };
    let set = || redis.ask(&["SET", "key", &"x".repeat(10_000)]);
    set().expect("there is room");
    redis.server.disk().fill();
    let refused = crate::ending::first_some("a write is refused", || set().err());
    assert!(refused.starts_with("MISCONF"), "{refused}");
    redis.server.disk().free();
    crate::ending::wait_until("a write is taken again", || set().is_ok());
}
