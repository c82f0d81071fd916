//! `kill -9` at random moments, under load, with handlers that fail, retry and publish.

use std::collections::BTreeMap;
use std::time::Duration;

use super::host::{Guest, Project, guest};

/// Times that the host is killed.
const KILLS: usize = 30;
/// Messages that each life of a host finds new.
const MESSAGES_A_LIFE: usize = 150;

/// SplitMix64: the moments of the kills, from a printed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn seed() -> u64 {
    let given = std::env::vars().find(|(name, _)| name == "LONGSHORE_KILL_SEED").and_then(|(_, value)| value.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed)
}

#[test]
fn killed_thirty_times_under_load_nothing_is_lost_doubled_or_dead_lettered() {
    let project = Project::new(&format!(
        r#"
[handlers.echo]
component = "{}"
subscribe = [{{ topic = "in", order = "key", max-in-flight = 200 }}]
publish = ["out"]
output = "out"
retry = {{ max-attempts = 50, initial-delay = "20ms", multiplier = 1.0 }}
"#,
        guest(Guest::Echo)
    ));
    let seed = seed();
    println!("seed {seed} (LONGSHORE_KILL_SEED={seed} repeats the moments)");
    let mut random = Random(seed);
    let mut published = 0;
    for _ in 0..KILLS {
        let fresh = (published..published + MESSAGES_A_LIFE).map(|n| {
            let payload = match n % 5 {
                0 => "fail-until:3".to_owned(),
                1 => "fail-until:2".to_owned(),
                _ => format!("payload {n}"),
            };
            (format!("key-{n}"), payload, None)
        });
        project.publish("in", fresh);
        published += MESSAGES_A_LIFE;
        let host = project.start(&[]);
        // Not to wait for something: to let the kill come at any moment.
        std::thread::sleep(Duration::from_millis(random.below(120)));
        host.kill();
    }
    project.ok(&["run", "--until-idle"]);

    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    project.keys("out").into_iter().for_each(|k| *seen.entry(k).or_default() += 1);
    let lost: Vec<_> = (0..published).map(|n| format!("key-{n}")).filter(|k| !seen.contains_key(k)).collect();
    let doubled: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    assert!(doubled.is_empty(), "seed {seed}: published twice {doubled:?}");
    assert_eq!(project.ok(&["dlq", "list", "--output", "json"]).trim(), "", "seed {seed}: dead letters");
}
