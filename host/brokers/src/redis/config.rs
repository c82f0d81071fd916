//! The keys of a Redis broker: where it is, who we are, how long we wait.

use longshore_core::{BrokerError, Capabilities, Connect, Flag, Span};
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use schemars::JsonSchema;
use serde::Deserialize;

use super::cluster::Nodes;
use super::place::Place;
use super::slots::Address;
use crate::tls::{Files, Tls};

type Result<T> = std::result::Result<T, BrokerError>;

/// A Redis server, one that sentinels watch over, or a cluster.
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
    /// `host:port` of the sentinels that know where the server is now; in place of `url`, `host` and `port`.
    pub sentinels: Vec<String>,
    /// Name under which the sentinels know the server.
    pub sentinel_master: Option<String>,
    /// User of the sentinels, where they have one of their own.
    pub sentinel_username: Option<String>,
    /// Password of the sentinels.
    #[schemars(extend("format" = "secret"))]
    pub sentinel_password: Option<String>,
    /// `host:port` of some nodes of a Redis Cluster, which know the others; in place of `url`, `host`, `port` and `db`.
    pub cluster: Vec<String>,
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

impl Default for Config {
    fn default() -> Self {
        Config {
            url: None,
            host: None,
            port: None,
            db: None,
            username: None,
            password: None,
            sentinels: Vec::new(),
            sentinel_master: None,
            sentinel_username: None,
            sentinel_password: None,
            cluster: Vec::new(),
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

/// What a configuration names.
pub(super) enum Named {
    /// One server, wherever it is.
    One(Place),
    /// A cluster.
    Cluster(Nodes),
}

impl Config {
    /// What it can do of what a kind of broker can: a round has its outputs in it where one server has all topics.
    pub(super) fn able(&self, all: Capabilities) -> Capabilities {
        if self.cluster.is_empty() { all } else { all.without(Flag::Transactions) }
    }

    /// Who we are to the server; empty where sentinels know others of us.
    pub(super) fn user(&self) -> String {
        if self.sentinel_master.is_some() {
            return String::new();
        }
        let of_url = || self.url.as_ref()?.as_str().into_connection_info().ok()?.redis_settings().username().map(str::to_owned);
        self.username.clone().or_else(of_url).unwrap_or_else(|| DEFAULT_USER.into())
    }

    /// Where the server is, or who knows.
    pub(super) fn named(&self, connect: &Connect) -> Result<Named> {
        // Two providers in one process would leave the choice open; whoever was first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if self.pool_size == 0 {
            return Err(bad("pool-size = 0 leaves no connection for commands; use 1 or more"));
        }
        let certificates = certificates(self.tls.files(&connect.folder)?);
        if !self.cluster.is_empty() {
            return self.nodes(certificates).map(Named::Cluster);
        }
        let settings = RedisConnectionInfo::default().set_db(i64::from(self.db.unwrap_or(0)));
        let Some(master) = self.sentinel_master.clone() else {
            if !self.sentinels.is_empty() {
                return Err(bad("sentinels are named, but not the server that they watch over: set sentinel-master"));
            }
            let info = self.signed(self.address(settings)?)?;
            self.tls.refuse_idle(matches!(info.addr(), ConnectionAddr::TcpTls { .. }), "write a url with rediss://")?;
            return Place::fixed(info, certificates).map(Named::One);
        };
        if self.sentinels.is_empty() || self.url.is_some() || self.host.is_some() || self.port.is_some() {
            return Err(bad("sentinel-master needs sentinels, which say where it is: name them in place of url, host and port"));
        }
        self.tls.refuse_idle(self.tls.enabled, "write a url with rediss://")?;
        let node = self.signed(self.found_at("localhost", 6379)?.set_redis_settings(settings))?;
        let sentinels = self.sentinels.iter().map(|text| self.sentinel(text)).collect::<Result<_>>()?;
        Place::watched(sentinels, master, node, certificates).map(Named::One)
    }

    fn nodes(&self, certificates: TlsCertificates) -> Result<Nodes> {
        if self.url.is_some() || self.host.is_some() || self.port.is_some() || self.sentinel_master.is_some() || !self.sentinels.is_empty()
        {
            return Err(bad("cluster names nodes that know the others: take out url, host, port and the sentinels"));
        }
        if self.sentinel_username.is_some() || self.sentinel_password.is_some() {
            return Err(bad("a cluster has no sentinels: take out sentinel-username and sentinel-password"));
        }
        if self.db.is_some_and(|db| db != 0) {
            return Err(bad("a cluster has one database: take out db"));
        }
        self.tls.refuse_idle(self.tls.enabled, "set tls.enabled")?;
        let address = |text: &String| {
            Address::read(text, "")
                .filter(|a| !a.host.is_empty())
                .ok_or_else(|| bad(&format!("cluster: {text:?} is not of the form host:6379")))
        };
        let seeds = self.cluster.iter().map(address).collect::<Result<_>>()?;
        Ok(Nodes { seeds, info: self.signed(self.found_at("localhost", 6379)?)?, certificates })
    }

    fn sentinel(&self, text: &str) -> Result<ConnectionInfo> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| bad(&format!("sentinel {text:?} is not of the form host:26379")))?;
        let info = self.found_at(host, port)?;
        Ok(self.wired(sign(info, self.sentinel_username.as_ref(), self.sentinel_password.as_ref())))
    }

    fn address(&self, settings: RedisConnectionInfo) -> Result<ConnectionInfo> {
        match &self.url {
            Some(_) if self.host.is_some() || self.port.is_some() || self.db.is_some() => {
                Err(bad("both url and host, port or db are set: use one form"))
            }
            Some(url) => {
                url.as_str().into_connection_info().map_err(|_| bad("url is not of the form redis://host:6379/0 or rediss://host:6380/0"))
            }
            None => {
                let info = self.found_at(self.host.as_deref().unwrap_or("localhost"), self.port.unwrap_or(6379))?;
                Ok(info.set_redis_settings(settings))
            }
        }
    }

    fn found_at(&self, host: &str, port: u16) -> Result<ConnectionInfo> {
        let info = (host, port).into_connection_info().map_err(|e| bad(&format!("host {host:?} cannot be used: {e}")))?;
        let addr = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) if self.tls.enabled => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            addr => addr,
        };
        Ok(info.set_addr(addr))
    }

    /// With user, password and what the sockets are told.
    fn signed(&self, info: ConnectionInfo) -> Result<ConnectionInfo> {
        let info = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(bad("url says #insecure, which trusts anybody; set tls.ca")),
            ConnectionAddr::Tcp(host, port) if self.tls.enabled => {
                info.set_addr(ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None })
            }
            _ => info,
        };
        Ok(self.wired(sign(info, self.username.as_ref(), self.password.as_ref())))
    }

    fn wired(&self, info: ConnectionInfo) -> ConnectionInfo {
        let tcp = TcpSettings::default().set_nodelay(true);
        info.set_tcp_settings(if self.tcp_keepalive { tcp.set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE)) } else { tcp })
    }
}

/// Who one is to a server without saying so.
const DEFAULT_USER: &str = "default";

fn bad(what: &str) -> BrokerError {
    BrokerError::give_up(what.to_owned())
}

fn sign(info: ConnectionInfo, user: Option<&String>, password: Option<&String>) -> ConnectionInfo {
    let mut settings = info.redis_settings().clone();
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    info.set_redis_settings(settings)
}

/// Idle time after which the system asks whether the other side is there.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// What the client is told of TLS.
fn certificates(files: Files) -> TlsCertificates {
    let client_tls = files.identity.map(|(cert, key)| ClientTlsConfig { client_cert: cert.bytes, client_key: key.bytes });
    TlsCertificates { client_tls, root_cert: files.ca.map(|ca| ca.bytes) }
}

#[cfg(all(test, feature = "redis-streams"))]
mod tests {
    use longshore_core::Registration;
    use serde_json::json;

    use super::*;
    use crate::redis::streams::Streams;

    #[test]
    fn a_cluster_has_all_that_a_server_has_but_rounds_with_outputs_in_them() {
        let able = |config| Registration::of::<Streams>().configured(&config).capabilities;
        let (one, cluster) = (able(json!({ "url": "redis://a" })), able(json!({ "cluster": ["a:6379"] })));
        assert!(one.has(Flag::Transactions) && !cluster.has(Flag::Transactions));
        assert_eq!(cluster.with(Flag::Transactions), one);
    }
}
