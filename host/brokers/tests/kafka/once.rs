//! `exactly-once = true`: what a lane settles, with what it publishes, is there once or not at all.

use std::time::Duration;

use longshore_core::{Order, Outbox, PublishError, Roles, SettleError, Subscribe};
use longshore_testkit::conformance::Hand;
use longshore_testkit::servers::{self, Kafka, KafkaOptions, Operation, Resource, unique};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, timeout};

use super::another::{self, Another};
use super::support::{alone, config, connect, connect_to, hand, make, once, subscribe, wish};
use crate::work::{publish, push};

/// How long an answer of the server may take.
const SOON: Duration = Duration::from_secs(10);

fn exactly(topic: &str) -> Subscribe {
    Subscribe { own: once(), ..alone(topic) }
}

fn output(topic: &str, payload: &str) -> Outbox {
    let mut outbox = Outbox::default();
    push(&mut outbox, topic, payload, 0);
    outbox
}

/// All that is committed in a topic, with something published behind it as a fence.
async fn all_of(roles: &Roles, topic: &str) -> Vec<String> {
    publish(roles, topic, &["fence"]).await.expect("published");
    let mut reader = hand(roles, Subscribe { order: Order::None, ..wish(topic, &unique("reader")) }).await;
    while reader.payloads().last().is_none_or(|last| last != "fence") {
        reader.fetch(1).await;
    }
    let mut all = reader.payloads();
    all.pop();
    all
}

/// The host that the test below stops. It settles a message with its output, and another once it is told to.
async fn be_stopped(told: &str) {
    let [address, topic] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let mut short = config(address);
    (short["session-timeout"], short["request-timeout"]) = ("3s".into(), "5s".into());
    let roles = connect(short, Vec::new()).await.expect("the server is there");
    let mut hand = hand(&roles, exactly(topic)).await;
    hand.fetch(2).await;
    hand.done(0).outputs(output(&format!("{topic}.out"), "a by the first")).settle().await;
    println!("\nsettled one");
    let mut line = String::new();
    tokio::task::block_in_place(|| std::io::stdin().read_line(&mut line).expect("a line"));
    hand.done(1).outputs(output(&format!("{topic}.out"), "b by the first"));
    let told = hand.try_settle().await;
    println!("\nsettled two: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_settles_that_was_stopped_until_others_have_its_partitions_is_refused() {
    if let Some(told) = another::told() {
        return be_stopped(&told).await;
    }
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let name = "kafka::once::what_a_host_settles_that_was_stopped_until_others_have_its_partitions_is_refused";
    let mut first = Another::start(name, &format!("{} {topic}", kafka.address()));
    first.says("settled one");
    first.signal("STOP");
    let mut lanes = subscribe(&roles, exactly(&topic)).await.expect("subscribed");
    let lane = timeout(Duration::from_secs(30), futures::StreamExt::next(&mut lanes)).await.expect("a lane once the first is given up");
    let mut second = Hand::new(lane.expect("a lane").expect("no error"), Some(lanes));
    second.fetch(1).await;
    assert_eq!(second.payloads(), ["b"], "the first has settled the other");
    second.done(0).outputs(output(&format!("{topic}.out"), "b by the second")).settle().await;
    first.say("go on");
    first.signal("CONT");
    first.says("settled two");
    assert_eq!(all_of(&roles, &format!("{topic}.out")).await, ["a by the first", "b by the second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_settled_is_there_when_it_answers() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b", "c"]).await.expect("published");
    let mut first = hand(&roles, exactly(&topic)).await;
    first.fetch(3).await;
    let out = format!("{topic}.out");
    first.done(0).done(2).outputs(output(&out, "of a")).settle().await;
    first.again(1, Duration::ZERO, 2, 7).settle().await;
    drop(first);
    let mut next = hand(&roles, exactly(&topic)).await;
    next.fetch(1).await;
    assert_eq!((next.payloads(), next.got.get(0).attempt), (vec!["b".into()], 2), "the retry alone");
    next.done(0).outputs(output(&out, "of b")).settle().await;
    assert_eq!(all_of(&roles, &out).await, ["of a", "of b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_round_is_there_of_which_the_brokers_refuse_an_output() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let mut first = hand(&roles, exactly(&topic)).await;
    first.fetch(1).await;
    let out = format!("{topic}.out");
    let mut outbox = output(&out, "small");
    push(&mut outbox, &out, &"x".repeat(2 << 20), 0);
    first.done(0).outputs(outbox);
    let error = first.try_settle().await.expect_err("the brokers take a megabyte");
    assert!(matches!(error, SettleError::Output { index: 1, .. }), "{error:?}");
    first.outputs(output(&out, "without it")).settle().await;
    assert_eq!(all_of(&roles, &out).await, ["without it"]);
}

/// What was settled in it would be done again otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_begins_waits_for_a_transaction_that_has_its_offsets() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a", "b"]).await.expect("published");
    let mut client = rdkafka::ClientConfig::new();
    client.set("bootstrap.servers", kafka.address()).set("group.id", &topic).set("transactional.id", &topic);
    let producer: BaseProducer = client.create().expect("a producer");
    client.remove("transactional.id");
    let member: BaseConsumer = client.create().expect("a consumer");
    let member = member.group_metadata().expect("a group");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(1)).expect("an offset");
    tokio::task::block_in_place(|| {
        producer.init_transactions(SOON).expect("a producer of transactions");
        producer.begin_transaction().expect("begun");
        producer.send_offsets_to_transaction(&list, &member, SOON).expect("sent");
    });
    let begins = hand(&roles, exactly(&topic));
    tokio::pin!(begins);
    assert!(timeout(Duration::from_secs(2), &mut begins).await.is_err(), "nobody knows yet whether the first message is settled");
    tokio::task::block_in_place(|| producer.commit_transaction(SOON).expect("committed"));
    let mut hand = begins.await;
    hand.fetch(1).await;
    assert_eq!(hand.payloads(), ["b"]);
}

/// The client tells of such a transaction that it may not be, and not for which topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_to_a_topic_without_the_right_to_write_fails_alone_and_names_both() {
    use Operation::{Describe, DescribeConfigs, Read, Write};
    let Some(kafka) = Kafka::start(&KafkaOptions::default().with_rights().user("host", "secret")) else { return };
    let anybody = connect_to(&kafka).await;
    for topic in ["t", "out", "closed", "t.t.retry.1s"] {
        make(&anybody, topic, 1).await;
    }
    // Its topic, and those of retries.
    kafka.permit("host", Resource::Topics("t"), &[Read, DescribeConfigs]);
    kafka.permit("host", Resource::Topic("out"), &[Write]);
    kafka.permit("host", Resource::Topic("closed"), &[Describe]);
    kafka.permit("host", Resource::Group("t"), &[Read]);
    kafka.permit("host", Resource::Transactions("longshore-once-"), &[Write, Describe]);
    publish(&anybody, "t", &["a", "b"]).await.expect("published");
    let mut theirs = config(&format!("127.0.0.1:{}", kafka.sasl_port()));
    theirs["security"] = serde_json::json!({ "mechanism": "PLAIN", "username": "host", "password": "secret" });
    let roles = connect(theirs, Vec::new()).await.expect("let in");
    let mut hand = hand(&roles, exactly("t")).await;
    hand.fetch(2).await;
    let mut outputs = output("out", "good");
    push(&mut outputs, "closed", "bad", 0);
    let error = hand.done(0).outputs(outputs).try_settle().await.expect_err("it may not be written to");
    let SettleError::Output { index: 1, error: PublishError::Denied(words) } = error else { panic!("{error:?}") };
    assert!(words.contains("\"closed\"") && words.contains("--operation Write"), "{words}");
    hand.outputs(output("out", "without it")).settle().await;
    let again = async |hand: &mut Hand| hand.again(1, Duration::ZERO, 2, 1).try_settle().await;
    let error = again(&mut hand).await.expect_err("its retry may not be written").to_string();
    assert!(error.contains("\"t.t.retry.1s\"") && error.contains("--operation Write"), "{error}");
    kafka.permit("host", Resource::Topic("t.t.retry.1s"), &[Write]);
    hand.settle().await;
    let retried = hand.fetch(1).await;
    assert_eq!((hand.payloads_from(retried), hand.got.get(retried).attempt), (vec!["b".into()], 2));
    assert_eq!(all_of(&anybody, "out").await, ["without it"]);
}

/// Markers of transactions are no messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_waits_where_nothing_but_markers_of_transactions_is_left() {
    let Some(kafka) = servers::kafka() else { return };
    let (roles, topic) = (connect_to(kafka).await, unique("t"));
    publish(&roles, &topic, &["a"]).await.expect("published");
    let out = format!("{topic}.out");
    let (mut first, mut reader) = (hand(&roles, exactly(&topic)).await, hand(&roles, alone(&out)).await);
    first.fetch(1).await;
    first.again(0, Duration::ZERO, 2, 7).outputs(output(&out, "x")).settle().await;
    let again = first.fetch(1).await;
    first.done(again).settle().await;
    reader.fetch(1).await;
    reader.done(0).settle().await;
    let groups = roles.groups.as_ref().expect("groups");
    let is_left = async || {
        let all = groups.list().await.expect("told");
        all.iter().any(|g| (g.topic == topic || g.topic == out) && (g.lag != Some(0) || g.retries > 0))
    };
    let until = Instant::now() + Duration::from_secs(20);
    // Lanes come to rest while they wait for something.
    let waits = async {
        tokio::join!(first.fetch(1), reader.fetch(1));
    };
    let looks = async {
        while is_left().await {
            assert!(Instant::now() < until, "something waits");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = waits => panic!("nothing comes"),
        () = looks => {}
    }
}
