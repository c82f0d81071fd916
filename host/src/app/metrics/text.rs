//! The text format of Prometheus (exposition format 0.0.4), for what is not counted in a registry.

use std::fmt::Write as _;

/// A page of metrics on its way.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family. `help` has no line break.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}").expect("a string takes everything");
    }

    /// Adds one value.
    pub(super) fn sample(&mut self, name: &str, labels: &str, value: f64) {
        writeln!(self.0, "{name}{{{labels}}} {value}").expect("a string takes everything");
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Labels as they stand between the braces.
pub(super) fn labels(labels: &[(&str, &str)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\"y\\z\n"), ("b", "")]), r#"a="x\"y\\z\n",b="""#);
    }
}
