//! The client: every call arrives as it was meant.

use crate::support::{Host, line, topic, who};
use longshore_admin::control::{
    BrokerControl, DeadLetterControl, GroupControl, HandlerControl, LockControl, MessageControl, StoreControl, TopicControl,
};
use longshore_admin::model::*;
use longshore_admin::{Client, Kind};

fn client(host: &Host) -> Client {
    Client::new(host.address().to_string(), None)
}

#[tokio::test]
async fn brokers_and_handlers() {
    let host = Host::start(None);
    let client = client(&host);
    assert_eq!(client.status().await.unwrap().pid, 7);
    assert!(client.brokers().await.unwrap().is_empty());
    assert!(client.ping("a b/ü").await.unwrap().up);
    assert_eq!(host.fake.last(), r#"("ping", "a b/ü")"#);
    assert_eq!(client.capabilities("k").await.unwrap().flags[1], ("delay".into(), Provided::Host));
    assert!(client.handlers().await.unwrap().is_empty());
    assert_eq!(client.pause("billing/orders").await.unwrap().subscriptions, ["billing/orders"]);
    assert!(!client.resume("billing").await.unwrap().paused);
}

#[tokio::test]
async fn a_host_says_who_it_is_before_its_brokers_are_open() {
    let host = Host::closed(None);
    assert_eq!(client(&host).host().await.unwrap(), who());
    assert_eq!(client(&host).status().await.unwrap_err().kind, Kind::Unreachable);
}

#[tokio::test]
async fn messages() {
    let host = Host::start(None);
    let client = client(&host);
    let headers = HeaderList(vec![("h".into(), Data(vec![0xff])), ("h".into(), "2".into())]);
    let message = Line { topic: Some("t".into()), key: Some("k".into()), headers, ..line("x") };
    let tombstone = Line { payload: None, ..message.clone() };
    let messages = [message.clone(), tombstone].map(|message| ToPublish { message, delay_ms: 5 }).to_vec();
    let publish = Publish { broker: Some("b".into()), messages };
    let answers = client.publish(publish.clone()).await.unwrap();
    assert_eq!(host.fake.last(), format!("{publish:?}"));
    assert_eq!(answers[0].clone().result().unwrap(), "id-0");
    assert_eq!(answers[1].clone().result().unwrap_err().kind, Kind::Unsupported);

    let browse = Browse { broker: None, topic: "a/b?c".into(), after: 7, newest: false, limit: Some(3), wait_ms: 1500 };
    assert_eq!(client.browse(browse.clone()).await.unwrap()[0].position, 8);
    assert_eq!(host.fake.last(), format!("{browse:?}"));

    let take = Take { broker: Some("b".into()), topic: "t".into(), group: "g".into(), from: Begin::Beginning, limit: None, wait_ms: 0 };
    assert!(client.take(take.clone()).await.unwrap().is_empty());
    assert_eq!(host.fake.last(), format!("{take:?}"));

    let request = Request { broker: None, message, timeout_ms: 9 };
    assert_eq!(client.request(request.clone()).await.unwrap(), line("answered"));
    assert_eq!(host.fake.last(), format!("{request:?}"));
}

#[tokio::test]
async fn topics_and_groups() {
    let host = Host::start(None);
    let client = client(&host);
    assert_eq!(client.topics(Some("b")).await.unwrap(), [topic("a")]);
    assert_eq!(host.fake.last(), r#"("topics", Some("b"))"#);
    assert_eq!(client.topic(None, "t").await.unwrap(), topic("t"));
    assert_eq!(client.topic(None, "missing").await.unwrap_err().kind, Kind::NotFound);
    let new = NewTopic { name: "n".into(), retention_ms: Some(5), until_finished: true, ..NewTopic::default() };
    assert!(client.create_topic(new.clone()).await.unwrap().created);
    assert_eq!(host.fake.last(), format!("{new:?}"));
    client.delete_topic(Some("b"), "t").await.unwrap();
    assert_eq!(host.fake.last(), r#"("delete", Some("b"), "t")"#);
    assert_eq!(client.purge_topic(None, "t").await.unwrap().count, 3);
    assert!(client.groups(None).await.unwrap().is_empty());
    client.group(Some("b"), "g").await.unwrap();
    assert_eq!(host.fake.last(), r#"("group", Some("b"), "g")"#);
    let seek = SeekGroup { broker: None, group: "g".into(), topic: "t".into(), to: "end".into() };
    assert_eq!(client.seek(seek.clone()).await.unwrap().position, 9);
    assert_eq!(host.fake.last(), format!("{seek:?}"));
}

#[tokio::test]
async fn dead_letters() {
    let host = Host::start(None);
    let client = client(&host);
    let filter = DeadLetterFilter { header: Some("a=b&c".into()), since: Some(5), limit: Some(2), ..DeadLetterFilter::default() };
    client.dead_letters(filter.clone()).await.unwrap();
    assert_eq!(host.fake.last(), format!("{filter:?}"));
    assert_eq!(client.count_dead_letters(filter.clone()).await.unwrap().count, 4);
    assert_eq!(client.dead_letter(None, "orders.g.dlq/17").await.unwrap().id, "orders.g.dlq/17");
    let redrive = Redrive { filter: filter.clone(), to: Some("t".into()) };
    assert_eq!(client.redrive(redrive.clone()).await.unwrap().count, 5);
    assert_eq!(host.fake.last(), format!("{redrive:?}"));
    assert_eq!(client.discard(filter).await.unwrap().count, 6);
}

#[tokio::test]
async fn the_token_is_sent() {
    let host = Host::start(Some("secret"));
    let error = client(&host).status().await.unwrap_err();
    assert!(error.kind == Kind::Unauthorized && error.message.contains("admin.token"), "{error}");
    Client::new(host.address().to_string(), Some("secret".into())).status().await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_names_the_address() {
    let address = {
        let host = Host::start(None);
        host.address().to_string()
    };
    let error = Client::new(&address, None).status().await.unwrap_err();
    assert!(error.kind == Kind::Unreachable && error.message.contains(&address), "{error}");
}

#[tokio::test]
async fn stores() {
    let host = Host::start(None);
    let client = client(&host);
    let cache = InBucket { store: Some("a b".into()), kind: BucketKind::Cache, bucket: "sessions".into() };
    let kept = InBucket { store: None, kind: BucketKind::KeyValue, ..cache.clone() };
    for bucket in [&cache, &kept] {
        let value = client.value(bucket, "a/ü?&#").await.unwrap();
        assert_eq!((value.key.as_str(), value.value, value.ttl_ms), ("a/ü?&#", Data(vec![0xff]), Some(7)));
        assert_eq!(host.fake.last(), format!("{:?}", (bucket, "a/ü?&#")));
        let set = SetValue { value: Data(vec![0, 0xff]), ttl_ms: Some(5) };
        client.set_value(bucket, "..", set.clone()).await.unwrap();
        assert_eq!(host.fake.last(), format!("{:?}", (bucket, "..", set)));
        client.delete_value(bucket, "k").await.unwrap();
        assert_eq!(host.fake.last(), format!("{:?}", (bucket, "k")));
        assert_eq!(client.delete_matching(bucket, "a*&b").await.unwrap().count, 3);
        assert_eq!(host.fake.last(), format!("{:?}", (bucket, "a*&b")));
        assert_eq!(client.keys(bucket, "*", Some("c=1")).await.unwrap().next.as_deref(), Some("n"));
        assert_eq!(host.fake.last(), format!("{:?}", (bucket, "*", Some("c=1"))));
    }
}

#[tokio::test]
async fn locks() {
    let host = Host::start(None);
    let client = client(&host);
    for store in [Some("a b"), None] {
        let page = client.locks(store, "charge:*", Some("c=1")).await.unwrap();
        assert_eq!((page.locks, page.next.as_deref()), (vec![super::support::lock("l")], Some("n")));
        assert_eq!(host.fake.last(), format!("{:?}", (store, "charge:*", Some("c=1"))));
        assert_eq!(client.lock(store, "a/ü?&#").await.unwrap(), super::support::lock("a/ü?&#"));
        assert_eq!(host.fake.last(), format!("{:?}", (store, "a/ü?&#")));
        assert_eq!(client.release_lock(store, "l", Some(9)).await.unwrap().fence, 9);
        assert_eq!(host.fake.last(), format!("{:?}", (store, "l", Some(9_u64))));
        client.release_lock(store, "l", None).await.unwrap();
        assert_eq!(host.fake.last(), format!("{:?}", (store, "l", None::<u64>)));
    }
}
