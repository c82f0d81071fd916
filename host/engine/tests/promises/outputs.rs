//! Outputs: when they leave, under which id, and whom a bad one fails.

use longshore_core::{Call, Crash, Destination, Done, NewOutput, Order, Outputs, headers};
use longshore_testkit::scripted::{Broker, Event, Faults, History, Personality, Random, Settling};

use crate::support::{DEAD_LETTERS, FAR, Host, OUT, policy};
use crate::{again, append, at_once, broker, called, message};

/// Every message of the call answers these outputs: topic and payload.
pub(crate) fn publishing(call: &Call, outputs: &[(&str, &[u8])]) -> Result<Done, Crash> {
    let mut rows = Vec::new();
    let handled = u32::try_from(call.len()).expect("few");
    for origin in 0..handled {
        for (topic, payload) in outputs {
            let headers: [(&str, &[u8]); 0] = [];
            NewOutput { origin, destination: Destination::Topic(topic), key: None, payload: Some(payload), headers, delay: 0 }
                .append(&mut rows);
        }
    }
    Ok(Done { handled, failures: Vec::new(), outputs: Outputs::check(rows, handled).expect("just packed") })
}

/// The class and message that the dead letter of message 1 carries.
pub(crate) fn death(broker: &Broker) -> (String, String) {
    let dead = broker.published(DEAD_LETTERS);
    assert_eq!(dead.len(), 1, "{}", broker.history().render());
    let fact = |name| dead[0].header(name).unwrap_or_default().to_owned();
    (fact(headers::DEAD_CLASS), fact(headers::DEAD_MESSAGE))
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_not_granted_fails_its_message_with_class_output() {
    let broker = broker(Settling::Transaction);
    broker.append(&message("", "m"));
    let _host =
        Host::start(0, &broker, policy(&broker, None, Order::None), at_once(|call, _| publishing(call, &[(OUT, b"1"), ("secret", b"2")])));
    assert!(broker.finished_within(60).await);
    let (class, what) = death(&broker);
    assert_eq!(class, "output");
    assert!(what.contains("secret"), "{what}");
    assert!(broker.published(OUT).is_empty(), "nothing of a failed message leaves");
    assert_eq!(again(&broker), [(1, 2), (1, 3)], "retried by its policy");
}

#[tokio::test(start_paused = true)]
async fn too_many_outputs_fail_their_message_with_class_output() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "m"));
    let mut policy = policy(&broker, None, Order::None);
    policy.limits.outputs = 2;
    let _host = Host::start(0, &broker, policy, at_once(|call, _| publishing(call, &[(OUT, b"1"), (OUT, b"2"), (OUT, b"3")])));
    assert!(broker.finished_within(60).await);
    assert_eq!(death(&broker).0, "output");
    assert!(death(&broker).1.contains("limits.outputs"));
    assert!(broker.published(OUT).is_empty());
}

#[tokio::test(start_paused = true)]
async fn too_large_an_output_fails_its_message_with_class_output() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "m"));
    let large = vec![0; 100 << 10];
    let _host = Host::start(0, &broker, policy(&broker, None, Order::None), at_once(move |call, _| publishing(call, &[(OUT, &large)])));
    assert!(broker.finished_within(60).await);
    assert_eq!(death(&broker).0, "output");
    assert!(death(&broker).1.contains("max-message-size"));
}

#[tokio::test(start_paused = true)]
async fn output_ids_are_deterministic() {
    let broker = broker(Settling::Mark);
    broker.append(&message("", "m"));
    broker.set_faults(Faults { publish: 70, ..Faults::default() });
    let mut policy = policy(&broker, None, Order::None);
    policy.retry.max_attempts = 100;
    let host = Host::start(0, &broker, policy, at_once(|call, _| publishing(call, &[(OUT, b"a"), (OUT, b"b")])));
    assert!(broker.finished_within(3600).await);
    for message in broker.published(OUT) {
        let ordinal = if message.payload == Some(b"a".to_vec()) { 0 } else { 1 };
        assert_eq!(message.id, format!("orders/1/{ordinal}"), "a second life publishes under the same id");
    }
    assert_eq!(called(&broker), [(1, 1)], "trouble with publishing is not the message's");
    drop(host);
}

#[tokio::test(start_paused = true)]
async fn outputs_are_confirmed_before_their_message_is_settled() {
    let history = History::default();
    let home = Broker::new("home", Personality::plain(Settling::Transaction), &history, Random::new(1));
    let far = Broker::new("away", Personality::plain(Settling::Mark), &history, Random::new(2));
    far.set_faults(Faults { publish: 80, ..Faults::default() });
    append(&home, 5, |_| message("", "m"));
    let _host =
        Host::start(0, &home, policy(&home, Some(&far), Order::None), at_once(|call, _| publishing(call, &[(OUT, b"1"), (FAR, b"2")])));
    assert!(home.finished_within(3600).await);
    let mut confirmed = std::collections::BTreeSet::new();
    for (_, event) in history.events() {
        match event {
            Event::Published { broker, message } if broker == "away" => drop(confirmed.insert(message.id)),
            Event::Settled { ended, .. } => {
                assert!(ended.iter().all(|n| confirmed.contains(&format!("orders/{n}/1"))), "{ended:?} settled, {confirmed:?} confirmed");
            }
            _ => {}
        }
    }
    assert_eq!(home.published(OUT).len(), 5, "in the settlement's transaction each leaves once");
}

#[tokio::test(start_paused = true)]
async fn a_refused_output_is_not_forgotten_when_a_later_publish_fails() {
    let history = History::default();
    let home = Broker::new("home", Personality::plain(Settling::Mark), &history, Random::new(1));
    let far = Broker::new("away", Personality::plain(Settling::Mark), &history, Random::new(2));
    far.set_faults(Faults { refuse: 100, ..Faults::default() });
    home.set_faults(Faults { publish: 70, ..Faults::default() });
    home.append(&message("", "m"));
    let mut policy = policy(&home, Some(&far), Order::None);
    policy.retry.max_attempts = 1;
    let _host = Host::start(0, &home, policy, at_once(|call, _| publishing(call, &[(OUT, b"1"), (FAR, b"2")])));
    assert!(home.finished_within(3600).await);
    assert_eq!(death(&home).0, "output");
}
