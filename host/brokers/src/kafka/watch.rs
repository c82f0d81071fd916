//! What clients tell by themselves: log lines, and errors that come with no call. A wrong password or an untrusted certificate shows there
//! alone, whatever was asked.

use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::{BrokerError, Fix};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;

use super::trouble;

/// What was told last.
pub(super) struct Watch {
    /// The broker's name in the configuration.
    pub(super) name: String,
    /// Where it is.
    servers: String,
    encrypts: bool,
    last: Mutex<Option<BrokerError>>,
    told: Notify,
}

impl Watch {
    pub(super) fn new(name: &str, servers: String, encrypts: bool) -> Arc<Self> {
        Arc::new(Watch { name: name.into(), servers, encrypts, last: Mutex::default(), told: Notify::new() })
    }

    pub(super) fn log(&self, level: Level, facility: &str, message: &str) {
        let name = &self.name;
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error => tracing::error!(broker = %name, "{facility}: {message}"),
            Level::Warning => tracing::warn!(broker = %name, "{facility}: {message}"),
            Level::Notice | Level::Info => tracing::info!(broker = %name, "{facility}: {message}"),
            Level::Debug => tracing::debug!(broker = %name, "{facility}: {message}"),
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        tracing::debug!(broker = %self.name, "{code}: {reason}");
        // All are down: it says nothing of why, which was told before.
        if code == Code::AllBrokersDown {
            return;
        }
        let mut said = trouble::of_code(&format!("Kafka at {}", self.servers), code);
        said.what = format!("{} ({reason})", said.what);
        let mut last = self.last();
        if last.as_ref().is_none_or(|before| before.fix != Fix::GiveUp) {
            *last = Some(said);
        }
        drop(last);
        self.told.notify_waiters();
    }

    /// What was told last, where a call went unanswered.
    pub(super) fn unanswered(&self, doing: &str) -> BrokerError {
        match self.last().clone() {
            Some(error) => BrokerError { fix: if error.fix == Fix::GiveUp { Fix::GiveUp } else { Fix::Reconnect }, what: error.what },
            // A broker that wants TLS answers with an alert, of which the client tells nothing.
            None => {
                let help = if self.encrypts { "" } else { "; if its brokers want TLS, set `tls.enabled`" };
                BrokerError::reconnect(format!("Kafka at {} does not answer: {doing}{help}", self.servers))
            }
        }
    }

    /// It answers now: what was told before is over.
    pub(super) fn forget(&self) {
        *self.last() = None;
    }

    /// Ends once something was told that only a human mends.
    pub(super) async fn hopeless(&self) -> BrokerError {
        loop {
            let told = self.told.notified();
            if let Some(error) = self.last().clone().filter(|error| error.fix == Fix::GiveUp) {
                return error;
            }
            told.await;
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<BrokerError>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The context of clients that have nothing else to tell.
#[derive(Clone)]
pub(super) struct Quiet(pub(super) Arc<Watch>);

impl ClientContext for Quiet {
    fn log(&self, level: Level, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
