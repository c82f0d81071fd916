//! What a subscription listens to, and which of the copies that come of a message is handed over: the server sends one for the channel and one for
//! each of its patterns that means the channel, and its patterns mean more than ours. Pure.

use longshore_core::Pattern;

use crate::redis::glob::glob;

/// What a subscription listens to, in order.
pub(super) struct Wanted(Vec<(Pattern, String)>);

impl Wanted {
    pub(super) fn new(topics: &[Pattern]) -> Self {
        Wanted(topics.iter().map(|topic| (topic.clone(), glob(topic))).collect())
    }

    /// Channels that are named.
    pub(super) fn channels(&self) -> Vec<&str> {
        self.of(false).map(|(pattern, _)| pattern.as_str()).collect()
    }

    /// Patterns, as the server knows them.
    pub(super) fn globs(&self) -> Vec<&str> {
        self.of(true).map(|(_, glob)| glob.as_str()).collect()
    }

    /// Whether what came on `channel`, by the server's pattern `glob` or without one, is the copy that is handed over; then the pattern that
    /// means it, if it is one: that of the first entry that means the channel.
    pub(super) fn meant(&self, channel: &str, by: Option<&str>) -> Option<Option<&Pattern>> {
        let (pattern, glob) = self.0.iter().find(|(pattern, _)| pattern.matches(channel))?;
        let wild = pattern.is_wild().then_some(pattern);
        (by == wild.map(|_| glob.as_str())).then_some(wild)
    }

    fn of(&self, wild: bool) -> impl Iterator<Item = &(Pattern, String)> {
        self.0.iter().filter(move |(pattern, _)| pattern.is_wild() == wild)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_copy_of_a_message_is_handed_over_and_only_what_is_meant() {
        let patterns = ["user.created", "user.*", "*.created", "a.**"].map(|text| Pattern::new(text).expect("good"));
        let wanted = Wanted::new(&patterns);
        assert_eq!((wanted.channels(), wanted.globs()), (vec!["user.created"], vec!["user.*", "*.created", "a.*"]));
        let check = |channel: &str, by: Option<&str>, expected: Option<Option<&str>>| {
            assert_eq!(wanted.meant(channel, by).map(|by| by.map(Pattern::as_str)), expected, "{channel} by {by:?}");
        };
        check("user.created", None, Some(None));
        check("user.created", Some("user.*"), None);
        check("user.gone", Some("user.*"), Some(Some("user.*")));
        check("user.gone.deeper", Some("user.*"), None);
        check("order.created", Some("*.created"), Some(Some("*.created")));
        check("a.created", Some("*.created"), Some(Some("*.created")));
        check("a.created", Some("a.*"), None);
        check("a.b.c", Some("a.*"), Some(Some("a.**")));
        check("other", None, None);
    }
}
