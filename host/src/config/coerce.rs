//! Text that came from a variable or an argument, read as what its key wants: a number, yes or no, a list by commas.

use super::node::{Node, Value};
use super::schema::Form;

/// Turns the node's text into another value where the forms want one and the text is one. Anything else stays and is told as a wrong type.
pub(crate) fn coerce(node: &mut Node, forms: &[Form<'_>]) {
    let Value::Text(text) = &node.value else { return };
    let wants = |kind: &str| forms.iter().any(|form| form.is(kind));
    let plain_text = forms.iter().any(|form| form.is("string") && form.words().is_empty());
    let word = forms.iter().any(|form| form.words().contains(&text.as_str()));
    if word || (plain_text && !(wants("array") && text.contains(','))) {
        return;
    }
    let trimmed = text.trim();
    let value = match () {
        () if wants("array") => Some(list(node, trimmed)),
        () => None
            .or_else(|| wants("integer").then(|| trimmed.parse().ok().map(Value::Integer)).flatten())
            .or_else(|| wants("number").then(|| trimmed.parse().ok().map(Value::Float)).flatten())
            .or_else(|| wants("boolean").then(|| truth(trimmed).map(Value::Bool)).flatten()),
    };
    if let Some(value) = value {
        node.value = value;
    }
}

fn list(node: &Node, text: &str) -> Value {
    let item = |part: &str| Node { value: Value::Text(part.trim().into()), ..node.clone() };
    Value::List(text.split(',').filter(|part| !part.trim().is_empty()).map(item).collect())
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}
