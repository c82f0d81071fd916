//! What its headers say of a dead letter.

use longshore_core::headers;

/// Where a dead letter comes from, as far as that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    pub(crate) topic: &'a str,
    pub(crate) group: &'a str,
    /// The message's own id.
    pub(crate) id: Option<&'a str>,
    /// How often it was given back before.
    pub(crate) redrives: u32,
    /// The position that it had.
    pub(crate) position: Option<u64>,
}

/// By the headers that `header` finds; an error says what is missing.
pub(crate) fn origin<'a>(header: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Origin<'a>, String> {
    let text = |name: &str| header(name).and_then(|value| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty());
    let need = |name: &str| text(name).ok_or_else(|| format!("it has no header {name}"));
    Ok(Origin {
        topic: need(headers::DEAD_TOPIC)?,
        group: need(headers::DEAD_GROUP)?,
        id: text(headers::DEAD_ID),
        redrives: text(headers::DEAD_REDRIVES).and_then(|text| text.parse().ok()).unwrap_or(0),
        position: text(headers::DEAD_SOURCE).and_then(|source| source.rsplit('/').next()?.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(with: &[(&str, &str)], expected: Result<Origin<'_>, &str>) {
        let found = origin(|name| with.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_bytes()));
        assert_eq!(found, expected.map_err(|name| format!("it has no header {name}")), "{with:?}");
    }

    #[test]
    fn topic_and_group_have_to_be_told() {
        let (topic, group) = ((headers::DEAD_TOPIC, "orders"), (headers::DEAD_GROUP, "billing"));
        let bare = Origin { topic: "orders", group: "billing", id: None, redrives: 0, position: None };
        check(&[], Err(headers::DEAD_TOPIC));
        check(&[(headers::DEAD_TOPIC, ""), group], Err(headers::DEAD_TOPIC));
        check(&[topic], Err(headers::DEAD_GROUP));
        check(&[topic, group], Ok(bare));
        check(&[topic, group, (headers::DEAD_ID, ""), (headers::DEAD_REDRIVES, "many"), (headers::DEAD_SOURCE, "b/orders/x")], Ok(bare));
        let told = [topic, group, (headers::DEAD_ID, "7"), (headers::DEAD_REDRIVES, "2"), (headers::DEAD_SOURCE, "b/orders/5")];
        check(&told, Ok(Origin { id: Some("7"), redrives: 2, position: Some(5), ..bare }));
    }
}
