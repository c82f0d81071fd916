//! Commands beside a host whose broker does not answer, or that does not answer itself.

use longshore_testkit::servers::{Redis, RedisOptions, free_port};

use super::host::{Project, eventually};

fn project(redis: &Redis) -> Project {
    Project::new(&format!(
        r#"
[brokers.default]
type = "redis-streams"
url = "{}"
[handlers.copy]
component = "longshore:pass-through"
subscribe = [{{ topic = "in" }}]
publish = ["out"]
output = "out"
[admin]
listen = "127.0.0.1:{}"
"#,
        redis.url(),
        free_port()
    ))
}

#[test]
fn a_host_whose_broker_hangs_is_still_the_host_and_can_be_paused() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let project = project(&redis);
    let host = project.start(&[]);
    redis.server.freeze();
    assert_eq!(project.ok(&["handlers", "pause", "copy"]).trim(), "paused copy/in");
    let status = project.ok(&["status"]);
    assert!(status.contains(&format!("(process {})", host.pid())) && status.contains("unhealthy"), "{status}");
    redis.server.thaw();
}

#[test]
fn a_host_that_starts_while_its_broker_is_away_is_told_as_one_that_starts() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let project = project(&redis);
    redis.server.kill();
    let mut child = project.command(&["run"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("the host says that it starts", || {
        let output = project.run(&["handlers", "status"]);
        output.status.code() == Some(3) && String::from_utf8_lossy(&output.stderr).contains("the host is starting")
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_host_that_says_nothing_is_unreachable_and_not_absent() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let project = project(&redis);
    let host = project.start(&[]);
    host.signal("STOP");
    for command in [&["status"][..], &["handlers", "status"], &["handlers", "pause", "copy"]] {
        let error = project.fails(3, command);
        assert!(error.contains("does not answer at"), "{command:?}: {error}");
    }
    host.signal("CONT");
}
