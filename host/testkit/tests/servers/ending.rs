//! Nothing outlives the test process, and nothing outlives its owner.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use longshore_testkit::servers::{self, Nats, NatsOptions, Redis, RedisOptions, Server};
use tokio::time::Instant;

use crate::wire::connect;

/// Set for the child process that is to be killed.
const CHILD: &str = "LONGSHORE_TEST_SERVERS_CHILD";
/// How long something may take that is to happen.
const SOON: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// What a line of the child begins with, among the lines of its test runner.
const TELLS: &str = "server ";

pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    first_some(what, || holds().then_some(()));
}

pub(crate) fn first_some<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < SOON, "{what}: not within {SOON:?}");
        thread::sleep(PAUSE);
    }
}

#[test]
fn a_server_and_its_folder_are_gone_when_its_owner_drops_it() {
    let Some(nats) = Nats::start(&NatsOptions::default()) else { return };
    let (port, folder) = (nats.port(), nats.server.folder().to_owned());
    assert!(folder.is_dir());
    drop(nats);
    connect(port).expect_err("it has ended");
    wait_until("its folder is gone", || !folder.exists());
}

#[test]
fn a_disk_of_its_own_is_gone_with_its_server() {
    let Some(redis) = Redis::start(&RedisOptions::default().disk(1 << 20)) else { return };
    let folder = redis.server.folder().display().to_string();
    let mounted = || std::fs::read_to_string("/proc/mounts").expect("Linux").contains(&folder);
    assert!(mounted());
    drop(redis);
    wait_until("its folder is gone", || !Path::new(&folder).exists());
    assert!(!mounted());
}

/// One of each in a child process, one of them frozen: a kill of the child, which it cannot catch, ends them all, port mapper included.
#[test]
fn no_server_outlives_a_test_process_that_is_killed() {
    let installed =
        servers::redis().is_some() & servers::nats().is_some() & servers::kafka().is_some() & Path::new("/usr/lib/rabbitmq/bin").exists();
    if !installed {
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["ending::a_child_starts_servers_and_waits", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let told = told(&mut child);
    assert_eq!(told.len(), 5, "{told:?}");
    for (port, _) in &told {
        connect(*port).expect("it runs");
    }
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    for (port, folder) in &told {
        wait_until("its port is free", || connect(*port).is_err());
        wait_until("its folder is gone", || !Path::new(folder).exists());
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn a_child_starts_servers_and_waits() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let own = Redis::start(&RedisOptions::default()).expect("installed");
    tell(own.port(), &own.server);
    own.server.freeze();
    let nats = servers::nats().expect("installed");
    tell(nats.port(), &nats.server);
    let kafka = servers::kafka().expect("installed");
    tell(kafka.port(), &kafka.server);
    let rabbitmq = servers::rabbitmq().expect("installed");
    tell(rabbitmq.port(), &rabbitmq.server);
    tell(mapper_port(&rabbitmq.server), &rabbitmq.server);
    println!("{TELLS}");
    // Until it is killed; the parent's end ends it too.
    let _ = std::io::stdin().read(&mut [0]);
    thread::sleep(SOON);
}

fn tell(port: u16, server: &Server) {
    println!("{TELLS}{port} {}", server.folder().display());
}

/// Ports and folders, until the child has told all.
fn told(child: &mut Child) -> Vec<(u16, String)> {
    let output: BufReader<ChildStdout> = BufReader::new(child.stdout.take().expect("piped"));
    let lines = output.lines().map(|line| line.expect("the child runs"));
    // The test runner begins the first of them with the test's name.
    let told = lines.filter_map(|line| line.split_once(TELLS).map(|(_, rest)| rest.to_owned()));
    let pairs = told.take_while(|rest| !rest.is_empty());
    pairs.map(|rest| rest.split_once(' ').map(|(port, folder)| (port.parse().expect("a port"), folder.to_owned())).expect("two")).collect()
}

fn mapper_port(server: &Server) -> u16 {
    let pid = server.pid().expect("it runs");
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).expect("Linux");
    let port = environment.split('\0').find_map(|pair| pair.strip_prefix("ERL_EPMD_PORT="));
    port.and_then(|port| port.parse().ok()).expect("its port mapper's")
}
