//! What only the whole shows: names that nobody has, what a broker cannot do, messages that would go round in circles.

mod capabilities;
mod dedup;
mod forgetful;
mod groups;
mod loops;
mod names;
mod once;
mod references;
mod values;

use super::mistake::{Mistake, Mistakes};
use super::path::KeyPath;
use super::source::Place;
use super::trusted::{Config, SubscriptionConfig};

/// Checks everything.
pub(crate) fn all(config: &Config, mistakes: &mut Mistakes) {
    let mut checking = Checking { config, mistakes };
    references::check(&mut checking);
    capabilities::check(&mut checking);
    forgetful::check(&mut checking);
    dedup::check(&mut checking);
    once::check(&mut checking);
    names::check(&mut checking);
    values::check(&mut checking);
    groups::check(&mut checking);
    loops::check(&mut checking);
}

/// A configuration and what is wrong with it.
struct Checking<'a> {
    config: &'a Config,
    mistakes: &'a mut Mistakes,
}

impl Checking<'_> {
    /// Tells a mistake, at its path or the nearest above it.
    fn tell(&mut self, path: &KeyPath, problem: impl Into<String>, help: impl Into<String>) {
        let mistake = self.config.mistake(path, problem, help);
        self.mistakes.push(mistake);
    }

    /// The same with a second place.
    fn tell_also(&mut self, mistake: Mistake, also: &Place, why: &str) {
        self.mistakes.push(mistake.also(also, why));
    }

    /// Tells a mistake in a value that may come from the handler or the defaults: at the place that says it.
    fn tell_of_policy(&mut self, subscription: &SubscriptionConfig, key: &str, problem: impl Into<String>, help: impl Into<String>) {
        let place = self.config.policy(subscription).and_then(|policy| policy.get(key).map(|node| node.place.clone()));
        let path = subscription.path.key(key);
        let place = place.unwrap_or_else(|| self.place(&path));
        self.mistakes.push(Mistake::new(&path, &place, problem).help(help));
    }

    fn place(&self, path: &KeyPath) -> Place {
        self.config.origins.place(path)
    }
}
