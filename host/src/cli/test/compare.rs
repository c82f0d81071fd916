//! What was expected against what came, as lines: `-` expected, `+` got. No lines: the case passed.

use super::bench::Came;
use super::case::{Expect, Outgoing};

pub(super) fn difference(expect: &Expect, came: &Came) -> Vec<String> {
    let mut lines = Vec::new();
    let reason = |reason: &str| if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    if expect.outcome != came.outcome {
        lines.push(format!("- outcome: {}", expect.outcome.name()));
        lines.push(format!("+ outcome: {}{}", came.outcome.name(), reason(&came.reason)));
    } else if let Some(part) = expect.reason.as_deref().filter(|part| !came.reason.contains(part)) {
        lines.push(format!("- reason: … {part} …"));
        lines.push(format!("+ reason: {}", came.reason));
    }
    messages("publishes", expect.publishes.as_deref(), &came.publishes, &mut lines);
    messages("sends", expect.sends.as_deref(), &came.sends, &mut lines);
    lines
}

fn messages(what: &str, expected: Option<&[Outgoing]>, came: &[Outgoing], lines: &mut Vec<String>) {
    let Some(expected) = expected else { return };
    for i in 0..expected.len().max(came.len()) {
        let (wanted, got) = (expected.get(i), came.get(i));
        if wanted.zip(got).is_some_and(|(wanted, got)| fits(wanted, got)) {
            continue;
        }
        lines.extend(wanted.map(|message| format!("- {what} {}: {}", i + 1, shown(message))));
        lines.extend(got.map(|message| format!("+ {what} {}: {}", i + 1, shown(message))));
    }
}

/// What the expected one says must be so; what it does not say does not matter.
fn fits(expected: &Outgoing, got: &Outgoing) -> bool {
    let header = |(name, value): (&str, &[u8])| got.headers.iter().any(|(n, v)| n == name && v == value);
    expected.topic == got.topic
        && (expected.key.is_none() || expected.key == got.key)
        && (expected.payload.is_none() || expected.payload == got.payload)
        && (expected.delay.is_none() || expected.delay == got.delay)
        && expected.headers.iter().all(header)
}

fn shown(message: &Outgoing) -> String {
    let mut text = format!("topic {}", message.topic);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    };
    add("key", message.key.as_ref().map(ToString::to_string));
    add("payload", message.payload.as_ref().map(ToString::to_string));
    add("delay", message.delay.map(|d| d.to_string()));
    message.headers.0.iter().for_each(|(name, value)| add(&format!("header {name}"), Some(value.to_string())));
    text
}

#[cfg(test)]
mod tests {
    use super::super::case::File;
    use super::*;
    use crate::cli::test::case::Outcome;

    fn expect(text: &str) -> Expect {
        let text = format!("[[case]]\nname = \"c\"\nmessage = {{ payload = \"\" }}\nexpect = {{ {text} }}");
        let mut file: File = toml_edit::de::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
        file.case.remove(0).expect
    }

    fn came() -> Came {
        let one =
            Outgoing { topic: "t".into(), key: Some("k".into()), payload: Some("p".into()), headers: Default::default(), delay: None };
        Came { outcome: Outcome::Ok, reason: String::new(), publishes: vec![one], sends: vec![] }
    }

    #[test]
    fn what_is_not_said_does_not_matter() {
        assert_eq!(difference(&expect(r#"outcome = "ok""#), &came()), Vec::<String>::new());
        assert_eq!(difference(&expect(r#"outcome = "ok", publishes = [{ topic = "t" }]"#), &came()), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_shown_from_both_sides() {
        let check = |text: &str, expected: &[&str]| assert_eq!(difference(&expect(text), &came()), expected);
        check(r#"outcome = "reject", reason = "x""#, &["- outcome: reject", "+ outcome: ok"]);
        check(r#"outcome = "ok", publishes = []"#, &["+ publishes 1: topic t, key k, payload p"]);
        check(
            r#"outcome = "ok", publishes = [{ topic = "t", payload = "q" }], sends = [{ topic = "u" }]"#,
            &["- publishes 1: topic t, payload q", "+ publishes 1: topic t, key k, payload p", "- sends 1: topic u"],
        );
    }
}
