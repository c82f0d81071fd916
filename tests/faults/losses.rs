//! The loss of the field that only a whole host can have: outputs of a handler that failed. The others have tests by name with each adapter.

use super::host::{Guest, Project, eventually, guest};
use super::vendors::{JetStream, Log, Rabbit, RedisLists, RedisStreams, Vendor};
use super::world::World;

/// Handlers publish, and then fail, are rejected or are killed by a trap, over and over; nothing of that may come out.
fn a_failed_handler<V: Vendor>() {
    let Some(mut world) = World::<V>::new("none") else { return };
    world.begin(1);
    world.end("handlers fail after they published", 0);
}

macro_rules! vendors {
    ($($broker:ident: $vendor:ty),+ $(,)?) => {
        $(mod $broker {
            use super::*;

            #[test]
            fn a_failed_handler_has_published_nothing() {
                a_failed_handler::<$vendor>();
            }
        })+
    };
}

vendors! {
    redis_streams: RedisStreams,
    redis_list: RedisLists,
    rabbitmq: Rabbit,
    nats_jetstream: JetStream,
    kafka: Log,
}

mod embedded {
    use super::*;

    #[test]
    fn a_failed_handler_has_published_nothing() {
        let project = Project::new(&format!(
            r#"
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "in" }}]
publish = ["out"]
output = "out"
retry = {{ max-attempts = 3, initial-delay = "10ms" }}
"#,
            guest(Guest::Echo)
        ));
        let payloads = ["publish-and-fail", "publish-and-reject", "publish-and-panic", "publish-and-fail-until:2", "good"];
        project.publish("in", payloads.into_iter().map(|payload| (payload.to_owned(), payload.to_owned(), None)));
        let _host = project.start(&[]);
        eventually("all of them ended", || project.keys("out").len() >= 2 && project.keys("in.echo.dlq").len() >= 3);
        let (mut out, mut dead) = (project.keys("out"), project.keys("in.echo.dlq"));
        out.sort();
        dead.sort();
        // Twice where the attempt that succeeded has published before and after.
        assert_eq!(out, ["good", "publish-and-fail-until:2", "publish-and-fail-until:2"]);
        assert_eq!(dead, ["publish-and-fail", "publish-and-panic", "publish-and-reject"]);
    }
}
