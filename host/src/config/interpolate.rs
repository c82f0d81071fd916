//! `${VAR}` and `${VAR:-default}` in texts. `$${` is a plain `${`. Only values are looked at, never keys.

use super::discover::Lookup;
use super::mistake::{Mistake, Mistakes};
use super::node::{Node, Value};
use super::path::KeyPath;

/// Puts variables in their places, all through the tree.
pub(crate) fn interpolate(node: &mut Node, path: &KeyPath, lookup: Lookup<'_>, mistakes: &mut Mistakes) {
    match &mut node.value {
        Value::Table(table) => table.iter_mut().for_each(|(key, e)| interpolate(&mut e.node, &path.key(key), lookup, mistakes)),
        Value::List(list) => list.iter_mut().enumerate().for_each(|(i, n)| interpolate(n, &path.index(i), lookup, mistakes)),
        Value::Text(text) if text.contains("${") => match expand(text, lookup) {
            Ok(expanded) => {
                *text = expanded;
                node.from_variable = true;
            }
            Err(trouble) => {
                mistakes.push(Mistake::new(path, &node.place, trouble.problem()).help(trouble.help()));
                node.value = Value::Broken;
            }
        },
        _ => {}
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Missing(String),
    Open,
    Name(String),
}

impl Trouble {
    fn problem(&self) -> String {
        match self {
            Trouble::Missing(name) => format!("the variable {name} is not set"),
            Trouble::Open => "a `${` is not closed".into(),
            Trouble::Name(name) => format!("{name:?} is no name of a variable"),
        }
    }

    fn help(&self) -> String {
        match self {
            Trouble::Missing(name) => format!("set {name} in the environment, or write ${{{name}:-default}}"),
            Trouble::Open | Trouble::Name(_) => "write ${NAME} or ${NAME:-default}; a plain `${` is written `$${`".into(),
        }
    }
}

/// The text with its variables.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, Trouble> {
    let (mut expanded, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at - 1]);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or(Trouble::Open)?;
        expanded.push_str(&variable(&inner[..end], lookup)?);
        rest = &inner[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn variable(inner: &str, lookup: Lookup<'_>) -> Result<String, Trouble> {
    let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Trouble::Name(name.into()));
    }
    // As in a shell, `:-` also stands in for a variable that is set to nothing.
    match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.into()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.into()),
        (None, None) => Err(Trouble::Missing(name.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_in_their_places() {
        let lookup = |name: &str| match name {
            "HOST" => Some("example.com".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let check = |text: &str, expected: Result<&str, Trouble>| assert_eq!(expand(text, &lookup), expected.map(String::from), "{text}");
        check("x${HOST}:${PORT:-80}/", Ok("xexample.com:80/"));
        check("${EMPTY}|${EMPTY:-d}|${NONE:-}", Ok("|d|"));
        check("$${HOST} costs $5", Ok("${HOST} costs $5"));
        check("${NONE}", Err(Trouble::Missing("NONE".into())));
        check("${HOST", Err(Trouble::Open));
        check("${}", Err(Trouble::Name(String::new())));
        check("${1A}", Err(Trouble::Name("1A".into())));
    }
}
