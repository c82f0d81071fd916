//! The connection of one broker or store: opened once and fast, mended by the client, and told apart from what only a human mends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectError, ConnectErrorKind, Event};
use futures::StreamExt;
use longshore_core::{BoxFuture, BrokerError, Connect, Connection, Finding};
use tokio::time::timeout;

use super::config::Config;
use super::heard::{Doing, Heard};

/// Commands that wait for the connection: a publish window and some.
const COMMANDS: usize = 8192;
/// Messages that one subscription of the client holds. A pull never asks for so many.
pub(super) const SUBSCRIPTION: usize = 65_536;
/// How often a silent connection is asked whether it lives; after two pings without an answer it counts as lost.
const PING: Duration = Duration::from_secs(5);
/// Longest wait between two tries to connect again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A connected client.
pub(super) struct Link {
    pub(super) client: Client,
    /// The broker's or store's name in the configuration.
    pub(super) name: String,
    /// Where it leads, for errors: `NATS at nats://localhost:4222`.
    at: String,
    /// How long the server may take for anything.
    pub(super) patience: Duration,
    /// What it hears besides messages.
    pub(super) heard: Arc<Heard>,
}

impl Link {
    /// Connects, within `connect-timeout`.
    pub(super) async fn open(config: &Config, connect: &Connect) -> Result<Arc<Self>, BrokerError> {
        let urls = config.url.list();
        let shown = shown(&urls);
        let heard = Arc::new(Heard::default());
        let (hears, teller) = (Arc::clone(&heard), Teller::new(&connect.name, &shown));
        let options = config
            .options(connect)
            .await?
            .ping_interval(PING)
            .client_capacity(COMMANDS)
            .subscription_capacity(SUBSCRIPTION)
            .reconnect_delay_callback(|attempts| RECONNECT.min(Duration::from_millis(20 << attempts.min(6))))
            .event_callback(move |event| {
                teller.tell(&event);
                hears.hear(&event);
                std::future::ready(())
            });
        let bound = config.connect_timeout.get();
        let client = match timeout(bound, options.connect(urls)).await {
            Ok(connected) => connected.map_err(|error| refused(&shown, &error))?,
            Err(_) => return Err(BrokerError::reconnect(format!("NATS at {shown} did not answer within {bound:?} (connect-timeout)"))),
        };
        Ok(Arc::new(Link {
            client,
            name: connect.name.clone(),
            at: format!("NATS at {shown}"),
            patience: config.request_timeout.get(),
            heard,
        }))
    }

    /// Whether the client is connected now.
    pub(super) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Sends a word to ourselves: the server reads in order, so once it is back, everything that was sent before has been read.
    async fn round_trip(&self, inbox: &str) -> Result<(), String> {
        let inbox = inbox.to_owned();
        let mut heard = self.client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        self.client.publish(inbox, Vec::new().into()).await.map_err(|error| error.to_string())?;
        heard.next().await.map(drop).ok_or_else(|| "the client has ended".into())
    }

    /// An error unless the client is connected now.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        if self.is_up() {
            return Ok(());
        }
        Err(BrokerError::retry(format!("{}: not connected; trying to connect", self.at)))
    }
}

impl Connection for Link {
    fn ping(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            self.check()?;
            let inbox = self.client.new_inbox();
            let answer = tokio::select! {
                answer = timeout(self.patience, self.round_trip(&inbox)) => answer,
                // A server that refuses the word has read it.
                () = self.heard.until_refused(Doing::Publishing, &inbox) => return Ok(()),
                () = self.heard.until_refused(Doing::Subscribing, &inbox) => return Ok(()),
            };
            match answer {
                Ok(Ok(())) => Ok(()),
                Ok(Err(words)) => Err(BrokerError::retry(format!("{}: {words}", self.at))),
                Err(_) => Err(BrokerError::retry(format!("{}: no answer within {:?}", self.at, self.patience))),
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            if !self.is_up() {
                return Ok(());
            }
            let flushed = timeout(self.patience, self.client.flush()).await;
            // Ends the client's task; what is still subscribed ends with it.
            let _ = timeout(self.patience, self.client.drain()).await;
            match flushed {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(BrokerError::retry(format!("{}: {error}", self.at))),
                Err(_) => Err(BrokerError::retry(format!("{}: flushing took longer than {:?}", self.at, self.patience))),
            }
        })
    }

    fn connections(&self) -> Option<u64> {
        Some(u64::from(self.is_up()))
    }

    fn check_server(&self) -> BoxFuture<'_, Result<Vec<Finding>, BrokerError>> {
        Box::pin(async move {
            self.check()?;
            let unknown = || {
                let problem = "NATS does not tell what the user may do, so that a missing right may show only later";
                Finding::advice("", problem, "let the user publish to $SYS.REQ.USER.INFO")
            };
            Ok(if self.rights().await.is_none() { vec![unknown()] } else { Vec::new() })
        })
    }
}

/// Tells of the connection.
struct Teller {
    /// The broker's or store's name in the configuration.
    name: String,
    /// Where it leads.
    at: String,
    /// What a lost connection was told about last: trying again fails the same way every second.
    told: Mutex<String>,
}

impl Teller {
    fn new(name: &str, at: &str) -> Self {
        Teller { name: name.into(), at: at.into(), told: Mutex::default() }
    }

    fn tell(&self, event: &Event) {
        let (name, at) = (self.name.as_str(), self.at.as_str());
        match event {
            Event::Connected => {
                self.is_new("");
                tracing::info!(broker = name, "connected to NATS at {at}");
            }
            Event::Disconnected => tracing::warn!(broker = name, "the connection to NATS at {at} is lost; connecting again"),
            Event::SlowConsumer(_) => {
                tracing::error!(broker = name, "a subscription of core NATS was too slow, and messages of it are lost")
            }
            Event::ServerError(error) => tracing::error!(broker = name, "NATS at {at} says: {error}"),
            Event::ClientError(error) if self.is_new(&error.to_string()) => tracing::warn!(broker = name, "NATS at {at}: {error}"),
            other => tracing::debug!(broker = name, "NATS at {at}: {other}"),
        }
    }

    /// Whether the words are others than the last ones, which they are from now on.
    fn is_new(&self, words: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *told != words;
        if is_new {
            words.clone_into(&mut told);
        }
        is_new
    }
}

/// Why there is no connection, and what mends it.
fn refused(urls: &str, error: &ConnectError) -> BrokerError {
    let words = with_causes(error);
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => BrokerError::give_up(format!(
            "NATS at {urls} does not let us in: {words}; check user, password, token, nkey or credentials-file"
        )),
        ConnectErrorKind::Tls => {
            BrokerError::give_up(format!("NATS at {urls}: {words}; check `tls`: what it trusts, and whether it is asked for"))
        }
        _ if words.contains("InvalidContentType") => {
            BrokerError::give_up(format!("NATS at {urls} speaks no TLS: take `tls` out, or let the server speak it"))
        }
        ConnectErrorKind::ServerParse => BrokerError::give_up(format!("url {urls}: {words}; write it like nats://localhost:4222")),
        _ if words.to_lowercase().contains("certificate") => {
            BrokerError::give_up(format!("NATS at {urls} cannot be trusted: {words}; check `tls.ca`"))
        }
        _ if words.to_lowercase().contains("authorization violation") => {
            BrokerError::give_up(format!("NATS at {urls} does not let us in: {words}"))
        }
        _ => BrokerError::reconnect(format!("NATS at {urls} cannot be reached: {words}")),
    }
}

/// An error with its causes, each once.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

/// Urls without what must not be told.
fn shown(urls: &[String]) -> String {
    let hide = |url: &String| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        (None, Some(at)) => url[at + 1..].to_owned(),
        _ => url.clone(),
    };
    urls.iter().map(hide).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fails_the_same_way_again_and_again_is_told_once() {
        let teller = super::Teller::new("default", "nats://a");
        let told = ["refused", "refused", "timed out", "refused", "", "refused"].map(|words| teller.is_new(words));
        assert_eq!(told, [true, false, true, true, true, true]);
    }

    #[test]
    fn a_url_is_told_without_its_password() {
        let urls = ["nats://me:secret@host:4222", "token@other", "nats://plain"].map(String::from);
        assert_eq!(super::shown(&urls), "nats://host:4222, other, nats://plain");
    }
}
