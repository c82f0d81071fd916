//! Somebody else keeps a stream short while hosts read it: what went before it was read is counted, and nothing else is lost.

use super::scenarios::times;
use super::vendors::RedisStreams;
use super::world::World;

/// How many messages hosts fall behind: of less than a lease.
const BEHIND: usize = 400;

/// Whether the group has read and finished all that the stream has.
fn is_over(redis: &RedisStreams) -> bool {
    let group = redis.ask(&["XINFO", "GROUPS", "in"]);
    let of_group = |name: &str| group.windows(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    let stream = redis.ask(&["XINFO", "STREAM", "in"]);
    let last = stream.windows(2).find(|pair| pair[0] == "last-generated-id").map(|pair| pair[1].clone());
    let waiting = redis.ask(&["ZCARD", "longshore:{in}:due:in:echo"]);
    of_group("pending").as_deref() == Some("0") && of_group("last-delivered-id") == last && waiting == ["0"]
}

#[test]
fn what_somebody_trims_from_a_redis_stream_is_counted_and_nothing_else_is_lost() {
    let Some(mut world) = World::<RedisStreams>::new("none") else { return };
    world.begin(2);
    for _ in 0..times(3) {
        world.hosts.iter().for_each(|(_, host)| host.signal("STOP"));
        world.wait_for_more(BEHIND);
        world.vendor.ask(&["XTRIM", "in", "MAXLEN", "50"]);
        world.hosts.iter().for_each(|(_, host)| host.signal("CONT"));
        world.wait_for_more(200);
    }
    world.end_counted("a stream is trimmed", is_over);
}
