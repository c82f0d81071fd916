//! From `[admin]` to trusted values.

use std::net::{Ipv4Addr, SocketAddr};

use super::assemble::Assembly;
use super::elements;
use super::mistake::Mistake;
use super::node::Node;
use super::path::KeyPath;
use super::secret::Secret;
use super::trusted::AdminConfig;

/// The administration interface. One that listens beyond this machine needs a token.
pub(crate) fn admin(assembly: &mut Assembly<'_>) -> AdminConfig {
    let path = KeyPath::of(["admin"]);
    let node = assembly.tree.get("admin");
    let raw: elements::Admin = node.and_then(|node| assembly.read(node.json(), node, &path)).unwrap_or_default();
    let written = node.and_then(|node| node.get("listen"));
    let listen = address(&raw.listen);
    if let Some(node) = written {
        let key = path.key("listen");
        if listen.is_none() {
            let problem = format!("expected an address and a port, found {:?}", raw.listen);
            assembly.tell(Mistake::new(&key, &node.place, problem).help(r#"write "127.0.0.1:7070", or "0.0.0.0:7070" for all addresses"#));
        } else if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !has_token(assembly.tree) {
            let problem = format!("{} can be reached from other machines, and there is no token", raw.listen);
            assembly.tell(Mistake::new(&key, &node.place, problem).help(r#"add token = "${LONGSHORE_ADMIN_TOKEN}" or token = "file:…""#));
        }
    }
    AdminConfig {
        listen: listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        token: raw.token.map(Secret::new),
        metrics: raw.metrics,
    }
}

/// Whether a token is given. One that was wrong has been told.
fn has_token(tree: &Node) -> bool {
    tree.find(["admin", "token"]).is_some()
}

/// Names are not looked up, but for the one that everybody uses.
fn address(text: &str) -> Option<SocketAddr> {
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().ok()
}
