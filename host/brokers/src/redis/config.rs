//! The keys of a Redis broker: where it is, who we are, how long we wait.

use std::path::PathBuf;

use longshore_core::{BrokerError, Connect, Span};
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use schemars::JsonSchema;
use serde::Deserialize;

type Result<T> = std::result::Result<T, BrokerError>;

/// A Redis server.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where it is, as `redis://host:6379/0`, or `rediss://` for TLS; in place of `host`, `port` and `db`. User and password belong into their
    /// own keys.
    pub url: Option<String>,
    /// Its host; `localhost` where neither this nor `url` is said.
    pub host: Option<String>,
    /// Its port; 6379 where nothing is said.
    pub port: Option<u16>,
    /// Its database; 0 where nothing is said.
    pub db: Option<u32>,
    /// User of the server's access control.
    pub username: Option<String>,
    /// Password.
    #[schemars(extend("format" = "secret"))]
    pub password: Option<String>,
    /// Encryption.
    pub tls: Tls,
    /// How long connecting may take.
    #[schemars(extend("x-positive" = true))]
    pub connect_timeout: Span,
    /// How long the server may take to answer a command.
    #[schemars(extend("x-positive" = true))]
    pub response_timeout: Span,
    /// How long the answer to a read that waits may take beyond its wait.
    #[schemars(extend("x-positive" = true))]
    pub io_timeout: Span,
    /// Connections for commands. They are opened when they are needed; reads that wait have their own besides.
    #[schemars(range(min = 1))]
    pub pool_size: usize,
    /// Whether the system looks after idle connections.
    pub tcp_keepalive: bool,
    /// How long a message is lent to a host before another may have it. Hosts that live extend it; after a crash it is the delay.
    #[schemars(extend("x-positive" = true))]
    pub lease: Span,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tls {
    /// Whether TLS is spoken, where `url` does not say so.
    pub enabled: bool,
    /// File with the certificates that are trusted in place of the system's, PEM; relative to the configuration file.
    pub ca: Option<PathBuf>,
    /// File with our certificate, PEM, where the server wants one; with `key`.
    pub cert: Option<PathBuf>,
    /// File with the key of `cert`, PEM.
    pub key: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            host: None,
            port: None,
            db: None,
            username: None,
            password: None,
            tls: Tls::default(),
            connect_timeout: Span::from_secs(5),
            response_timeout: Span::from_secs(5),
            io_timeout: Span::from_secs(5),
            pool_size: 10,
            tcp_keepalive: true,
            lease: Span::from_secs(30),
        }
    }
}

impl Config {
    /// A client that connects nowhere yet, and the address to tell.
    pub(super) fn client(&self, connect: &Connect) -> Result<(redis::Client, String)> {
        // Two providers in one process would leave the choice open; whoever was first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if self.pool_size == 0 {
            return Err(BrokerError::give_up("pool-size = 0 leaves no connection for commands; use 1 or more"));
        }
        let info = self.address()?;
        let shown = info.addr().to_string();
        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let client = if tls { redis::Client::build_with_tls(info, self.tls.certificates(connect)?) } else { redis::Client::open(info) };
        let client = client.map_err(|e| BrokerError::give_up(format!("the configuration of Redis at {shown} cannot be used: {e}")))?;
        Ok((client, shown))
    }

    fn address(&self) -> Result<ConnectionInfo> {
        let bad = |what: &str| BrokerError::give_up(what.to_owned());
        let info = match &self.url {
            Some(_) if self.host.is_some() || self.port.is_some() || self.db.is_some() => {
                return Err(bad("both url and host, port or db are set: use one form"));
            }
            Some(url) => url
                .as_str()
                .into_connection_info()
                .map_err(|_| bad("url is not of the form redis://host:6379/0 or rediss://host:6380/0"))?,
            None => {
                let (host, port) = (self.host.as_deref().unwrap_or("localhost"), self.port.unwrap_or(6379));
                let info = (host, port).into_connection_info().map_err(|e| bad(&format!("host {host:?} cannot be used: {e}")))?;
                info.set_redis_settings(RedisConnectionInfo::default().set_db(i64::from(self.db.unwrap_or(0))))
            }
        };
        let addr = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) if self.tls.enabled => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(bad("url says #insecure, which trusts anybody; set tls.ca")),
            addr => addr,
        };
        let mut settings = info.redis_settings().clone();
        if let Some(user) = &self.username {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        let keepalive = self.tcp_keepalive.then(|| redis::io::tcp::socket2::TcpKeepalive::new().with_time(KEEPALIVE));
        let tcp = keepalive.into_iter().fold(redis::io::tcp::TcpSettings::default().set_nodelay(true), |tcp, k| tcp.set_keepalive(k));
        Ok(info.set_addr(addr).set_redis_settings(settings).set_tcp_settings(tcp))
    }
}

/// Idle time after which the system asks whether the other side is there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(15);

impl Tls {
    fn certificates(&self, connect: &Connect) -> Result<TlsCertificates> {
        let read = |path: &PathBuf| {
            let path = connect.folder.join(path);
            std::fs::read(&path).map_err(|e| BrokerError::give_up(format!("tls: {} cannot be read: {e}", path.display())))
        };
        let client_tls = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
            (None, None) => None,
            _ => return Err(BrokerError::give_up("tls.cert and tls.key belong together: set both or none")),
        };
        Ok(TlsCertificates { client_tls, root_cert: self.ca.as_ref().map(read).transpose()? })
    }
}
