//! What the suite found, as a table.

use std::fmt;

use longshore_core::Flag;

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The broker declares it and does it.
    Passed,
    /// The broker does not declare it and refuses it, or has no role to ask for it.
    Unsupported,
    /// The broker declares it and does not do it, or does not declare it and does not refuse it.
    Failed(String),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The test's name.
    pub test: &'static str,
    /// The flag that it belongs to.
    pub flag: Flag,
    /// How it ended.
    pub verdict: Verdict,
}

/// All lines. Two brokers behave alike when theirs are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// In the order of the suite.
    pub entries: Vec<Entry>,
}

impl Matrix {
    /// Panics with the table when a test failed.
    pub fn assert_passed(&self) {
        let failed = self.entries.iter().any(|entry| matches!(entry.verdict, Verdict::Failed(_)));
        assert!(!failed, "the broker does not do what it declares\n{self}");
    }

    /// The tests that ended so, in their order. Who compares those that are unsupported with what is meant lets no role that was forgotten hide.
    pub fn tests(&self, verdict: &Verdict) -> Vec<&'static str> {
        self.entries.iter().filter(|entry| entry.verdict == *verdict).map(|entry| entry.test).collect()
    }

    /// The lines that do not belong to `flag`.
    #[must_use]
    pub fn without(mut self, flag: Flag) -> Self {
        self.entries.retain(|entry| entry.flag != flag);
        self
    }

    /// Flags without a test that passed.
    pub fn untested(&self) -> Vec<Flag> {
        let passed = |flag: &Flag| self.entries.iter().any(|e| e.flag == *flag && e.verdict == Verdict::Passed);
        Flag::ALL.into_iter().filter(|flag| !passed(flag)).collect()
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { test, flag, verdict } in &self.entries {
            let word = match verdict {
                Verdict::Passed => "passed",
                Verdict::Unsupported => "unsupported",
                Verdict::Failed(_) => "FAILED",
            };
            writeln!(f, "{word:<12} {:<20} {}", flag.name(), test.replace('_', " "))?;
            if let Verdict::Failed(why) = verdict {
                writeln!(f, "             {why}")?;
            }
        }
        Ok(())
    }
}
