//! Where the server is: at one address, or wherever sentinels say that it is now. Protocol of the sentinels:
//! <https://redis.io/docs/latest/develop/reference/sentinel-clients/>.

use std::time::Duration;

use longshore_core::BrokerError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisError, RedisResult, TlsCertificates, Value};
#[cfg(feature = "redis-pubsub")]
use redis::{ProtocolVersion, aio::AsyncPushSender};

use super::entry::{list, text};
use super::slots::Address;

/// Where the server is, or who knows.
pub(super) struct Place {
    /// For people.
    pub(super) shown: String,
    finding: Finding,
}

enum Finding {
    Fixed(Client),
    Watched { sentinels: Vec<Client>, master: String, node: Box<ConnectionInfo>, certificates: Box<TlsCertificates> },
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// `None`: as long as it takes.
    pub(super) response: Option<Duration>,
}

impl Place {
    /// One address.
    pub(super) fn fixed(info: ConnectionInfo, certificates: TlsCertificates) -> Result<Self, BrokerError> {
        let over = if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) { " over TLS" } else { "" };
        Ok(Place { shown: format!("{}{over}", info.addr()), finding: Finding::Fixed(client(info, certificates)?) })
    }

    /// One node of a cluster, with everything but the address from `info`.
    pub(super) fn at(info: &ConnectionInfo, address: &Address, certificates: &TlsCertificates) -> Result<Self, BrokerError> {
        let addr = moved(info.addr(), address.host.clone(), address.port);
        Place::fixed(info.clone().set_addr(addr), certificates.clone())
    }

    /// The server that sentinels know as `master`, with everything but the address from `node`.
    pub(super) fn watched(
        sentinels: Vec<ConnectionInfo>,
        master: String,
        node: ConnectionInfo,
        certificates: TlsCertificates,
    ) -> Result<Self, BrokerError> {
        let sentinels = sentinels.into_iter().map(|info| client(info, certificates.clone())).collect::<Result<_, _>>()?;
        let (node, certificates) = (Box::new(node), Box::new(certificates));
        Ok(Place { shown: format!("sentinels' {master:?}"), finding: Finding::Watched { sentinels, master, node, certificates } })
    }

    /// Connects to the server, where it is now.
    pub(super) async fn connect(&self, patience: Patience) -> RedisResult<MultiplexedConnection> {
        self.find(patience, |client| Ok(client.clone()), patience.settings()).await
    }

    /// The same for a connection over which the server sends messages by itself, which `pushed` is given as they come. Protocol:
    /// <https://redis.io/docs/latest/develop/reference/protocol-spec/#pushes>.
    #[cfg(feature = "redis-pubsub")]
    pub(super) async fn listen(&self, patience: Patience, pushed: impl AsyncPushSender) -> RedisResult<MultiplexedConnection> {
        self.find(patience, with_pushes, patience.settings().set_push_sender(pushed)).await
    }

    async fn find(
        &self,
        patience: Patience,
        prepared: fn(&Client) -> RedisResult<Client>,
        settings: AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        let (sentinels, master, node, certificates) = match &self.finding {
            Finding::Fixed(client) => return prepared(client)?.get_multiplexed_async_connection_with_config(&settings).await,
            Finding::Watched { sentinels, master, node, certificates } => (sentinels, master, node, certificates),
        };
        let mut trouble = gone("no sentinel was asked".into());
        for sentinel in sentinels {
            match address(sentinel, master, patience.connect).await {
                Ok((host, port)) => {
                    let info = node.as_ref().clone().set_addr(moved(node.addr(), host, port));
                    let client = client(info, certificates.as_ref().clone()).map_err(|e| gone(e.what))?;
                    return open_master(&prepared(&client)?, &settings).await;
                }
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }
}

fn client(info: ConnectionInfo, certificates: TlsCertificates) -> Result<Client, BrokerError> {
    let shown = info.addr().to_string();
    let client = match info.addr() {
        ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, certificates),
        _ => Client::open(info),
    };
    client.map_err(|e| BrokerError::give_up(format!("the configuration of Redis at {shown} cannot be used: {e}")))
}

impl Patience {
    fn settings(self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect)).set_response_timeout(self.response)
    }
}

/// The same server in the protocol in which it may send by itself.
#[cfg(feature = "redis-pubsub")]
fn with_pushes(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// A sentinel may be behind: what is no master takes nothing from us.
async fn open_master(client: &Client, settings: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let mut connection = client.get_multiplexed_async_connection_with_config(settings).await?;
    let role: Value = redis::cmd("ROLE").query_async(&mut connection).await?;
    match list(&role).first().and_then(text) {
        Some("master") => Ok(connection),
        role => Err(gone(format!("the server that the sentinels name is {} now", role.unwrap_or("nothing known")))),
    }
}

async fn address(sentinel: &Client, master: &str, timeout: Duration) -> RedisResult<(String, u16)> {
    let settings = Patience { connect: timeout, response: Some(timeout) }.settings();
    let mut connection = sentinel.get_multiplexed_async_connection_with_config(&settings).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("get-master-addr-by-name").arg(master);
    let answer: Option<(String, u16)> = command.query_async(&mut connection).await?;
    answer.ok_or_else(|| gone(format!("the sentinel at {} knows no master {master:?}", sentinel.get_connection_info().addr())))
}

fn moved(addr: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match addr {
        ConnectionAddr::TcpTls { .. } => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

/// An error that says that nobody is there.
pub(super) fn gone(what: String) -> RedisError {
    std::io::Error::new(std::io::ErrorKind::NotConnected, what).into()
}
