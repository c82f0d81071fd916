//! What brokers find in the way of a configuration, told as mistakes in its file: `check --connect` asks for it, and `run` once a broker has refused a
//! subscription.

use std::time::Duration;

use longshore_core::{BrokerError, Consumer, Finding, Intent};

use crate::config::{Config, KeyPath, Mistake};

/// How long a broker may take to answer one question.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// An answer, or that none came in time.
pub(crate) async fn within<T>(answer: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    match tokio::time::timeout(ANSWER, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(BrokerError::retry(format!("no answer within {ANSWER:?}"))),
    }
}

/// A finding about what stands at `path`.
pub(crate) fn told(config: &Config, path: &KeyPath, finding: Finding) -> Mistake {
    let Finding { is_mistake: _, key, problem, help } = finding;
    config.mistake(&if key.is_empty() { path.clone() } else { path.key(key) }, problem, help)
}

/// Why a broker refused the subscription at `path`: what it finds in the way of it, with what to do; what it said itself where it finds nothing.
pub(crate) async fn refusal(config: &Config, path: &KeyPath, consumer: &dyn Consumer, intent: &Intent, said: BrokerError) -> Vec<Mistake> {
    let mut found = within(consumer.check(intent)).await;
    if found.is_err() {
        // The refusal may have taken the connection with it.
        found = within(consumer.check(intent)).await;
    }
    let mut found = found.unwrap_or_default();
    found.retain(|finding| finding.is_mistake);
    if found.is_empty() {
        found.push(Finding::mistake("", said.what, ""));
    }
    found.into_iter().map(|finding| told(config, path, finding)).collect()
}
