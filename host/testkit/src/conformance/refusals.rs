//! What a broker must answer that does not declare a flag: a typed refusal, never silence. Flags that nothing can be asked of are taken at
//! their word.

use std::time::Duration;

use longshore_core::{BoxFuture, Fix, Flag, Outbox, PublishError, Start, Subscribe};

use super::bench::{push, wish};
use super::{Bench, Subject};

pub(super) fn check(subject: &dyn Subject, flag: Flag) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        match flag {
            Flag::Publish => assert!(Bench::new(subject).await.roles.publisher.is_none(), "it has the role of a publisher"),
            Flag::Subscribe => assert!(Bench::new(subject).await.roles.consumer.is_none(), "it has the role of a consumer"),
            Flag::DeadLetterQueue => assert!(Bench::new(subject).await.roles.dead_letters.is_none(), "it has the role of dead letters"),
            Flag::ConsumerGroups => refuses_subscription(subject, |bench| wish(&[&bench.topic("t")], Some("g"))).await,
            Flag::Patterns => refuses_subscription(subject, |bench| wish(&[&bench.topic("t.*")], bench.group("g"))).await,
            Flag::Broadcast => refuses_subscription(subject, |bench| wish(&[&bench.topic("t")], None)).await,
            Flag::Delay => refuses_delay(subject).await,
            Flag::RequestReply => refuses_request(subject).await,
            Flag::Replay => refuses_replay(subject).await,
            Flag::AckNack if subject.forgets() => super::forgetful::never_comes_again(subject).await,
            Flag::AckNack
            | Flag::DeliveryGuarantees
            | Flag::MessageOrdering
            | Flag::BlockingRead
            | Flag::StreamPartitioning
            | Flag::Transactions
            | Flag::DedupInbox
            | Flag::Durable => {}
        }
    })
}

/// What a queue that one group empties must refuse, whatever it declares.
pub(super) fn queue(subject: &dyn Subject) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        refuses_subscription(subject, |bench| Subscribe { start: Start::Latest, ..wish(&[&bench.topic("t")], bench.group("g")) }).await;
        let bench = Bench::new(subject).await;
        let _reader = bench.hand(&bench.topic("t"), "first").await;
        let answer = bench.try_subscribe(&wish(&[&bench.topic("t")], Some("second"))).await;
        let error = answer.err().expect("a second group is refused");
        assert!(error.fix == Fix::GiveUp && error.what.contains("\"first\"") && error.what.contains("\"second\""), "{error:?}");
    })
}

async fn refuses_subscription(subject: &dyn Subject, wish: impl FnOnce(&Bench<'_>) -> Subscribe) {
    let bench = Bench::new(subject).await;
    if bench.roles.consumer.is_none() {
        return;
    }
    let answer = bench.try_subscribe(&wish(&bench)).await;
    assert_eq!(answer.err().expect("it is refused").fix, Fix::GiveUp, "only a human can mend it");
}

async fn refuses_delay(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    if bench.roles.publisher.is_none() {
        return;
    }
    let mut outbox = Outbox::default();
    push(&mut outbox, &bench.topic("t"), None, "later", 1000);
    let answer = bench.publish_all(&outbox).await.remove(0);
    assert!(matches!(answer, Err(PublishError::Unsupported(_))), "{answer:?}");
}

async fn refuses_request(subject: &dyn Subject) {
    let bench = Bench::new(subject).await;
    if bench.roles.publisher.is_none() {
        return;
    }
    let mut outbox = Outbox::default();
    push(&mut outbox, &bench.topic("t"), None, "question", 0);
    let answer = bench.publisher().request(&outbox, Duration::from_secs(1)).await;
    assert!(matches!(answer, Err(PublishError::Unsupported(_))), "{answer:?}");
}

async fn refuses_replay(subject: &dyn Subject) {
    for start in [Start::Time(1), Start::Position("1".into())] {
        refuses_subscription(subject, |bench| Subscribe { start, ..wish(&[&bench.topic("t")], bench.group("g")) }).await;
    }
    let bench = Bench::new(subject).await;
    let Some(groups) = &bench.roles.groups else { return };
    let answer = groups.seek("g", &bench.topic("t"), longshore_core::SeekTo::Beginning).await;
    assert_eq!(answer.expect_err("it is refused").fix, Fix::GiveUp);
}
