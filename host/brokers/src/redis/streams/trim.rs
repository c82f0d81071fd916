//! Takes off what the configuration lets go, once a second.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{BrokerError, Connect, TopicSettings};
use tokio::time::sleep;

use super::{own, scripts};
use crate::redis::server::Server;

/// How often.
const INTERVAL: Duration = Duration::from_secs(1);
/// Entries beyond the length that are borne where it is approximate, besides a tenth of it.
const SLACK: u64 = 100;

/// How one topic is kept.
pub(super) struct Trim {
    topic: String,
    most: Option<u64>,
    slack: u64,
    age: Option<Duration>,
    until_finished: bool,
}

impl Trim {
    /// The topics that have settings.
    pub(super) fn all(connect: &Connect) -> Result<Vec<Self>, BrokerError> {
        let trims = connect.topics.iter().map(|(topic, settings)| Trim::of(topic, settings));
        trims.filter_map(Result::transpose).collect()
    }

    fn of(topic: &str, settings: &TopicSettings) -> Result<Option<Self>, BrokerError> {
        let own: own::Topic = settings.own.read()?;
        if settings.max_size.is_some() {
            return Err(BrokerError::give_up(format!("topic {topic:?}: a stream has no max-size; bound it by max-length")));
        }
        if own.max_length == Some(0) {
            return Err(BrokerError::give_up(format!("topic {topic:?}: max-length = 0 keeps nothing; use 1 or more")));
        }
        let slack = own.max_length.filter(|_| own.approximate).map_or(0, |most| (most / 10).max(SLACK));
        let trim =
            Trim { topic: topic.to_owned(), most: own.max_length, slack, age: settings.retention, until_finished: settings.until_finished };
        Ok((trim.most.is_some() || trim.age.is_some() || trim.until_finished).then_some(trim))
    }

    async fn trim(&self, server: &Server) -> redis::RedisResult<u64> {
        let mut script = scripts::TRIM.prepare_invoke();
        script.key(&self.topic);
        script.arg(self.most.map(|most| most.to_string()).unwrap_or_default()).arg(self.slack);
        script.arg(self.age.map(|age| age.as_millis().to_string()).unwrap_or_default()).arg(u8::from(self.until_finished));
        server.call(&self.topic, &script).await
    }
}

/// Trims until it is dropped.
pub(super) async fn run(server: Arc<Server>, trims: Vec<Trim>) {
    loop {
        for trim in &trims {
            match trim.trim(&server).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(topic = %trim.topic, count, "entries were trimmed"),
                Err(error) => tracing::warn!(broker = %server.name, topic = %trim.topic, "trimming failed: {}", server.error(&error)),
            }
        }
        sleep(INTERVAL).await;
    }
}
