//! Entries that go before they are finished: somebody trims the stream, or the server goes back. They are counted, once for all hosts, and nothing
//! else is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use longshore_brokers::redis::streams::Streams;
use longshore_core::{Batch, Outbox, Receipts, Roles, Room};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, Redis, RedisOptions, unique};
use serde_json::{Value, json};

use crate::support::{streams, try_connect};
use crate::work::{SOON, ends, hand, publish, push, until, wish};

const ROOM: Room = Room { messages: 7, bytes: 1 << 20 };

fn short() -> Value {
    json!({ "lease": "300ms" })
}

/// One short fetch, by which a lane also looks at what there is besides. Answers the index of the first message that came.
async fn look(hand: &mut Hand) -> usize {
    let mut batch = Batch::default();
    if let Ok(fetched) = tokio::time::timeout(Duration::from_millis(20), hand.lane.source.fetch(ROOM, &mut batch)).await {
        fetched.expect("a fetch works");
    }
    hand.take(&batch)
}

/// Waits until the lanes have told as many as lost.
async fn lost(hands: &mut [&mut Hand], expected: u64) {
    let mut told = 0;
    until(async || {
        for hand in &mut *hands {
            look(hand).await;
            told += hand.lane.source.take_lost();
        }
        told >= expected
    })
    .await;
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_is_trimmed_before_it_is_read_is_told_with_its_number_and_once() {
    let Some(redis) = servers::redis() else { return };
    let (one, other, topic) = (streams(redis.port()).await, streams(redis.port()).await, unique("unread"));
    publish(&one, &topic, &["before"]).await.expect("published");
    redis.ask(&["XTRIM", &topic, "MAXLEN", "0"]).expect("trimmed");
    let mut first = hand(&one, wish(&topic, short())).await;
    let mut second = hand(&other, wish(&topic, short())).await;
    publish(&one, &topic, &["a"]).await.expect("published");
    until(async || look(&mut first).await < first.got.len() || look(&mut second).await < second.got.len()).await;
    add_and_trim(redis, &topic);
    lost(&mut [&mut first, &mut second], 8).await;
    let groups = one.groups.as_ref().expect("groups").list().await.expect("listed");
    let held = (first.got.len() + second.got.len()) as u64;
    let unread = groups.iter().find(|info| info.topic == topic).expect("listed").lag.expect("known");
    assert_eq!(unread, 3, "what was read ({held}) and what is there still, not what is gone");
    for mut hand in [first, second] {
        hand.all_done(0).settle().await;
        hand.close().await;
    }
    // Nobody reads at all.
    add_and_trim(redis, &topic);
    let mut next = hand(&one, wish(&topic, short())).await;
    lost(&mut [&mut next], 8).await;
    let mut last = hand(&other, wish(&topic, short())).await;
    for _ in 0..20 {
        look(&mut last).await;
    }
    assert_eq!((last.lane.source.take_lost(), next.lane.source.take_lost()), (0, 0), "told already");
}

/// Fetches and finishes what comes.
async fn work(hand: &mut Hand, done: &mut BTreeSet<String>) -> u64 {
    let from = look(hand).await;
    for i in from..hand.got.len() {
        assert!(done.insert(hand.payloads()[i].clone()), "it is done twice");
        hand.done(i);
    }
    hand.settle().await;
    hand.lane.source.take_lost()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_producer_that_trims_each_message_is_done_or_counted_as_lost() {
    const COUNT: usize = 3000;
    let Some(redis) = servers::redis() else { return };
    let (one, other, topic) = (streams(redis.port()).await, streams(redis.port()).await, unique("trims"));
    let mut first = hand(&one, wish(&topic, json!({}))).await;
    let mut second = hand(&other, wish(&topic, json!({}))).await;
    let name = topic.clone();
    let producer = tokio::task::spawn_blocking(move || {
        let add = "for i = tonumber(ARGV[1]), tonumber(ARGV[1]) + 99 do redis.call('XADD', KEYS[1], 'MAXLEN', 40, '*', 'payload', tostring(i)) end";
        for from in (0..COUNT).step_by(100) {
            redis.ask(&["EVAL", add, "1", &name, &from.to_string()]).expect("added");
        }
    });
    let (mut done, mut lost) = (BTreeSet::new(), 0);
    let all = async {
        while done.len() as u64 + lost < COUNT as u64 {
            lost += work(&mut first, &mut done).await;
            lost += work(&mut second, &mut done).await;
        }
    };
    tokio::time::timeout(SOON, all).await.expect("each is accounted for");
    producer.await.expect("it ends");
    assert_eq!(done.len() as u64 + lost, COUNT as u64);
    assert!(lost > 0 && done.len() >= 40, "{lost} lost, {} done", done.len());
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0");
}

#[tokio::test]
async fn a_retry_whose_entry_was_trimmed_is_told_as_lost() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("trimmed"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(2).await;
    redis.ask(&["XTRIM", &topic, "MAXLEN", "0"]).expect("trimmed");
    hand.done(0).again(1, Duration::ZERO, 2, 1).settle().await;
    assert_eq!(hand.lane.source.take_lost(), 1, "what was handled is not lost by it");
}

#[tokio::test]
async fn a_message_that_was_trimmed_while_its_lease_was_extended_is_finished_with_its_outputs() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic, to) = (streams(redis.port()).await, unique("extended"), unique("extended-out"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut hand = hand(&roles, wish(&topic, json!({}))).await;
    hand.fetch(3).await;
    redis.ask(&["XTRIM", &topic, "MAXLEN", "2"]).expect("trimmed");
    redis.ask(&["XDEL", &topic, hand.got.get(2).id]).expect("deleted");
    let mut held = Receipts::default();
    (0..3).for_each(|i| held.push(hand.got.receipt(i)));
    hand.lane.acks.extend(&held).await.expect("extended");
    assert_eq!(hand.lane.source.take_lost(), 1, "the server forgets what is deleted by itself");
    let mut outbox = Outbox::default();
    (0..2).for_each(|i| push(&mut outbox, &to, "out", hand.got.receipt(i).position));
    hand.done(0).done(1).outputs(outbox).settle().await;
    assert_eq!(redis.ask(&["XLEN", &to]).expect("asked"), ["2"]);
    assert_eq!(redis.ask(&["XPENDING", &topic, "g"]).expect("asked")[0], "0");
}

#[tokio::test]
async fn a_server_that_went_back_is_told_with_how_much_is_gone() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let config = json!({ "host": "127.0.0.1", "port": redis.port(), "lease": "300ms" });
    let (roles, topic) = (try_connect::<Streams>(config, Vec::new()).await.expect("connected"), unique("back"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(3).await;
    before.all_done(0).settle().await;
    redis.ask(&["SAVE"]).expect("saved");
    publish(&roles, &topic, &["d", "e"]).await.expect("published");
    let looked = || {
        let info = redis.ask(&["INFO", "commandstats"]).expect("asked").concat();
        let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_xinfo|stream:calls=")?.split(',').next()?.parse().ok());
        calls.unwrap_or(0_u64)
    };
    let from = looked();
    until(async || {
        look(&mut before).await;
        looked() >= from + 2
    })
    .await;
    redis.ask(&["DEBUG", "RELOAD", "NOSAVE"]).expect("as a replica that was behind");
    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]).expect("killed");
    ends(&mut before).await;
    drop(before);
    publish(&roles, &topic, &["f"]).await.expect("published");
    let mut after = hand(&roles, wish(&topic, json!({}))).await;
    assert_eq!(after.lane.source.take_lost(), 2);
    after.fetch(1).await;
    assert_eq!(after.payloads(), ["f"]);
}

/// Adds ten entries and leaves two, in one piece, so that nothing of it can be read between.
fn add_and_trim(redis: &Redis, topic: &str) {
    let script =
        "for i = 1, 10 do redis.call('XADD', KEYS[1], '*', 'payload', 'n' .. i) end return redis.call('XTRIM', KEYS[1], 'MAXLEN', 2)";
    redis.ask(&["EVAL", script, "1", topic]).expect("added and trimmed");
}

async fn lag(roles: &Roles, topic: &str) -> Option<u64> {
    let groups = roles.groups.as_ref().expect("groups").list().await.expect("listed");
    groups.into_iter().find(|group| group.topic == topic).expect("it is there").lag
}

/// The server does not log how many entries a group has read. `read` are read of five before it is killed; `looked` says whether the host looks
/// at the count in between.
async fn kill_after(read: usize, looked: bool) {
    let Some(redis) = Redis::start(&RedisOptions::default().durable()) else { return };
    let config = json!({ "host": "127.0.0.1", "port": redis.port(), "lease": "300ms" });
    let (roles, topic) = (try_connect::<Streams>(config.clone(), Vec::new()).await.expect("connected"), unique("restarted"));
    publish(&roles, &topic, &["a", "b", "c", "d", "e"]).await.expect("published");
    let mut before = hand(&roles, wish(&topic, json!({}))).await;
    before.fetch(read).await;
    before.all_done(0).settle().await;
    if looked {
        let kept = format!("longshore:{{{topic}}}:kept:{topic}:g");
        until(async || {
            look(&mut before).await;
            redis.ask(&["HGET", &kept, "read"]).expect("asked") == [read.to_string()]
        })
        .await;
    }
    before.close().await;
    redis.ask(&["XTRIM", &topic, "MAXLEN", "3"]).expect("trimmed");
    redis.server.kill();
    redis.server.launch();
    redis.server.await_ready();
    let roles = try_connect::<Streams>(config, Vec::new()).await.expect("connected again");
    if read == 5 {
        assert_eq!(lag(&roles, &topic).await, Some(0), "all are read");
    }
    let mut after = hand(&roles, wish(&topic, json!({}))).await;
    after.fetch(5 - read).await;
    add_and_trim(&redis, &topic);
    lost(&mut [&mut after], 8).await;
}

#[tokio::test]
async fn a_restart_from_the_append_only_file_loses_nothing_and_what_is_trimmed_after_it_is_counted() {
    kill_after(5, false).await;
    kill_after(5, true).await;
    kill_after(3, false).await;
}

#[tokio::test]
async fn a_lane_that_nothing_comes_to_tells_what_it_lost() {
    let Some(redis) = servers::redis() else { return };
    let (roles, topic) = (streams(redis.port()).await, unique("idle"));
    let mut hand = hand(&roles, wish(&topic, short())).await;
    look(&mut hand).await;
    let script = "redis.call('XADD', KEYS[1], '*', 'payload', 'a') return redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)";
    redis.ask(&["EVAL", script, "1", &topic]).expect("added and trimmed");
    let first = hand.fetch_some(ROOM).await;
    assert_eq!((hand.got.len() - first, hand.lane.source.take_lost()), (0, 1));
}
