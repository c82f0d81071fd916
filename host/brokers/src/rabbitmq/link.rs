//! One connection to the server, opened when it is needed and again when it was lost. The client's own recovery stays off: it hides which
//! messages a lost connection took with it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::tcp::{AMQPUriTcpExt, RustlsConnector, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use longshore_core::BrokerError;
use tokio::time::Instant;

use super::trouble;

/// Channels with confirms that are kept for the next batch: as many as batches may be under way at once without each making its own. A channel
/// is a few processes of the server's; it allows a connection 2,047 unless it was told otherwise.
const SPARE_CHANNELS: usize = 256;
/// How long a server may forget a durable queue that it has just made, with all that is in it, when it crashes. That Mnesia decided for the
/// transaction is in a log that Erlang writes up to two seconds later; the names of quorum queues are in a file, up to three seconds later.
/// Seen on 3.10.8. <https://www.erlang.org/doc/apps/kernel/disk_log.html> <https://www.erlang.org/doc/apps/stdlib/dets.html>
const UNSURE: Duration = Duration::from_millis(3_100);

/// The user that every server is installed with.
const GUEST: &str = "guest";
/// What is better than to be that one.
pub(super) const MAKE_A_USER: &str =
    "make a user with `rabbitmqctl add_user` and `set_permissions`, and name it under `username` and `password`";

/// Where a connection leads, and as whom. No `Debug`: there is a password in it.
pub(super) struct Address {
    pub(super) uri: AMQPUri,
    /// Who is trusted, where TLS is spoken.
    pub(super) tls: Option<RustlsConnector>,
    pub(super) connect_timeout: Duration,
    /// How long any other answer may take.
    pub(super) patience: Duration,
    /// What the server's tools show.
    pub(super) name: String,
    /// Durable queues that were made over any connection, and from when on a crash of the server cannot take them.
    pub(super) made: Made,
    /// Connections that were opened, as long as somebody uses them.
    pub(super) opened: Mutex<Vec<Weak<Open>>>,
}

/// See [`Address::made`]. Those are taken out that are kept.
pub(super) type Made = Arc<Mutex<HashMap<String, Instant>>>;

/// A connection that is there, or was.
pub(super) struct Open {
    connection: Connection,
    /// Channels with confirms that nobody uses now.
    spare: Mutex<Vec<Channel>>,
    /// How long an answer may take.
    patience: Duration,
    /// An answer did not come.
    is_silent: AtomicBool,
    /// Queues and exchanges that were declared over this connection.
    declared: Mutex<HashSet<String>>,
    made: Made,
}

/// The one connection for a purpose. Whoever needs it first opens it; the lock is held while that is under way and never else.
pub(super) struct Link {
    address: Arc<Address>,
    purpose: &'static str,
    slot: tokio::sync::Mutex<Option<Arc<Open>>>,
}

impl Address {
    /// "host:port", for messages.
    pub(super) fn server(&self) -> String {
        format!("{}:{}", self.uri.authority.host, self.uri.authority.port)
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        lock(&self.opened).iter().filter_map(Weak::upgrade).filter(|open| open.is_usable()).count()
    }

    /// Whether it is the user that everybody knows, away from the server's machine, where RabbitMQ does not let it in unless it was told to.
    /// <https://www.rabbitmq.com/docs/access-control#loopback-users>
    pub(super) fn is_guest_from_afar(&self) -> bool {
        let authority = &self.uri.authority;
        let host = authority.host.trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        authority.userinfo.username == GUEST && !here
    }

    /// An error while connecting, with what helps where it may be that.
    fn as_guest(&self, error: BrokerError, code: Option<u16>) -> BrokerError {
        if code != Some(trouble::code::ACCESS_REFUSED) || !self.is_guest_from_afar() {
            return error;
        }
        BrokerError { what: format!("{}; RabbitMQ lets {GUEST:?} in from its own machine alone: {MAKE_A_USER}", error.what), ..error }
    }

    /// Connects, within the connect timeout.
    pub(super) async fn open(&self, purpose: &str) -> Result<Arc<Open>, BrokerError> {
        let doing = format!("RabbitMQ at {}, vhost {:?}, user {:?}", self.server(), self.uri.vhost, self.uri.authority.userinfo.username);
        let properties = ConnectionProperties::default().with_connection_name(format!("longshore {} {purpose}", self.name).into());
        let runtime = lapin::runtime::default_runtime().map_err(|e| trouble::told(&doing, &e))?;
        let tls = self.tls.clone();
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                // The client's own way trusts the system's authorities too.
                let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
                let stream = plain.connect_with_config_async(TLSConfig::default(), &runtime).await?;
                match &tls {
                    Some(tls) => Ok(stream.into_rustls(tls, &uri.authority.host).await?),
                    None => Ok(stream),
                }
            },
            properties,
        );
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => {
                let (patience, is_silent) = (self.patience, AtomicBool::new(false));
                let (spare, declared, made) = (Mutex::default(), Mutex::default(), Arc::clone(&self.made));
                let open = Arc::new(Open { connection, spare, patience, is_silent, declared, made });
                let mut opened = lock(&self.opened);
                opened.retain(|other| other.strong_count() > 0);
                opened.push(Arc::downgrade(&open));
                Ok(open)
            }
            Ok(Err(error)) => Err(self.as_guest(trouble::told(&doing, &error), trouble::code(&error))),
            Err(_) => Err(BrokerError::reconnect(format!("{doing}: no answer within {:?}", self.connect_timeout))),
        }
    }
}

impl Link {
    pub(super) fn new(address: Arc<Address>, purpose: &'static str) -> Self {
        Link { address, purpose, slot: tokio::sync::Mutex::default() }
    }

    /// The connection, opened anew if it was lost.
    pub(super) async fn get(&self) -> Result<Arc<Open>, BrokerError> {
        let mut slot = self.slot.lock().await;
        if let Some(open) = slot.as_ref().filter(|open| open.is_usable()) {
            return Ok(Arc::clone(open));
        }
        let open = self.address.open(self.purpose).await?;
        *slot = Some(Arc::clone(&open));
        Ok(open)
    }

    /// The connection, if it is open and nobody is about to open another.
    pub(super) fn current(&self) -> Option<Arc<Open>> {
        self.slot.try_lock().ok()?.as_ref().filter(|open| open.is_usable()).map(Arc::clone)
    }

    /// Does not use `open` any more, as it does not answer.
    pub(super) async fn let_go(&self, open: &Arc<Open>) {
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(|there| Arc::ptr_eq(there, open)) {
            *slot = None;
        }
    }

    /// Ends the connection, if there is one.
    pub(super) async fn close(&self) {
        let open = self.slot.lock().await.take();
        if let Some(open) = open {
            open.close().await;
        }
    }
}

impl Open {
    pub(super) fn is_usable(&self) -> bool {
        self.connection.status().connected() && !self.is_silent.load(Ordering::Relaxed)
    }

    /// Waits for an answer, but not for ever: a connection that hangs may be found out later than somebody has to go on. It is not used
    /// again then.
    pub(super) async fn within<T>(&self, answer: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, lapin::Error> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                self.is_silent.store(true, Ordering::Relaxed);
                Err(ErrorKind::MissingHeartbeatError.into())
            }
        }
    }

    /// Whether the server takes nothing now, because of an alarm.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        self.within(self.connection.create_channel()).await.map_err(|e| trouble::told("opening a channel", &e))
    }

    /// A channel with confirms, for one batch alone: which message a server returned can be told only then.
    pub(super) async fn confirming(&self) -> Result<Channel, BrokerError> {
        let spare = lock(&self.spare).pop();
        if let Some(channel) = spare.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.channel().await?;
        self.within(channel.confirm_select(ConfirmSelectOptions::default())).await.map_err(|e| trouble::told("asking for confirms", &e))?;
        Ok(channel)
    }

    /// Takes back a channel on which every confirm has come.
    pub(super) fn keep(&self, channel: Channel) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_CHANNELS && channel.status().connected() {
            spare.push(channel);
        }
    }

    /// Whether it was declared over this connection.
    pub(super) fn has_declared(&self, name: &str) -> bool {
        lock(&self.declared).contains(name)
    }

    pub(super) fn was_declared(&self, name: &str) {
        lock(&self.declared).insert(name.to_owned());
    }

    /// A durable queue was made that was not there before.
    pub(super) fn was_made(&self, name: &str) {
        self.was_declared(name);
        lock(&self.made).insert(name.to_owned(), Instant::now() + UNSURE);
    }

    /// Waits until a crash of the server can take none of these queues: what was confirmed goes with its queue.
    /// It happens once in a queue's life.
    pub(super) async fn until_kept(&self, names: impl IntoIterator<Item = impl AsRef<str>>) {
        let latest = {
            let mut made = lock(&self.made);
            made.retain(|_, kept_at| *kept_at > Instant::now());
            names.into_iter().filter_map(|name| made.get(name.as_ref()).copied()).max()
        };
        if let Some(latest) = latest {
            tokio::time::sleep_until(latest).await;
        }
    }

    pub(super) fn is_gone(&self, name: &str) {
        lock(&self.declared).remove(name);
    }

    /// Whether the server answers over this connection.
    pub(super) async fn ping(&self) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        self.within(channel.close(200, "ping".into())).await.map_err(|e| trouble::told("closing a channel", &e))
    }

    pub(super) async fn close(&self) {
        // It may be lost already, and then there is nothing to close.
        let _ = self.within(self.connection.close(200, "bye".into())).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rabbitmq::config::Config;

    fn address(url: &str) -> Address {
        let uri = Config { url: Some(url.into()), ..Config::default() }.uri().expect("a url");
        let (connect_timeout, patience) = (Duration::from_secs(1), Duration::from_secs(1));
        Address { uri, tls: None, connect_timeout, patience, name: "default".into(), made: Made::default(), opened: Mutex::default() }
    }

    #[test]
    fn a_guest_from_afar_is_told_why_it_is_not_let_in() {
        let told = |url: &str, code| address(url).as_guest(BrokerError::give_up("wrong username or password"), code).what;
        let refused = Some(trouble::code::ACCESS_REFUSED);
        let why = "wrong username or password; RabbitMQ lets \"guest\" in from its own machine alone: make a user";
        assert!(told("amqp://guest:guest@mq.example.com", refused).starts_with(why));
        for (url, code) in [
            ("amqp://guest:guest@localhost", refused),
            ("amqp://guest:guest@127.0.0.1", refused),
            ("amqp://guest:guest@[::1]", refused),
            ("amqp://billing:secret@mq.example.com", refused),
            ("amqp://guest:guest@mq.example.com", Some(trouble::code::NOT_ALLOWED)),
        ] {
            assert_eq!(told(url, code), "wrong username or password", "{url}");
        }
    }
}
