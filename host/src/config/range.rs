//! Units and bounds of one value.

use longshore_core::{Size, Span};
use serde_json::Value as Json;

use super::node::Value;
use super::schema::{Form, POSITIVE};

/// Why a value of the right type is not one of those allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) problem: String,
    pub(crate) help: Option<String>,
}

impl Wrong {
    fn new(problem: String) -> Self {
        Wrong { problem, help: None }
    }
}

/// Holds a number or text against the bounds of its form.
pub(crate) fn check(value: &Value, form: Form<'_>) -> Result<(), Wrong> {
    match value {
        Value::Integer(number) => integer(*number, form),
        Value::Float(number) => float(*number, form),
        Value::Text(text) => text_of(text, form),
        _ => Ok(()),
    }
}

fn integer(number: i64, form: Form<'_>) -> Result<(), Wrong> {
    let width = match form.get("format").as_str() {
        Some("uint8") => Some(i64::from(u8::MAX)),
        Some("uint16") => Some(i64::from(u16::MAX)),
        Some("uint32") => Some(i64::from(u32::MAX)),
        _ => None,
    };
    let least = form.get("minimum").as_i64();
    let most = form.get("maximum").as_i64();
    let above = |most: &Option<i64>| most.is_some_and(|most| number > most);
    // The width of a number is a bound that nobody wants to read about unless he passes it.
    let most = if above(&width) { most.or(width) } else { most };
    if least.is_some_and(|least| number < least) || above(&most) {
        return Err(Wrong::new(format!("expected a whole number {}, found {number}", bounds(&least, &most))));
    }
    #[expect(clippy::cast_precision_loss, reason = "compared with bounds that are small")]
    float(number as f64, form)
}

fn float(number: f64, form: Form<'_>) -> Result<(), Wrong> {
    let (least, most) = (form.get("minimum").as_f64(), form.get("maximum").as_f64());
    let inside = least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most);
    if number.is_finite() && inside {
        return Ok(());
    }
    Err(Wrong::new(format!("expected a number {}, found {number}", bounds(&least, &most))))
}

/// `from 0 to 1`, `of at least 1`.
fn bounds<T: std::fmt::Display>(least: &Option<T>, most: &Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("of at least {least}"),
        (None, Some(most)) => format!("of at most {most}"),
        (None, None) => "that is finite".into(),
    }
}

fn text_of(text: &str, form: Form<'_>) -> Result<(), Wrong> {
    let zero = match form.get("format").as_str() {
        Some("duration") => unit(text, text.parse::<Span>().map(Span::is_zero))?,
        Some("size") => unit(text, text.parse::<Size>().map(|size| size.bytes() == 0))?,
        _ => false,
    };
    if zero && form.get(POSITIVE) == &Json::Bool(true) {
        return Err(Wrong::new(format!("expected more than nothing, found {text:?}")));
    }
    if text.is_empty() && form.get("minLength").as_u64().is_some_and(|least| least > 0) {
        return Err(Wrong::new("the text is empty".into()));
    }
    Ok(())
}

/// Turns the error's own advice into ours.
fn unit(text: &str, read: Result<bool, impl std::fmt::Display>) -> Result<bool, Wrong> {
    read.map_err(|error| {
        let error = error.to_string();
        let (problem, help) = error.split_once("; ").map_or((error.as_str(), None), |(problem, help)| (problem, Some(help)));
        Wrong {
            problem: if problem.is_empty() { format!("{text:?} cannot be read") } else { problem.into() },
            help: help.map(String::from),
        }
    })
}
