//! Which dead letters a command means.

use clap::Args;
use longshore_admin::model::DeadLetterFilter;
use longshore_core::Clock;

use crate::cli::times::moment;

/// Filters; what is not given does not matter.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct Filter {
    /// The topic that they are on, or that they came from
    #[arg(long)]
    topic: Option<String>,
    /// The group that failed
    #[arg(long)]
    group: Option<String>,
    /// Class of the last failure: retry, reject, trap, timeout, memory, output, …
    #[arg(long)]
    class: Option<String>,
    /// Last failed at or after: a time, or a span ago (2h)
    #[arg(long, value_parser = moment, value_name = "TIME")]
    since: Option<u64>,
    /// Last failed at or before: a time, or a span ago (2h)
    #[arg(long, value_parser = moment, value_name = "TIME")]
    until: Option<u64>,
    /// A header of the message
    #[arg(long, value_name = "NAME=VALUE")]
    header: Option<String>,
    /// The broker; all without
    #[arg(long)]
    pub(in crate::cli) broker: Option<String>,
}

impl Filter {
    /// Leaves out what fails from now on, so that work in steps ends although messages come back.
    pub(super) fn until_now(self) -> Self {
        Filter { until: Some(self.until.unwrap_or(u64::MAX).min(Clock::system().now())), ..self }
    }

    /// What is asked of a host.
    pub(super) fn wanted(self, id: Option<String>) -> DeadLetterFilter {
        let Filter { topic, group, class, since, until, header, broker } = self;
        DeadLetterFilter { broker, id, topic, group, class, since, until, header, limit: None }
    }
}
