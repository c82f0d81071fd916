//! Which dead letters are meant.

use longshore_admin::ControlError;
use longshore_admin::model::{DeadLetter, DeadLetterFilter};

use super::facts::failed_at;

/// A checked filter.
#[derive(Default)]
pub(super) struct Filter {
    wanted: DeadLetterFilter,
    header: Option<(String, String)>,
}

impl Filter {
    pub(super) fn new(wanted: DeadLetterFilter) -> Result<Self, ControlError> {
        let header = match &wanted.header {
            None => None,
            Some(text) => match text.split_once('=') {
                Some((name, value)) => Some((name.to_owned(), value.to_owned())),
                None => return Err(ControlError::invalid(format!("header {text:?}: write name=value"))),
            },
        };
        Ok(Filter { wanted, header })
    }

    pub(super) fn broker(&self) -> Option<&str> {
        self.wanted.broker.as_deref()
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.wanted.id.as_deref()
    }

    /// Where the one letter that the id names would stand.
    pub(super) fn place(&self) -> Option<(&str, u64)> {
        let (topic, position) = self.id()?.rsplit_once('/')?;
        Some((topic, position.parse().ok()?))
    }

    pub(super) fn passes(&self, letter: &DeadLetter) -> bool {
        let DeadLetterFilter { id, topic, group, class, since, until, .. } = &self.wanted;
        let same = |wanted: &Option<String>, is: &[&str]| wanted.as_deref().is_none_or(|wanted| is.contains(&wanted));
        let facts = &letter.facts;
        same(id, &[&letter.id, &facts.id])
            && same(topic, &[&letter.topic, &facts.topic])
            && same(group, &[&facts.group])
            && same(class, &[&facts.class])
            && since.is_none_or(|since| failed_at(letter) >= since)
            && until.is_none_or(|until| failed_at(letter) <= until)
            && self
                .header
                .as_ref()
                .is_none_or(|(name, value)| letter.message.headers.iter().any(|(n, v)| n == name && v == value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use longshore_admin::model::{DeadFacts, HeaderList, Line};

    use super::*;

    fn letter() -> DeadLetter {
        let headers = HeaderList(vec![("tenant".into(), "a=b".into())]);
        DeadLetter {
            id: "orders.billing.dlq/7".into(),
            broker: "default".into(),
            topic: "orders.billing.dlq".into(),
            position: 7,
            facts: DeadFacts {
                class: "trap".into(),
                topic: "orders".into(),
                group: "billing".into(),
                id: "orders/3".into(),
                last_failed_at: Some(100),
                ..DeadFacts::default()
            },
            message: Line { headers, timestamp: Some(5), ..Line::default() },
        }
    }

    #[test]
    fn each_condition_counts() {
        let check = |wanted: DeadLetterFilter, expected: bool| {
            assert_eq!(Filter::new(wanted.clone()).unwrap().passes(&letter()), expected, "{wanted:?}");
        };
        let none = DeadLetterFilter::default;
        let some = |text: &str| Some(text.to_owned());
        check(none(), true);
        for id in ["orders.billing.dlq/7", "orders/3"] {
            check(DeadLetterFilter { id: some(id), ..none() }, true);
        }
        check(DeadLetterFilter { id: some("orders/4"), ..none() }, false);
        for (topic, expected) in [("orders", true), ("orders.billing.dlq", true), ("order", false)] {
            check(DeadLetterFilter { topic: some(topic), ..none() }, expected);
        }
        check(DeadLetterFilter { group: some("billing"), class: some("trap"), ..none() }, true);
        check(DeadLetterFilter { group: some("billing"), class: some("timeout"), ..none() }, false);
        check(DeadLetterFilter { since: Some(100), until: Some(100), ..none() }, true);
        check(DeadLetterFilter { since: Some(101), ..none() }, false);
        check(DeadLetterFilter { until: Some(99), ..none() }, false);
        check(DeadLetterFilter { header: some("tenant=a=b"), ..none() }, true);
        check(DeadLetterFilter { header: some("tenant=a"), ..none() }, false);
        assert!(Filter::new(DeadLetterFilter { header: some("tenant"), ..none() }).is_err());
    }

    #[test]
    fn an_id_tells_where_its_letter_stands() {
        let place = |id: &str| {
            Filter::new(DeadLetterFilter { id: Some(id.into()), ..DeadLetterFilter::default() })
                .unwrap()
                .place()
                .map(|(t, p)| (t.to_owned(), p))
        };
        assert_eq!(place("a/b/7"), Some(("a/b".into(), 7)));
        assert_eq!(place("a/x"), None);
        assert_eq!(place("a"), None);
    }
}
