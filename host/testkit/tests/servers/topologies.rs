//! Several Redis that belong together.

use longshore_testkit::servers::{RedisCluster, RedisOptions, RedisSentinel};

use crate::ending::wait_until;

#[test]
fn a_cluster_covers_all_slots_and_sends_clients_to_the_right_node() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default().durable()) else { return };
    let [first, second, third] = cluster.nodes() else { panic!("three masters") };
    // CLUSTER KEYSLOT foo is 12182.
    assert_eq!(first.ask(&["SET", "foo", "1"]), Err(format!("MOVED 12182 127.0.0.1:{}", third.port())));
    assert_eq!(third.ask(&["SET", "foo", "1"]), Ok(vec!["OK".to_owned()]));
    second.server.restart();
    third.server.restart();
    cluster.await_ready();
    assert_eq!(third.ask(&["GET", "foo"]), Ok(vec!["1".to_owned()]));
}

#[test]
fn a_sentinel_makes_the_replica_the_master_when_the_master_is_gone() {
    let Some(all) = RedisSentinel::start(&RedisOptions::default()) else { return };
    assert_eq!(all.master_port(), all.master.port());
    all.replica.ask(&["SET", "key", "1"]).expect_err("a replica is read only");
    all.master.server.kill();
    wait_until("the replica is the master", || all.master_port() == all.replica.port());
    wait_until("it takes writes", || all.replica.ask(&["SET", "key", "1"]).is_ok());
}
