//! Looking whether channels can be listened to and published to. Listening is tried, as it disturbs nobody; publishing would not go unheard.

use std::sync::Arc;

use longshore_core::{BrokerError, Finding, Intent};

use super::Broker;
use super::ear::Ear;
use super::wanted::Wanted;
use crate::buffer::Buffer;
use crate::redis::check::Commands;

type Result<T> = std::result::Result<T, BrokerError>;

impl Broker {
    /// What is in the way of a subscription.
    pub(super) async fn check_subscription(&self, intent: &Intent) -> Result<Vec<Finding>> {
        let own = intent.subscribe.own.read()?;
        let topics = &intent.subscribe.topics;
        let buffer = Arc::new(Buffer::new(format!("broker {:?}, looking", self.server.name), own));
        let heard = Ear::open(&self.server, &Wanted::new(topics), buffer).await;
        let names = topics.iter().map(|topic| format!("{:?}", topic.as_str())).collect::<Vec<_>>().join(", ");
        heard.map(|_| Vec::new()).map_err(|error| BrokerError { what: format!("listening to {names}: {}", error.what), ..error })
    }

    /// What is in the way of publishing.
    pub(super) async fn check_publishing(&self, topic: &str) -> Result<Vec<Finding>> {
        let mut commands = Commands::default();
        commands.on(topic, &["PUBLISH KEY m"]);
        let unknown = || {
            let problem =
                format!("Redis does not tell whether the user may publish to {topic:?}, so that a missing right may show only later");
            Finding::advice("", problem, "let the user run scripts for the time of the check: ACL SETUSER … +eval +evalsha")
        };
        Ok(match commands.ask(&self.server).await? {
            Some(denied) => denied.into_iter().collect(),
            None => vec![unknown()],
        })
    }
}
