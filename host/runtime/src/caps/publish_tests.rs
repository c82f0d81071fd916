//! `publisher`, called as a guest calls it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use longshore_core::{
    Batch, BoxFuture, BrokerError, Call, Capabilities, Clock, Facts, Grant, Order, Pattern, Publisher, Receipt, SubscriptionInfo,
};

use super::*;
use crate::state::Granted;

/// Keeps topics and payloads; or hangs, or is down.
#[derive(Default)]
struct Broker {
    hangs: bool,
    down: bool,
    refuses: Option<&'static str>,
    sent: Mutex<Vec<(String, Vec<u8>)>>,
    headers: Mutex<Vec<String>>,
    delays: Mutex<Vec<u64>>,
}

impl Publisher for Broker {
    fn publish<'a>(&'a self, outbox: &'a Outbox) -> BoxFuture<'a, Result<Vec<Result<String, PublishError>>, BrokerError>> {
        Box::pin(async move {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            if self.down {
                return Err(BrokerError::reconnect("connection refused"));
            }
            let mut sent = self.sent.lock().expect("not poisoned");
            let one = |i| {
                let message = outbox.get(i);
                if self.refuses == Some(message.topic) {
                    return Err(PublishError::Invalid("no such topic".into()));
                }
                let headers = message.headers.clone().map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)));
                self.headers.lock().expect("not poisoned").extend(headers);
                self.delays.lock().expect("not poisoned").push(outbox.delay(i));
                sent.push((message.topic.into(), message.payload.unwrap_or_default().into()));
                Ok(format!("id-{}", sent.len()))
            };
            Ok((0..outbox.len()).map(one).collect())
        })
    }

    fn request<'a>(&'a self, _: &'a Outbox, within: Duration) -> BoxFuture<'a, Result<Batch, PublishError>> {
        Box::pin(async move {
            tokio::time::sleep(within).await;
            Err(PublishError::Timeout)
        })
    }

    fn is_reply_address(&self, topic: &str) -> bool {
        topic.starts_with("inbox.")
    }
}

/// A guest that may publish to `out` and `audit.*` on broker `default`, and as `other` to `elsewhere` on a second one.
fn guest(broker: Broker) -> (State, Arc<Broker>, Arc<Broker>) {
    let (first, second) = (Arc::new(broker), Arc::new(Broker::default()));
    let outlet = |name: &str, publisher: &Arc<Broker>, flags: &[Flag]| Outlet {
        broker: name.into(),
        publisher: publisher.clone(),
        capabilities: Capabilities::of(flags),
        max_message_size: 100,
        published: Arc::default(),
    };
    let grant = |topics, alias: Option<&str>, broker| Grant {
        topics: Pattern::new(topics).expect("a pattern"),
        alias: alias.map(Into::into),
        broker,
    };
    let outlets = Outlets {
        brokers: vec![
            outlet("default", &first, &[Flag::Publish]),
            outlet("second", &second, &[Flag::Publish, Flag::Delay, Flag::RequestReply]),
        ],
        grants: vec![grant("out", None, 0), grant("audit.*", None, 0), grant("elsewhere", Some("other"), 1)],
        output: Some("out".into()),
    };
    let granted = Granted {
        name: "test".into(),
        outlets,
        stores: longshore_core::GrantedStores::default(),
        config: HashMap::new(),
        publish_timeout: Duration::from_millis(20),
        clock: Clock::system(),
        subscriptions: None,
    };
    (State::new(Arc::new(granted), 1 << 20), first, second)
}

fn to(topic: &str, payload: &str) -> Outgoing {
    Outgoing { to: types::Destination::Topic(topic.into()), key: None, payload: Some(payload.into()), headers: Vec::new(), delay: None }
}

#[tokio::test]
async fn a_granted_message_is_sent_and_its_id_comes_back() {
    let (mut guest, first, second) = guest(Broker::default());
    assert_eq!(guest.send(to("audit.logins", "a")).await.expect("sent"), "id-1");
    assert_eq!(guest.send(Outgoing { to: types::Destination::Output, ..to("", "b") }).await.expect("sent"), "id-2");
    assert_eq!(guest.send(to("other", "c")).await.expect("sent"), "id-1");
    assert_eq!(*first.sent.lock().expect("fine"), [("audit.logins".into(), b"a".to_vec()), ("out".into(), b"b".to_vec())]);
    assert_eq!(*second.sent.lock().expect("fine"), [("elsewhere".into(), b"c".to_vec())]);
}

#[tokio::test]
async fn what_cannot_be_sent_says_why_and_nothing_leaves() {
    let (mut guest, first, _) = guest(Broker::default());
    let mut refused = async |message: Outgoing| guest.send(message).await.expect_err("refused");
    assert!(matches!(refused(to("secrets", "a")).await, Error::Denied(why) if why.contains("`publish` list")));
    assert!(matches!(refused(to("", "a")).await, Error::Invalid(_)));
    assert!(matches!(refused(to("out", &"x".repeat(101))).await, Error::TooLarge(why) if why.contains("101") && why.contains("100")));
    assert!(matches!(refused(Outgoing { delay: Some(5), ..to("out", "a") }).await, Error::Unsupported(_)));
    let forged = Outgoing { headers: vec![(headers::DEAD_GROUP.into(), b"1".to_vec())], ..to("out", "a") };
    assert!(matches!(refused(forged).await, Error::Invalid(why) if why.contains(headers::DEAD_GROUP)));
    assert!(matches!(refused(Outgoing { to: types::Destination::Reply, ..to("", "a") }).await, Error::Invalid(_)));
    assert!(first.sent.lock().expect("fine").is_empty());
}

#[tokio::test]
async fn trouble_of_the_broker_is_an_answer_and_never_a_trap() {
    let (mut guest_of_stuck, ..) = guest(Broker { hangs: true, ..Broker::default() });
    assert!(matches!(guest_of_stuck.send(to("out", "a")).await, Err(Error::Timeout)));
    let (mut guest_of_down, ..) = guest(Broker { down: true, ..Broker::default() });
    assert!(matches!(guest_of_down.send(to("out", "a")).await, Err(Error::Unavailable(why)) if why.contains("connection refused")));
    assert!(matches!(guest_of_down.request(to("out", "a"), 5).await, Err(Error::Unsupported(_))));
}

#[tokio::test]
async fn send_all_answers_for_each_in_order() {
    let (mut guest, first, second) = guest(Broker { refuses: Some("audit.bad"), ..Broker::default() });
    let messages = vec![to("out", "1"), to("secrets", "2"), to("other", "3"), to("audit.bad", "4"), to("out", "5")];
    let answers = guest.send_all(messages).await;
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[0].as_deref().ok(), Some("id-1"));
    assert!(matches!(answers[1], Err(Error::Denied(_))));
    assert_eq!(answers[2].as_deref().ok(), Some("id-1"));
    assert!(matches!(answers[3], Err(Error::Invalid(_))));
    assert_eq!(answers[4].as_deref().ok(), Some("id-2"));
    assert_eq!((first.sent.lock().expect("fine").len(), second.sent.lock().expect("fine").len()), (2, 1));
}

#[tokio::test]
async fn a_reply_goes_to_whoever_asked() {
    let (mut guest, first, _) = guest(Broker::default());
    guest.log.begin(Current { call: Some(request("inbox.7")), deadline: 0 });
    guest.send(Outgoing { to: types::Destination::Reply, ..to("", "answer") }).await.expect("sent");
    assert_eq!(*first.sent.lock().expect("fine"), [("inbox.7".into(), b"answer".to_vec())]);
}

#[tokio::test]
async fn what_is_sent_carries_trace_and_causation_of_the_message_being_handled() {
    let (mut guest, first, _) = guest(Broker::default());
    guest.log.begin(Current { call: Some(request("inbox.7")), deadline: 0 });
    guest.send(to("out", "a")).await.expect("sent");
    let carried = ["traceparent=00-1-2-01", "longshore-correlation-id=m", "longshore-causation-id=m"];
    assert_eq!(*first.headers.lock().expect("fine"), carried);
    let own = Outgoing { headers: vec![("traceparent".into(), b"mine".to_vec())], ..to("out", "a") };
    guest.send(own).await.expect("sent");
    assert_eq!(first.headers.lock().expect("fine")[3..], ["traceparent=mine", carried[1], carried[2]]);
}

#[tokio::test]
async fn a_reply_goes_nowhere_but_to_an_address_for_replies() {
    let (mut guest, first, _) = guest(Broker::default());
    guest.log.begin(Current { call: Some(request("secrets")), deadline: 0 });
    let answer = guest.send(Outgoing { to: types::Destination::Reply, ..to("", "answer") }).await;
    assert!(matches!(&answer, Err(Error::Invalid(why)) if why.contains("secrets")), "{answer:?}");
    assert!(first.sent.lock().expect("fine").is_empty());
}

#[tokio::test]
async fn a_forwarder_passes_on_where_the_answer_goes() {
    let (mut guest, first, _) = guest(Broker::default());
    let forwarded = Outgoing { headers: vec![(headers::REPLY_TO.into(), b"inbox.7".to_vec())], ..to("out", "a") };
    guest.send(forwarded).await.expect("sent");
    assert_eq!(*first.headers.lock().expect("fine"), ["longshore-reply-to=inbox.7"]);
}

#[tokio::test(start_paused = true)]
async fn the_longest_spans_that_a_guest_can_say_do_not_overflow() {
    let (mut guest, _, second) = guest(Broker::default());
    guest.send(Outgoing { delay: Some(u64::MAX), ..to("other", "late") }).await.expect("sent");
    assert_eq!(*second.delays.lock().expect("fine"), [LONGEST]);
    let waits = timeout(Duration::from_secs(86_400 * 365), guest.request(to("other", "a"), u64::MAX)).await;
    assert!(waits.is_err(), "it waits for ever: {waits:?}");
}

fn request(reply_to: &str) -> Call {
    let mut batch = Batch::default();
    let headers: &[(&str, &[u8])] = &[(headers::REPLY_TO, reply_to.as_bytes()), (headers::TRACEPARENT, b"00-1-2-01")];
    let headers = headers.iter().copied();
    let message = Message { id: "m", topic: "in", key: None, payload: None, headers, timestamp: 0, attempt: 1 };
    batch.push(&message, Receipt { position: 1, token: &[] }, Facts::default());
    let subscription = SubscriptionInfo {
        name: "test/in".into(),
        handler: "test".into(),
        group: None,
        broker: "default".into(),
        order: Order::None,
        max_attempts: 5,
    };
    Call { batch: Arc::new(batch), from: 0, to: 1, subscription: Arc::new(subscription), partition: None }
}

#[test]
fn details_tell_where_a_message_comes_from_and_trap_beyond_the_call() {
    use crate::bindings::delivery::Host as _;
    let (mut guest, ..) = guest(Broker::default());
    assert!(guest.details(0).is_err(), "there is no call");
    guest.log.begin(Current { call: Some(request("inbox.7")), deadline: 42 });
    let info = guest.details(0).expect("there is one");
    assert_eq!((info.subscription.as_str(), info.position.as_str(), info.wants_reply), ("test/in", "1", true));
    assert_eq!((info.first_failed_at, info.deliveries, guest.deadline()), (None, 1, 42));
    assert!(guest.details(1).is_err());
    assert!(guest.details(u32::MAX).is_err());
}
