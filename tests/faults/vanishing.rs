//! Groups and topics that somebody removes from under their hosts, in the middle of the load. What the server has forgotten is made again,
//! the host says so, and nothing is lost that was not removed.

use super::scenarios::times;
use super::vendors::{JetStream, Rabbit, RedisLists, RedisStreams, RemovesGroups, Vendor};
use super::world::{IN_FLIGHT, World};

/// What a host says whose Redis group is gone, whether a read found that or a settlement.
const GROUP_GONE: &[&str] = &["group", "echo", "connecting again"];

/// `again`: how many messages come again with a group that is made anew.
fn a_group_is_removed<V: RemovesGroups>(again: impl Fn(&World<V>) -> u64, words: &[&str]) {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(1);
    let mut may_double = 0;
    for _ in 0..times(1) {
        world.vendor.remove_group();
        may_double += IN_FLIGHT + again(&world);
        world.wait_for_more(200);
    }
    world.wait_until_told(words);
    world.end("the group is removed", may_double);
}

fn the_topic_is_removed<V: Vendor>(words: &[&str]) {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(1);
    let (removals, mut from) = (times(1), 0);
    for _ in 0..removals {
        from = world.remove_topic();
        world.wait_for_more(200);
    }
    world.wait_until_told(words);
    world.end_from("the topic is removed", from, IN_FLIGHT * removals as u64);
}

#[test]
fn a_redis_group_that_is_removed_is_made_again_and_nothing_is_lost() {
    // It reads all that is there once more.
    a_group_is_removed::<RedisStreams>(World::sent, GROUP_GONE);
}

#[test]
fn a_jetstream_consumer_that_is_removed_is_made_again_where_it_stood() {
    a_group_is_removed::<JetStream>(|_| 0, &["consumer \\\"echo\\\" of stream \\\"in\\\" is gone"]);
}

#[test]
fn a_redis_stream_that_is_removed_is_made_again_and_what_comes_then_is_not_lost() {
    the_topic_is_removed::<RedisStreams>(GROUP_GONE);
}

/// An empty list is none, so nobody can tell.
#[test]
fn a_redis_list_that_is_removed_is_made_again_and_what_comes_then_is_not_lost() {
    the_topic_is_removed::<RedisLists>(&[]);
}

#[test]
fn a_rabbitmq_queue_that_is_removed_is_made_again_and_what_comes_then_is_not_lost() {
    the_topic_is_removed::<Rabbit>(&["queue \\\"in\\\"", "was deleted"]);
}

#[test]
fn a_jetstream_stream_that_is_removed_is_made_again_and_what_comes_then_is_not_lost() {
    the_topic_is_removed::<JetStream>(&["consumer \\\"echo\\\" of stream \\\"in\\\" is gone"]);
}
