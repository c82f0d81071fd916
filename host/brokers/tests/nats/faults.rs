//! Servers that die and connections that break, in the middle of work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use longshore_core::{Batch, BrokerError, Fix, PublishError, Roles, Room, SettleError};
use longshore_testkit::conformance::Hand;
use longshore_testkit::proxy::{Proxy, Traffic};
use longshore_testkit::servers::{Nats, NatsCluster, NatsOptions};
use serde_json::json;
use tokio::time::Instant;

use super::support::{connect, connect_to, hand, subscribe, wish};
use crate::work::publish;

/// How long any of these may take.
const LONG: Duration = Duration::from_secs(40);

/// Works until every payload was settled, as the engine would: what is to be tried again is. Says how often each came.
async fn work(hand: &mut Hand, payloads: usize) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    let all = async {
        while seen.len() < payloads {
            let (mut batch, room) = (Batch::default(), Room { messages: 20, bytes: 1 << 20 });
            let fetched = tokio::time::timeout(Duration::from_secs(3), hand.lane.source.fetch(room, &mut batch)).await;
            if let Ok(Err(error)) = fetched {
                assert_eq!(error.fix, Fix::Retry, "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let first = hand.take(&batch);
            hand.payloads_from(first).into_iter().for_each(|payload| *seen.entry(payload).or_insert(0) += 1);
            hand.all_done(first);
            while let Err(error) = settle(hand).await {
                assert!(matches!(&error, SettleError::Broker(error) if error.fix == Fix::Retry), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(LONG, all).await.expect("all are settled in time");
    seen
}

async fn settle(hand: &mut Hand) -> Result<(), SettleError> {
    let round = hand.round.clone();
    hand.lane.acks.settle(&round).await?;
    hand.round.finished.clear();
    Ok(())
}

/// Publishes one by one until each is taken, as whoever must not lose one does.
async fn publish_all(roles: &Roles, topic: &str, count: usize) {
    publish_some(roles, topic, 0..count).await;
}

/// The same with some of them.
async fn publish_some(roles: &Roles, topic: &str, some: std::ops::Range<usize>) {
    for i in some {
        let began = Instant::now();
        while let Err(error) = publish(roles, topic, &[i.to_string()]).await {
            assert!(matches!(error, PublishError::Unavailable(_) | PublishError::Timeout), "{error}");
            assert!(began.elapsed() < LONG, "{error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_in_the_middle_loses_nothing() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let nats = Arc::new(nats);
    let roles = connect_to(&nats).await;
    let mut hand = hand(&roles, wish(&["t"], "g", json!({ "lease": "2s" }))).await;
    let killed = nats.clone();
    let kill = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(150));
            killed.server.restart();
        }
    });
    let (seen, (), kill) = tokio::join!(work(&mut hand, 300), publish_all(&roles, "t", 300), kill);
    kill.expect("it was killed");
    assert_eq!(seen.len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_in_the_middle_lose_nothing() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let proxy = Arc::new(Proxy::start(nats.port()));
    let url = format!("nats://127.0.0.1:{}", proxy.port());
    let roles = connect(json!({ "url": url, "request-timeout": "1s" }), Vec::new()).await.expect("through the proxy");
    let mut hand = hand(&roles, wish(&["t"], "g", json!({ "lease": "2s" }))).await;
    let storm = tokio::task::spawn_blocking(move || {
        for i in 0..10 {
            std::thread::sleep(Duration::from_millis(60));
            proxy.existing(if i % 2 == 0 { Traffic::Reset } else { Traffic::Cut });
        }
        proxy
    });
    let (seen, (), storm) = tokio::join!(work(&mut hand, 300), publish_all(&roles, "t", 300), storm);
    let proxy = storm.expect("it ended");
    assert!(proxy.accepted() > 3, "it had to connect again");
    assert_eq!(seen.len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_ends_while_the_server_is_away_and_works_once_it_is_back() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let roles = connect(json!({ "url": nats.url(), "request-timeout": "1s" }), Vec::new()).await.expect("there");
    publish(&roles, "t", &["a"]).await.expect("published");
    tokio::task::block_in_place(|| nats.server.kill());
    let began = Instant::now();
    let error = publish(&roles, "t", &["b"]).await.expect_err("the server is away");
    assert!(matches!(error, PublishError::Unavailable(_) | PublishError::Timeout), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(roles.connection.ping().await.is_err());
    tokio::task::block_in_place(|| {
        nats.server.launch();
        nats.server.await_ready();
    });
    publish_all(&roles, "t", 1).await;
    roles.connection.ping().await.expect("it answers again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_for_longer_than_a_lease_loses_nothing() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let nats = Arc::new(nats);
    let roles = connect(json!({ "url": nats.url(), "request-timeout": "1s" }), Vec::new()).await.expect("there");
    let mut hand = hand(&roles, wish(&["t"], "g", json!({ "lease": "1s" }))).await;
    let still = nats.clone();
    let freeze = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(100));
        still.server.freeze();
        // That is the fault: it stands still for longer than the lease.
        std::thread::sleep(Duration::from_millis(2500));
        still.server.thaw();
    });
    let (seen, (), freeze) = tokio::join!(work(&mut hand, 2000), publish_all(&roles, "t", 2000), freeze);
    freeze.expect("it went on");
    assert_eq!(seen.len(), 2000);
}

/// Works until every payload was settled, over as many lanes as that takes: a lane that ended begins again, as the engine would have it.
async fn work_over_lanes(roles: &Roles, topic: &str, payloads: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let all = async {
        while seen.len() < payloads {
            match lane(roles, topic, payloads, &mut seen).await {
                Ok(()) => {}
                Err(error) if error.fix == Fix::GiveUp => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(LONG, all).await.expect("all are settled in time");
    seen
}

/// Works on one lane to its end, or the end of the work.
async fn lane(roles: &Roles, topic: &str, payloads: usize, seen: &mut BTreeSet<String>) -> Result<(), BrokerError> {
    let mut lanes = subscribe(roles, wish(&[topic], "g", json!({ "lease": "2s" }))).await?;
    let Ok(Some(lane)) = tokio::time::timeout(Duration::from_secs(5), lanes.next()).await else { return Ok(()) };
    let mut hand = Hand::new(lane?, Some(lanes));
    while seen.len() < payloads {
        let (mut batch, room) = (Batch::default(), Room { messages: 20, bytes: 1 << 20 });
        if let Ok(fetched) = tokio::time::timeout(Duration::from_secs(3), hand.lane.source.fetch(room, &mut batch)).await {
            fetched?;
        }
        let first = hand.take(&batch);
        hand.all_done(first);
        match settle(&mut hand).await {
            Ok(()) => seen.extend(hand.payloads_from(first)),
            Err(SettleError::Broker(error)) => return Err(error),
            Err(error) => panic!("{error}"),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_leader_is_killed_in_the_middle_loses_nothing() {
    let Some(cluster) = NatsCluster::start(&NatsOptions::default()) else { return };
    let cluster = Arc::new(cluster);
    let config = json!({ "url": cluster.urls(), "replicas": 3, "request-timeout": "2s" });
    let roles = connect(config, Vec::new()).await.expect("the servers are there");
    let (killed, (halfway, half)) = (cluster.clone(), tokio::sync::oneshot::channel());
    let kill = tokio::task::spawn_blocking(move || {
        half.blocking_recv().expect("it publishes so far");
        let leader = killed.leader("t").expect("the stream has a leader");
        leader.server.kill();
        leader.name()
    });
    let published = async {
        publish_all(&roles, "t", 100).await;
        halfway.send(()).expect("it waits for that");
        publish_some(&roles, "t", 100..300).await;
    };
    let (seen, (), kill) = tokio::join!(work_over_lanes(&roles, "t", 300), published, kill);
    let (killed, seen_of) = (kill.expect("it was killed"), seen.len());
    assert_eq!(seen_of, 300, "{killed} was killed");
    assert_ne!(cluster.leader("t").map(Nats::name), Some(killed), "another leads now");
}
