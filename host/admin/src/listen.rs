//! Where the server listens: bound before anything else starts, so that a taken port is the first thing that a user hears of, and so that
//! a broker which only one process can hold can tell others where to ask.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};

/// Why the server cannot listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Reachable by others, and open to all of them.
    #[error(
        "`admin.listen`: {address} is not a loopback address, so everyone who reaches it could read and change messages: \
         set `admin.token`, or listen on 127.0.0.1"
    )]
    NoToken {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// Somebody else listens there.
    #[error("`admin.listen`: {address} is in use by another process: stop it, or set another port (port 0 takes any free one)")]
    InUse {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// The system refuses.
    #[error("`admin.listen`: cannot listen on {address}: {source}")]
    Refused {
        /// Where it would listen.
        address: SocketAddr,
        /// Its words.
        source: io::Error,
    },
}

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) token: Option<String>,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 takes any free one. Beyond loopback a token, of at least one character, is demanded.
    pub fn bind(address: SocketAddr, token: Option<String>) -> Result<Self, ListenError> {
        let token = token.filter(|t| !t.is_empty());
        if token.is_none() && !is_loopback(address.ip()) {
            return Err(ListenError::NoToken { address });
        }
        let socket = TcpListener::bind(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address },
            _ => ListenError::Refused { address, source },
        })?;
        let refused = |source| ListenError::Refused { address, source };
        socket.set_nonblocking(true).map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Listener { socket, token, address })
    }

    /// Where it listens, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(listen: &str, token: Option<&str>) -> String {
        Listener::bind(listen.parse().unwrap(), token.map(Into::into)).expect_err("a refusal").to_string()
    }

    #[test]
    fn beyond_loopback_a_token_is_demanded() {
        assert!(refusal("0.0.0.0:0", None).contains("admin.token"));
        assert!(refusal("0.0.0.0:0", Some("")).contains("admin.token"));
        Listener::bind("0.0.0.0:0".parse().unwrap(), Some("secret".into())).expect("with a token");
        Listener::bind("127.0.0.1:0".parse().unwrap(), None).expect("on loopback");
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_taken_port_is_told_with_address_and_key() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        assert_ne!(first.address().port(), 0);
        let error = refusal(&first.address().to_string(), None);
        assert!(error.contains(&first.address().to_string()) && error.contains("admin.listen"), "{error}");
    }
}
