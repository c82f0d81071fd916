//! The control over a real broker in memory.

use longshore_admin::control::{BrokerControl, DeadLetterControl, GroupControl, HandlerControl, MessageControl, TopicControl};
use longshore_admin::model::{
    Begin, Browse, Data, DeadLetterFilter, Health, Line, NewTopic, Provided, Publish, Received, Redrive, Redriven, SeekGroup, Take,
    ToPublish,
};
use longshore_admin::{Control, Kind};
use longshore_core::{BrokerError, Clock, headers};

use super::HostControl;
use crate::config::{Ask, Config, load};
use crate::opened::{Brokers, OpenError, open};

const CONFIG: &str = r#"
    [brokers.default]
    type = "memory"
    [brokers.gone]
    type = "memory"
    [handlers.h]
    component = "h.wasm"
    subscribe = [{ topic = "orders", group = "billing" }]
    [defaults]
    dead-letter = { max-redrives = 2 }
"#;

/// A configuration with one broker that is open and one that is not.
async fn control() -> HostControl {
    let config = config();
    let opened = open(&config, &config.brokers["default"], None, Clock::system()).await.expect("a broker in memory");
    let failed = OpenError { name: "gone".into(), kind: "memory", error: BrokerError::retry("no route to it") };
    HostControl::new(&config, Brokers::from([("default".into(), opened)])).with_failed(&config, vec![failed])
}

fn config() -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("longshore.toml"), CONFIG).expect("a file");
    let ask = Ask { folder: folder.path().into(), ..Ask::default() };
    load(&ask, longshore_brokers::ADAPTERS, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

fn line(topic: &str, payload: &str) -> Line {
    Line { topic: Some(topic.into()), payload: Some(payload.into()), ..Line::default() }
}

async fn publish(control: &dyn Control, lines: Vec<Line>) -> Vec<Result<String, Kind>> {
    let messages = lines.into_iter().map(|message| ToPublish { message, delay_ms: 0 }).collect();
    let answers = control.publish(Publish { broker: None, messages }).await.expect("answers");
    answers.into_iter().map(|a| a.result().map_err(|e| e.kind)).collect()
}

fn browse(topic: &str) -> Browse {
    Browse { broker: None, topic: topic.into(), after: 0, newest: false, limit: None, wait_ms: 0 }
}

fn payloads(messages: &[Received]) -> Vec<String> {
    messages.iter().map(|m| m.message.payload.as_ref().map(ToString::to_string).unwrap_or_default()).collect()
}

/// A dead letter of the group `billing` as an engine writes it.
fn dead(payload: &str, class: &str, failed_at: &str, redrives: &str) -> Line {
    let facts = [
        (headers::DEAD_REASON, "exhausted"),
        (headers::DEAD_CLASS, class),
        (headers::DEAD_ATTEMPTS, "5"),
        (headers::DEAD_TOPIC, "orders"),
        (headers::DEAD_GROUP, "billing"),
        (headers::DEAD_ID, "orders/1"),
        (headers::DEAD_SOURCE, "default/orders/1"),
        (headers::DEAD_SUBSCRIPTION, "h/orders"),
        (headers::DEAD_LAST_FAILED_AT, failed_at),
        (headers::DEAD_REDRIVES, redrives),
        ("tenant", "a"),
    ];
    let mut line = line("orders.billing.dlq", payload);
    line.headers.0 = facts.map(|(name, value)| (name.to_owned(), Data::from(value))).to_vec();
    line
}

#[tokio::test]
async fn what_is_published_is_browsed_and_taken_once() {
    let control = control().await;
    let ids = publish(&control, ["1", "2", "3"].map(|p| line("orders", p)).to_vec()).await;
    let browsed = control.browse(browse("orders")).await.unwrap();
    assert_eq!(payloads(&browsed), ["1", "2", "3"]);
    assert_eq!(ids[0].as_ref().ok(), browsed[0].message.id.as_ref());
    assert_eq!(payloads(&control.browse(Browse { newest: true, limit: Some(2), ..browse("orders") }).await.unwrap()), ["2", "3"]);
    assert_eq!(payloads(&control.browse(Browse { after: browsed[1].position, ..browse("orders") }).await.unwrap()), ["3"]);

    let take =
        |limit| Take { broker: None, topic: "orders".into(), group: "g".into(), from: Begin::Beginning, limit: Some(limit), wait_ms: 0 };
    assert_eq!(payloads(&control.take(take(2)).await.unwrap()), ["1", "2"]);
    assert_eq!(payloads(&control.take(take(2)).await.unwrap()), ["3"]);
    assert_eq!(control.take(take(2)).await.unwrap(), []);
    let group = control.group(None, "g").await.unwrap().remove(0);
    assert_eq!((group.topic.as_str(), group.lag), ("orders", Some(0)));
    let seek = |to: &str| SeekGroup { broker: None, group: "g".into(), topic: "orders".into(), to: to.into() };
    control.seek(seek("beginning")).await.unwrap();
    assert_eq!(payloads(&control.take(take(9)).await.unwrap()), ["1", "2", "3"]);
    assert_eq!(control.seek(seek("there")).await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn bad_messages_are_answered_for_themselves() {
    let control = control().await;
    let large = line("orders", &"x".repeat((1 << 20) + 1));
    let nowhere = Line { topic: None, ..line("", "x") };
    let answers = publish(&control, vec![large, line("orders", "good"), nowhere]).await;
    assert_eq!(answers.iter().map(|a| a.as_ref().err().copied()).collect::<Vec<_>>(), [Some(Kind::TooLarge), None, Some(Kind::Invalid)]);
    assert_eq!(payloads(&control.browse(browse("orders")).await.unwrap()), ["good"]);
}

#[tokio::test]
async fn a_browse_waits_for_what_comes() {
    let control = control().await;
    let waiting = control.browse(Browse { wait_ms: 10_000, ..browse("orders") });
    let publishing = async {
        tokio::task::yield_now().await;
        publish(&control, vec![line("orders", "late")]).await
    };
    let (browsed, _) = tokio::join!(waiting, publishing);
    assert_eq!(payloads(&browsed.unwrap()), ["late"]);
}

#[tokio::test]
async fn topics_are_made_purged_and_removed() {
    let control = control().await;
    let new = NewTopic { name: "t".into(), ..NewTopic::default() };
    assert!(control.create_topic(new.clone()).await.unwrap().created);
    assert!(!control.create_topic(new).await.unwrap().created);
    publish(&control, vec![line("t", "1")]).await;
    assert_eq!(control.topic(None, "t").await.unwrap().messages, 1);
    assert_eq!(control.purge_topic(None, "t").await.unwrap().count, 1);
    control.delete_topic(None, "t").await.unwrap();
    for error in [
        control.topic(None, "t").await.unwrap_err(),
        control.delete_topic(None, "t").await.unwrap_err(),
        control.purge_topic(None, "t").await.unwrap_err(),
        control.browse(browse("t")).await.unwrap_err(),
    ] {
        assert!(error.kind == Kind::NotFound && error.message.contains("\"t\""), "{error}");
    }
}

#[tokio::test]
async fn one_broker_that_is_gone_does_not_spoil_the_others() {
    let control = control().await;
    let status = control.status().await.unwrap();
    let states: Vec<_> = status.brokers.iter().map(|b| (b.name.as_str(), b.status)).collect();
    assert_eq!(states, [("default", Health::Healthy), ("gone", Health::Unhealthy)]);
    assert_eq!(status.brokers[1].error.as_deref(), Some("broker \"gone\": no route to it"));
    assert!(!control.ping("gone").await.unwrap().up);
    assert_eq!(control.topics(Some("gone")).await.unwrap_err().kind, Kind::Unreachable);
    let unknown = control.topics(Some("nobody")).await.unwrap_err();
    assert!(unknown.kind == Kind::NotFound && unknown.message.contains("default, gone"), "{unknown}");
    assert!(control.capabilities("default").await.unwrap().flags.contains(&("publish".into(), Provided::Broker)));
    assert_eq!(control.pause("h").await.unwrap_err().kind, Kind::Invalid);
}

#[tokio::test]
async fn dead_letters_are_listed_newest_first_and_found_by_what_they_are() {
    let control = control().await;
    publish(
        &control,
        vec![
            dead("old", "trap", "2026-01-01T00:00:00Z", "0"),
            line("orders.billing.dlq", "not one"),
            dead("new", "timeout", "2026-01-02T00:00:00Z", "0"),
            line("orders.billing.dlq", "not one either"),
        ],
    )
    .await;
    let on = |filter| DeadLetterFilter { broker: Some("default".into()), ..filter };
    let list = async |filter| {
        let letters = control.dead_letters(on(filter)).await.unwrap();
        letters.into_iter().map(|d| d.message.payload.unwrap_or_default().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(DeadLetterFilter::default()).await, ["new", "old"]);
    assert_eq!(list(DeadLetterFilter { class: Some("trap".into()), ..Default::default() }).await, ["old"]);
    assert_eq!(list(DeadLetterFilter { limit: Some(1), ..Default::default() }).await, ["new"]);
    assert_eq!(control.count_dead_letters(on(DeadLetterFilter::default())).await.unwrap().count, 2);

    let shown = control.dead_letter(Some("default"), "orders.billing.dlq/1").await.unwrap();
    assert_eq!((shown.facts.class.as_str(), shown.facts.attempts, shown.message.topic.as_deref()), ("trap", Some(5), Some("orders")));
    assert_eq!(shown.message.headers.0, [("tenant".to_owned(), Data::from("a"))]);
    let error = control.dead_letter(Some("default"), "orders/1").await.unwrap_err();
    assert!(error.kind == Kind::Conflict && error.message.contains("orders.billing.dlq/3"), "{error}");
    for none in ["orders.billing.dlq/2", "orders.billing.dlq/9", "nothing"] {
        assert_eq!(control.dead_letter(Some("default"), none).await.unwrap_err().kind, Kind::NotFound, "{none}");
    }
}

#[tokio::test]
async fn a_redrive_goes_to_the_failing_group_alone_and_loops_end() {
    let control = control().await;
    let tired = dead("tired", "trap", "2026-01-01T00:00:00Z", "2");
    publish(&control, vec![tired, dead("fresh", "trap", "2026-01-02T00:00:00Z", "1")]).await;
    let filter = DeadLetterFilter { broker: Some("default".into()), ..DeadLetterFilter::default() };
    let redrive = |to: Option<&str>| Redrive { filter: filter.clone(), to: to.map(Into::into) };
    assert_eq!(control.redrive(redrive(None)).await.unwrap(), Redriven { count: 1, skipped: 1 });
    let take = Take { broker: None, topic: "orders".into(), group: "billing".into(), from: Begin::Beginning, limit: None, wait_ms: 2000 };
    let taken = control.take(take).await.unwrap();
    assert_eq!(payloads(&taken), ["fresh"]);
    assert_eq!(taken[0].message.headers.0, [("tenant".to_owned(), Data::from("a"))]);

    let left = DeadLetterFilter { id: Some("orders.billing.dlq/1".into()), ..filter.clone() };
    assert_eq!(control.redrive(Redrive { filter: left, to: None }).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(control.redrive(redrive(Some("elsewhere"))).await.unwrap(), Redriven { count: 1, skipped: 0 });
    let copy = control.browse(browse("elsewhere")).await.unwrap().remove(0).message;
    assert_eq!((copy.payload, copy.id.as_deref()), (Some("tired".into()), Some("orders/1")));
    let from = Data::from("orders.billing.dlq/1@1767225600000");
    assert_eq!(copy.headers.0, [("tenant".to_owned(), Data::from("a")), (headers::REDRIVEN_FROM.to_owned(), from)]);
    assert_eq!(control.redrive(redrive(None)).await.unwrap(), Redriven::default());
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_given_back_is_told_as_such_and_stays() {
    let control = control().await;
    let mut nobodys = dead("nobody's", "trap", "2026-01-01T00:00:00Z", "0");
    nobodys.headers.0.retain(|(name, _)| name != headers::DEAD_GROUP);
    publish(&control, vec![nobodys]).await;
    let filter = DeadLetterFilter { broker: Some("default".into()), id: Some("orders.billing.dlq/1".into()), ..Default::default() };
    let error = control.redrive(Redrive { filter: filter.clone(), to: None }).await.unwrap_err();
    assert!(error.kind == Kind::Conflict && error.message.contains("cannot be given back"), "{error:?}");
    assert_eq!(control.count_dead_letters(filter).await.unwrap().count, 1);
}

#[tokio::test]
async fn discarding_removes_what_passes_and_says_how_many() {
    let control = control().await;
    let letters = ["trap", "timeout", "trap"].map(|class| dead("x", class, "2026-01-01T00:00:00Z", "0"));
    publish(&control, letters.to_vec()).await;
    let on = |filter| DeadLetterFilter { broker: Some("default".into()), ..filter };
    let traps = on(DeadLetterFilter { class: Some("trap".into()), ..Default::default() });
    assert_eq!(control.discard(traps).await.unwrap().count, 2);
    let one = |id: &str| on(DeadLetterFilter { id: Some(id.into()), ..Default::default() });
    assert_eq!(control.discard(one("orders.billing.dlq/1")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(control.discard(one("orders.billing.dlq/2")).await.unwrap().count, 1);
    assert_eq!(control.count_dead_letters(on(DeadLetterFilter::default())).await.unwrap().count, 0);
}

#[tokio::test]
async fn dead_letters_are_counted_by_group_where_there_are_not_too_many() {
    let control = control().await;
    publish(&control, ["a", "b", "c"].map(|payload| dead(payload, "trap", "2026-01-01T00:00:00Z", "0")).to_vec()).await;
    let broker = control.broker(Some("default")).unwrap();
    assert_eq!(control.dead_by_group(broker, 2).await.unwrap(), None);
    let counted = control.dead_by_group(broker, 3).await.unwrap().expect("not too many");
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), [(("orders".into(), "billing".into()), 3)]);
}
