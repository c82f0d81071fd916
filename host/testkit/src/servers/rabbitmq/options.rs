//! How a RabbitMQ is set up, and the files that say so to it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::COOKIE;
use crate::servers::tls::Authority;

/// How a RabbitMQ is set up; by default without plugins and TLS, with the host `/` and the user `guest`, password `guest`, who may do all.
#[derive(Debug, Clone, Default)]
pub struct RabbitMqOptions {
    settings: Vec<(String, String)>,
    plugins: Vec<String>,
    users: Vec<(String, String)>,
    virtual_hosts: Vec<String>,
    permissions: Vec<Value>,
    pub(super) has_tls: bool,
}

impl RabbitMqOptions {
    /// Listens for TLS too, on a port of its own, with a certificate of `authority`. A client may show one of the same authority, and must
    /// after `set("ssl_options.fail_if_no_peer_cert", "true")`.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> RabbitMqOptions {
        let identity = authority.server();
        self.has_tls = true;
        self.set("ssl_options.cacertfile", &authority.certificate().display().to_string())
            .set("ssl_options.certfile", &identity.certificate.display().to_string())
            .set("ssl_options.keyfile", &identity.key.display().to_string())
            .set("ssl_options.verify", "verify_peer")
            .set("ssl_options.fail_if_no_peer_cert", "false")
    }

    /// Adds a virtual host. `guest` has no rights there.
    #[must_use]
    pub fn virtual_host(mut self, name: &str) -> RabbitMqOptions {
        self.virtual_hosts.push(name.to_owned());
        self
    }

    /// Adds a user, without any right.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> RabbitMqOptions {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Gives a user the right to configure, write and read what these expressions match: `permit("orders", "/", ["", "^orders", ".*"])`.
    #[must_use]
    pub fn permit(mut self, user: &str, virtual_host: &str, configure_write_read: [&str; 3]) -> RabbitMqOptions {
        let [configure, write, read] = configure_write_read;
        self.permissions.push(json!({ "user": user, "vhost": virtual_host, "configure": configure, "write": write, "read": read }));
        self
    }

    /// A plugin that is enabled: `rabbitmq_stream`.
    #[must_use]
    pub fn plugin(mut self, name: &str) -> RabbitMqOptions {
        self.plugins.push(name.to_owned());
        self
    }

    /// A line of `rabbitmq.conf`, after ours: `set("channel_max", "64")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> RabbitMqOptions {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes everything that the node reads into `folder`.
    pub(super) fn write(&self, folder: &Path, port: u16, tls_port: Option<u16>) -> io::Result<()> {
        let cookie = folder.join(".erlang.cookie");
        fs::write(&cookie, COOKIE)?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        fs::write(folder.join("enabled_plugins"), format!("[{}].", self.plugins.join(",")))?;
        let definitions = folder.join("definitions.json");
        fs::write(&definitions, self.definitions().to_string())?;
        fs::write(folder.join("rabbitmq.conf"), self.configuration(port, tls_port, &definitions))
    }

    fn configuration(&self, port: u16, tls_port: Option<u16>, definitions: &Path) -> String {
        let mut text = format!(
            "listeners.tcp.default = 127.0.0.1:{port}\nload_definitions = {}\ndisk_free_limit.absolute = 1MB\n\
             vm_memory_high_watermark.absolute = 1GB\nlog.console = true\nlog.console.level = info\nlog.file = false\n",
            definitions.display()
        );
        if let Some(port) = tls_port {
            writeln!(text, "listeners.ssl.default = 127.0.0.1:{port}").expect("a string takes all");
        }
        for (key, value) in &self.settings {
            writeln!(text, "{key} = {value}").expect("a string takes all");
        }
        text
    }

    /// Users and what they may, imported at the start: quicker than a tool, and the node makes none of its own beside them.
    fn definitions(&self) -> Value {
        let guest = ("guest".to_owned(), "guest".to_owned());
        let users = [&guest].into_iter().chain(&self.users).map(|(name, password)| {
            let tags = if name == "guest" { "administrator" } else { "" };
            json!({ "name": name, "password": password, "tags": tags })
        });
        let hosts = ["/"].into_iter().chain(self.virtual_hosts.iter().map(String::as_str)).map(|name| json!({ "name": name }));
        let all = json!({ "user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" });
        let permissions = [all].into_iter().chain(self.permissions.iter().cloned());
        json!({ "users": Value::from_iter(users), "vhosts": Value::from_iter(hosts), "permissions": Value::from_iter(permissions) })
    }
}
