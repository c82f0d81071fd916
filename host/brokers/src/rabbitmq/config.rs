//! Keys of `[brokers.<name>]` with `type = "rabbitmq"`, of its subscriptions and of its topics, and what is trusted of them afterwards.

use std::collections::BTreeMap;
use std::path::Path;

use lapin::tcp::{RustlsConnector, RustlsConnectorConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use longshore_core::{BrokerError, Span};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::declare::Declare;
use crate::tls::{File, Files, Tls};

/// Where the server listens unless told otherwise.
const PORT: u16 = 5672;
/// The same with TLS.
const TLS_PORT: u16 = 5671;

/// A RabbitMQ server, by `url` or by `host` and its companions.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Everything in one: `amqp://user:password@host:5672/vhost`, with `%2f` for the vhost `/`. `amqps` turns TLS on.
    #[schemars(extend("format" = "secret"))]
    pub url: Option<String>,
    /// The server; `localhost` where there is no `url` either.
    pub host: Option<String>,
    /// Its port; 5672, and 5671 with TLS.
    pub port: Option<u16>,
    /// The user; `guest`, which RabbitMQ lets in from the same machine only.
    pub username: Option<String>,
    /// The user's password; `guest`.
    #[schemars(extend("format" = "secret"))]
    pub password: Option<String>,
    /// The virtual host; `/`.
    pub vhost: Option<String>,
    /// TLS.
    pub tls: Tls,
    /// How long connecting may take, each time.
    pub connect_timeout: Span,
    /// Silence after which the other side counts as gone; lowered to what the server offers.
    pub heartbeat: Span,
    /// How long a confirm of the server may take. A server that is blocked by an alarm confirms nothing.
    pub confirm_timeout: Span,
    /// Who makes queues, exchanges and bindings: `create` makes what is missing, `passive` only looks whether they are there, `none` trusts
    /// that they are.
    pub declare: Declare,
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeType {
    /// To queues that are bound with that very key.
    Direct,
    /// To queues that are bound with a pattern of the key.
    #[default]
    Topic,
    /// To all queues.
    Fanout,
    /// To queues that are bound with the message's headers.
    Headers,
}

/// How a queue is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueType {
    /// On one node.
    #[default]
    Classic,
    /// On several nodes that agree; counts deliveries.
    Quorum,
}

/// Which of several headers have to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// Each.
    #[default]
    All,
    /// One at least.
    Any,
}

/// Keys of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Subscription {
    /// The exchange that the group's queue, `{topic}.{group}`, is bound to; by default the one in `[topics.<topic>]`. Without any, the topic
    /// is a queue, and one group reads it.
    pub exchange: Option<String>,
    /// How that exchange routes: `direct`, `topic`, `fanout` or `headers`; by default as in `[topics.<topic>]`, else `topic`.
    pub exchange_type: Option<ExchangeType>,
    /// Key that binds the queue; by default the topic, with `**` as `#`.
    pub routing_key: Option<String>,
    /// Headers that bind the queue to an exchange of type `headers`.
    pub headers: BTreeMap<String, String>,
    /// Whether `all` of them must match, or `any`.
    pub headers_match: Match,
    /// Whether RabbitMQ gives the queue to one consumer at a time, so that order holds over all hosts. `order = "key"` and `"lane"` need it.
    pub single_active_consumer: bool,
}

/// Keys of `[topics.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Topic {
    /// The exchange to publish to, and to bind the groups' queues to. Without, the topic is a queue.
    pub exchange: Option<String>,
    /// How that exchange routes: `direct`, `topic`, `fanout` or `headers`.
    pub exchange_type: ExchangeType,
    /// Routing key of what is published; by default the topic's name.
    pub routing_key: Option<String>,
    /// Whether exchange and queues outlive a restart of the server. Messages are always published as persistent.
    pub durable: bool,
    /// How its queues are kept: `classic` or `quorum`.
    pub queue_type: QueueType,
    /// Highest priority of messages, 1 to 9; the header `priority` of a message says which it has.
    #[schemars(range(min = 1, max = 9))]
    pub max_priority: Option<u8>,
    /// Age after which the server drops what nobody has taken.
    pub message_ttl: Option<Span>,
    /// Messages above which the server refuses more.
    pub max_length: Option<u32>,
    /// Whether RabbitMQ gives its queues to one consumer at a time.
    pub single_active_consumer: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            host: None,
            port: None,
            username: None,
            password: None,
            vhost: None,
            tls: Tls::default(),
            connect_timeout: Span::from_secs(10),
            heartbeat: Span::from_secs(60),
            confirm_timeout: Span::from_secs(5),
            declare: Declare::Create,
        }
    }
}

impl Default for Topic {
    fn default() -> Self {
        Topic {
            exchange: None,
            exchange_type: ExchangeType::default(),
            routing_key: None,
            durable: true,
            queue_type: QueueType::default(),
            max_priority: None,
            message_ttl: None,
            max_length: None,
            single_active_consumer: false,
        }
    }
}

impl Config {
    /// Where and as whom to connect.
    pub(super) fn uri(&self) -> Result<AMQPUri, BrokerError> {
        let mut uri = match &self.url {
            Some(url) => {
                self.refuse_both_forms()?;
                // What is wrong is told without the text: it has a password in it.
                url.parse::<AMQPUri>()
                    .map_err(|e| BrokerError::give_up(format!("`url` is no AMQP url ({e}): write amqp://user:password@host:5672/vhost")))?
            }
            None => self.uri_of_parts(),
        };
        if uri.vhost.is_empty() {
            // What a url means that ends in `/` is disputed, and the server has no host without a name.
            uri.vhost = "/".into();
        }
        if self.tls.enabled {
            uri.scheme = AMQPScheme::AMQPS;
        }
        uri.query.heartbeat = Some(u16::try_from(self.heartbeat.get().as_secs()).unwrap_or(u16::MAX));
        Ok(uri)
    }

    fn refuse_both_forms(&self) -> Result<(), BrokerError> {
        let parts = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("vhost", self.vhost.is_some()),
        ];
        match parts.into_iter().find(|(_, there)| *there) {
            Some((key, _)) => Err(BrokerError::give_up(format!("`url` and `{key}` say the same thing twice: keep one of the two forms"))),
            None => Ok(()),
        }
    }

    fn uri_of_parts(&self) -> AMQPUri {
        let text = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
        let mut uri = AMQPUri::default();
        uri.authority.host = text(&self.host, "localhost");
        uri.authority.port = self.port.unwrap_or(if self.tls.enabled { TLS_PORT } else { PORT });
        uri.authority.userinfo.username = text(&self.username, "guest");
        uri.authority.userinfo.password = text(&self.password, "guest");
        uri.vhost = text(&self.vhost, "/");
        uri
    }

    /// Who is trusted, and who we are; `None` where no TLS is spoken.
    pub(super) fn trust(&self, folder: &Path, uri: &AMQPUri) -> Result<Option<RustlsConnector>, BrokerError> {
        let spoken = uri.scheme == AMQPScheme::AMQPS;
        self.tls.refuse_idle(spoken, "write a url with amqps://")?;
        let files = self.tls.files(folder)?;
        let unusable = |e: std::io::Error| BrokerError::give_up(format!("tls: {e}"));
        Ok(if spoken { Some(connector(&files).map_err(unusable)?) } else { None })
    }
}

fn connector(files: &Files) -> std::io::Result<RustlsConnector> {
    let certificates = |file: &File| CertificateDer::pem_slice_iter(&file.bytes).collect::<Result<Vec<_>, _>>();
    let unread = |e: pem::Error| std::io::Error::other(e.to_string());
    let trusted = match &files.ca {
        Some(ca) => RustlsConnectorConfig::default().with_parsable_certificates(certificates(ca).map_err(unread)?),
        None => RustlsConnectorConfig::new_with_native_certs()?,
    };
    match &files.identity {
        Some((cert, key)) => {
            let key = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(unread)?;
            trusted.connector_with_single_cert(certificates(cert).map_err(unread)?, key)
        }
        None => trusted.connector_with_no_client_auth(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_parts_of_one_are_refused_together() {
        let both = Config { url: Some("amqp://localhost".into()), vhost: Some("v".into()), ..Config::default() };
        assert!(both.uri().expect_err("both forms").what.contains("`vhost`"));
    }

    #[test]
    fn parts_make_a_url() {
        let config = Config { host: Some("mq".into()), vhost: Some("a/b".into()), ..Config::default() };
        let uri = config.uri().expect("good parts");
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("mq", PORT, "a/b"));
        let secure = Config { tls: Tls { enabled: true, ..Tls::default() }, ..Config::default() };
        let uri = secure.uri().expect("good parts");
        assert_eq!((uri.authority.port, uri.scheme), (TLS_PORT, AMQPScheme::AMQPS));
    }

    #[test]
    fn a_url_without_a_vhost_means_the_usual_one() {
        for (url, vhost) in [("amqp://mq", "/"), ("amqp://mq:5672/", "/"), ("amqp://mq/%2f", "/"), ("amqp://mq/shop", "shop")] {
            let config = Config { url: Some(url.into()), ..Config::default() };
            assert_eq!(config.uri().expect("a good url").vhost, vhost, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        let wrong = Config { url: Some("amqp//guest:hunter2@mq".into()), ..Config::default() };
        let error = wrong.uri().expect_err("no url");
        assert!(!error.what.contains("hunter2"), "{error}");
    }
}
