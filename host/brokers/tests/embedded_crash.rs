//! `kill -9` at random moments, and random histories with crashes against a model: nothing lost, nothing that is finished comes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use longshore_core::{Outbox, Page, Roles, Room};
use longshore_testkit::conformance::Hand;
use proptest::prelude::*;
use serde_json::json;
use support::work::{hand, publish, push};
use support::{crash, open};
use tempfile::{TempDir, tempdir};

/// Where the child process finds its folder.
const FOLDER: &str = "LONGSHORE_TEST_CRASH_FOLDER";
const ROOM: Room = Room { messages: 7, bytes: 1 << 20 };

/// Publishes, and moves messages from `in` to `out`, one retry each, until it is killed.
async fn toil(roles: &Roles) {
    let publishing = async {
        for batch in 0.. {
            let payloads: Vec<String> = (0..5).map(|i| format!("{}-{batch}-{i}", std::process::id())).collect();
            publish(roles, "in", &payloads).await.expect("published");
        }
    };
    let moving = async {
        let mut hand = hand(roles, "in", "g").await;
        loop {
            let first = hand.fetch_some(ROOM).await;
            pass_on(&mut hand, first);
            hand.settle().await;
        }
    };
    futures::join!(publishing, moving);
}

/// A first attempt at every third message fails; the others leave an output with the name of their message.
fn pass_on(hand: &mut Hand, first: usize) {
    let mut outputs = Outbox::default();
    for i in first..hand.got.len() {
        if hand.got.receipt(i).position.is_multiple_of(3) && hand.got.get(i).attempt == 1 {
            hand.again(i, Duration::from_millis(5), 2, 1);
        } else {
            push(&mut outputs, "out", &hand.payloads_from(i)[0], 0);
            hand.done(i);
        }
    }
    hand.outputs(outputs);
}

#[test]
fn killed_at_random_moments_nothing_is_lost_and_every_output_is_there_once() {
    #[allow(clippy::disallowed_methods, reason = "a child process is told its folder by its environment")]
    let folder = std::env::var_os(FOLDER);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match folder {
        // Started by the other branch: this process is the one that is killed.
        Some(folder) => runtime.block_on(async {
            let roles = open(Path::new(&folder), json!({})).await.expect("opened");
            println!("ready");
            toil(&roles).await;
        }),
        None => runtime.block_on(kill_and_count()),
    }
}

async fn kill_and_count() {
    let folder = tempdir().unwrap();
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_at_random_moments_nothing_is_lost_and_every_output_is_there_once", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_line(&mut child, "ready");
        // A moment that differs from round to round; whatever it is, the promise holds.
        std::thread::sleep(Duration::from_millis(20 + round * round * 7 % 180));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let roles = open(folder.path(), json!({})).await.unwrap();
    let published = all(&roles, "in").await;
    let mut hand = hand(&roles, "in", "g").await;
    while all(&roles, "out").await.len() < published.len() {
        let first = hand.fetch_some(ROOM).await;
        pass_on(&mut hand, first);
        hand.settle().await;
    }
    let moved = all(&roles, "out").await;
    assert!(published.len() > 100, "only {} messages: the test tests nothing", published.len());
    assert_eq!(moved.iter().collect::<BTreeSet<_>>().len(), moved.len(), "an output is there twice");
    assert_eq!(moved.iter().collect::<BTreeSet<_>>(), published.iter().collect::<BTreeSet<_>>());
}

fn wait_for_line(child: &mut std::process::Child, line: &str) {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let found = lines.map_while(Result::ok).any(|l| l.contains(line));
    assert!(found, "the child ended before it was {line}");
}

async fn all(roles: &Roles, topic: &str) -> Vec<String> {
    let (mut payloads, mut after) = (Vec::new(), 0);
    loop {
        let page = roles.topics.as_ref().unwrap().browse(topic, Page::After(after, 1000)).await.unwrap();
        let Some(last) = page.receipts().positions().last() else { return payloads };
        after = *last;
        payloads.extend((0..page.len()).map(|i| String::from_utf8(page.get(i).payload.unwrap().to_vec()).unwrap()));
    }
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Publish(u8),
    Fetch(u8),
    /// Settles some of what is held, told by bits: done, again at once, or still open.
    Settle(u64, u64),
    GiveBack,
    Crash,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u8..6).prop_map(Step::Publish),
        4 => (1u8..9).prop_map(Step::Fetch),
        4 => any::<(u64, u64)>().prop_map(|(done, again)| Step::Settle(done, again)),
        1 => Just(Step::GiveBack),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// What must be: attempt of each message that is not finished, by payload.
#[derive(Default)]
struct Model {
    open: BTreeMap<String, u32>,
    count: usize,
}

struct World {
    folder: TempDir,
    roles: Roles,
    hand: Option<Hand>,
    /// Indices in the hand that are not settled.
    held: Vec<usize>,
}

impl World {
    async fn fetch(&mut self, count: usize, model: &Model) {
        if self.hand.is_none() {
            self.hand = Some(hand(&self.roles, "t", "g").await);
        }
        // Never more than there is, so that a fetch always ends.
        let count = count.min(model.open.len() - self.held.len());
        let hand = self.hand.as_mut().unwrap();
        let first = hand.fetch(count).await;
        for i in first..hand.got.len() {
            let payload = &hand.payloads_from(i)[0];
            let attempt = model.open.get(payload).unwrap_or_else(|| panic!("{payload} is finished and came again"));
            assert_eq!(hand.got.get(i).attempt, *attempt, "the attempt of {payload}");
            let twice = self.held.iter().any(|h| hand.payloads_from(*h)[0] == *payload);
            assert!(!twice, "{payload} came twice");
            self.held.push(i);
        }
    }

    async fn settle(&mut self, done: u64, again: u64, model: &mut Model) {
        let Some(hand) = &mut self.hand else { return };
        let bit = |bits: u64, i: usize| bits >> (i % 64) & 1 == 1;
        self.held.retain(|i| {
            let payload = hand.payloads_from(*i)[0].clone();
            if bit(done, *i) {
                hand.done(*i);
                model.open.remove(&payload);
                return false;
            }
            if bit(again, *i) {
                let attempt = model.open.get_mut(&payload).unwrap();
                *attempt += 1;
                hand.again(*i, Duration::ZERO, *attempt, 1);
                return false;
            }
            true
        });
        hand.settle().await;
    }

    fn give_back(&mut self) {
        (self.hand, self.held) = (None, Vec::new());
    }

    async fn reopen(&mut self, clean: bool) {
        self.give_back();
        if clean {
            self.roles.connection.close().await.unwrap();
        } else {
            self.folder = crash(self.folder.path());
        }
        self.roles = open(self.folder.path(), json!({})).await.unwrap();
    }
}

async fn live(history: Vec<Step>) {
    let folder = tempdir().unwrap();
    let roles = open(folder.path(), json!({})).await.unwrap();
    let (mut world, mut model) = (World { folder, roles, hand: None, held: Vec::new() }, Model::default());
    for step in history {
        match step {
            Step::Publish(count) => {
                let payloads: Vec<String> = (0..count).map(|i| (model.count + usize::from(i)).to_string()).collect();
                publish(&world.roles, "t", &payloads).await.unwrap();
                model.count += payloads.len();
                model.open.extend(payloads.into_iter().map(|payload| (payload, 1)));
            }
            Step::Fetch(count) => world.fetch(count.into(), &model).await,
            Step::Settle(done, again) => world.settle(done, again, &mut model).await,
            Step::GiveBack => world.give_back(),
            Step::Crash => world.reopen(false).await,
            Step::Restart => world.reopen(true).await,
        }
    }
    world.reopen(false).await;
    world.fetch(usize::MAX, &model).await;
    assert_eq!(world.held.len(), model.open.len(), "everything that is open comes");
    let lag = world.roles.groups.as_ref().unwrap().list().await.unwrap();
    let open = lag.first().map_or(0, |info| info.lag.unwrap() + info.retries);
    assert_eq!(open, model.open.len() as u64, "and is counted");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_with_crashes_keeps_what_is_open_and_forgets_what_is_finished(history in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), live(history)).await.expect("a history ends") });
    }
}
