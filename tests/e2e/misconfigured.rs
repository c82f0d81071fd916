//! Every way in which a configuration and a server do not fit: `check --connect` says in one sentence what, where and what to do, soon, with the
//! exit code that is documented, and changes nothing on the server. `run` ends over what is in the way of its subscription, and says the same.

mod kafka;
mod nats;
mod rabbitmq;
mod redis;

use std::time::{Duration, Instant};

use super::host::{Project, text};

/// How long a check may take: nothing is tried again and again.
const SOON: Duration = Duration::from_secs(30);

/// One way.
#[derive(Clone)]
struct Row<'a> {
    name: &'a str,
    /// 0 advice, 2 the configuration is wrong, 3 unreachable.
    code: i32,
    /// Keys of the broker.
    broker: String,
    /// Keys of the entry of `subscribe` besides the topic.
    subscribe: &'a str,
    /// Further tables and keys of the handler.
    more: &'a str,
    /// What is said, whole sentences.
    says: Vec<String>,
    /// Whether `run` is to say it too.
    ends_run: bool,
}

/// A mistake in the broker's table.
fn broker<'a>(name: &'a str, code: i32, broker: impl Into<String>, says: &[&str]) -> Row<'a> {
    row(name, code, broker, "", "", says)
}

fn row<'a>(name: &'a str, code: i32, broker: impl Into<String>, subscribe: &'a str, more: &'a str, says: &[&str]) -> Row<'a> {
    let says = says.iter().map(|said| (*said).to_owned()).collect();
    Row { name, code, broker: broker.into(), subscribe, more, says, ends_run: false }
}

impl Row<'_> {
    /// A mistake in the subscription, over which `run` ends.
    fn ends_run(self) -> Self {
        Row { ends_run: true, ..self }
    }
}

/// A handler that sends `orders` on to `payments`.
fn project(Row { broker, subscribe, more, .. }: &Row<'_>) -> Project {
    let entry = if subscribe.is_empty() { String::new() } else { format!(", {subscribe}") };
    let handler = "component = \"longshore:pass-through\"\noutput = \"payments\"\npublish = [\"payments\"]";
    Project::new(&format!(
        "[brokers.default]\n{broker}\n[handlers.billing]\n{handler}\nsubscribe = [{{ topic = \"orders\"{entry} }}]\n{more}\n"
    ))
}

/// Checks all rows of a kind of broker, and tells all that are not so.
fn check(rows: &[Row<'_>]) {
    let mut wrong = Vec::new();
    for row in rows {
        let project = project(row);
        for command in [&["check", "--connect"][..], &["run"]].iter().take(if row.ends_run { 2 } else { 1 }) {
            let began = Instant::now();
            let output = project.run(command);
            let told = text(&output.stdout) + &text(&output.stderr);
            let squeezed = squeeze(&told);
            let lacks: Vec<&String> = row.says.iter().filter(|said| !squeezed.contains(&squeeze(said))).collect();
            let twice = *command == ["run"] && row.says.iter().any(|said| squeezed.matches(&squeeze(said)).count() > 1);
            let is_placed = row.code == 0 || told.contains("longshore.toml:");
            if output.status.code() != Some(row.code) || !lacks.is_empty() || twice || !is_placed || began.elapsed() > SOON {
                let ended = format!("exit {:?} after {:?}", output.status.code(), began.elapsed());
                wrong.push(format!("== {} ({command:?}): {ended}, lacks {lacks:#?}, twice: {twice}\n{told}", row.name));
            }
            assert!(!told.contains("secret"), "{}: a password is shown:\n{told}", row.name);
        }
    }
    assert!(wrong.is_empty(), "{} of {} are not told as they should be:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// Text without white space and frames: a picture breaks its lines anywhere.
pub(crate) fn squeeze(text: &str) -> String {
    text.lines().map(|line| line.trim_start_matches([' ', '|', 'x'])).flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
}
