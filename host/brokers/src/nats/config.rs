//! The keys of a NATS broker: where it is, who we are, how we trust it.

use std::path::{Path, PathBuf};

use async_nats::ConnectOptions;
use longshore_core::{BrokerError, Connect, Span};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::declare::Declare;
use crate::tls::Tls;

/// A NATS server or cluster.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Where the server is; a list of servers for a cluster. `tls://` asks for TLS.
    pub url: Urls,
    /// User name, with `password`.
    pub user: Option<String>,
    /// Password of `user`.
    #[schemars(extend("format" = "secret"))]
    pub password: Option<String>,
    /// Token, in place of user and password.
    #[schemars(extend("format" = "secret"))]
    pub token: Option<String>,
    /// File with a JWT and its seed, as `nsc` writes it; relative to the configuration file.
    pub credentials_file: Option<PathBuf>,
    /// Seed of an nkey.
    #[schemars(extend("format" = "secret"))]
    pub nkey: Option<String>,
    /// Encryption. It is spoken too where the server asks for it.
    pub tls: Tls,
    /// Whether TLS begins before the server has said anything, as it does with the server's `handshake_first`.
    pub handshake_first: bool,
    /// How long connecting may take.
    #[schemars(extend("x-positive" = true))]
    pub connect_timeout: Span,
    /// How long the server may take to answer anything.
    #[schemars(extend("x-positive" = true))]
    pub request_timeout: Span,
    /// Whether streams and consumers that are missing are made (`create`), only looked for and held to what is asked (`passive`), or taken
    /// as they are (`none`).
    pub declare: Declare,
    /// Servers of a cluster that keep a copy of a stream that is made, where its topic does not say.
    #[schemars(extend("x-positive" = true))]
    pub replicas: u8,
    /// JetStream domain, for an account that reaches JetStream through a leaf node.
    pub domain: Option<String>,
}

/// One server or several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Urls {
    /// One.
    One(String),
    /// Servers of one cluster.
    Many(Vec<String>),
}

impl Default for Config {
    fn default() -> Self {
        Config {
            url: Urls::One("nats://localhost:4222".into()),
            user: None,
            password: None,
            token: None,
            credentials_file: None,
            nkey: None,
            tls: Tls::default(),
            handshake_first: false,
            connect_timeout: Span::from_secs(5),
            request_timeout: Span::from_secs(5),
            declare: Declare::Create,
            replicas: 1,
            domain: None,
        }
    }
}

impl Urls {
    /// All of them, for the client.
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Urls::One(url) => vec![url.clone()],
            Urls::Many(urls) => urls.clone(),
        }
    }
}

impl Config {
    /// What the client is told, but for the callbacks.
    pub(super) async fn options(&self, connect: &Connect) -> Result<ConnectOptions, BrokerError> {
        self.check()?;
        let mut options = ConnectOptions::new()
            .name(format!("longshore {}", connect.name))
            .connection_timeout(self.connect_timeout.get())
            .request_timeout(Some(self.request_timeout.get()))
            .require_tls(self.tls.enabled);
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            options = options.user_and_password(user.clone(), password.clone());
        }
        if let Some(token) = &self.token {
            options = options.token(token.clone());
        }
        if let Some(seed) = &self.nkey {
            options = options.nkey(seed.clone());
        }
        if let Some(file) = &self.credentials_file {
            let path = readable(&connect.folder, file, "credentials-file")?;
            let what = |error| BrokerError::give_up(format!("credentials-file {}: {error}", path.display()));
            options = options.credentials_file(&path).await.map_err(what)?;
        }
        let files = self.tls.files(&connect.folder)?;
        if let Some(ca) = files.ca {
            options = options.add_root_certificates(ca.path);
        }
        if let Some((cert, key)) = files.identity {
            options = options.add_client_certificate(cert.path, key.path);
        }
        Ok(if self.handshake_first { options.tls_first() } else { options })
    }

    /// Keys that cannot go together.
    fn check(&self) -> Result<(), BrokerError> {
        let ways = [self.user.is_some(), self.token.is_some(), self.credentials_file.is_some(), self.nkey.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(BrokerError::give_up("user, token, credentials-file and nkey are different ways to say who we are: keep one"));
        }
        if self.user.is_some() != self.password.is_some() {
            return Err(BrokerError::give_up("user and password go together: one of them is missing"));
        }
        let spoken = self.tls.enabled || self.handshake_first || self.url.list().iter().any(|url| url.starts_with("tls://"));
        self.tls.refuse_idle(spoken, "write a url with tls://")?;
        Ok(())
    }
}

/// The path of a file that can be read, or an error that names the key.
fn readable(folder: &Path, file: &Path, key: &str) -> Result<PathBuf, BrokerError> {
    let path = folder.join(file);
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(error) => Err(BrokerError::give_up(format!("{key} {}: {error}", path.display()))),
    }
}
