//! Who may ask, how much at once, and for how long.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::error::{ControlError, Kind};

/// Requests to the API that are worked on at once; more are refused, so that none waits unseen.
pub(crate) const MAX_REQUESTS: usize = 64;
/// Bytes of a request's body.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// How long a request may take: more than the longest wait that a call can ask for, and than publishing with its retries.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(60);

/// What requests to the API must pass.
pub(crate) struct Guard {
    token: Option<String>,
    room: Semaphore,
    max_time: Duration,
}

impl Guard {
    pub(crate) fn new(token: Option<String>) -> Self {
        Guard { token, room: Semaphore::new(MAX_REQUESTS), max_time: MAX_TIME }
    }

    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), ControlError> {
        same_site(method, headers)?;
        match &self.token {
            Some(token) => has_token(headers, token),
            None => local_name(headers),
        }
    }
}

/// Lets through who may ask.
pub(crate) async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.admit(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(no) => no.into_response(),
    }
}

/// Lets through what there is room for, and ends what takes too long.
pub(crate) async fn bound(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let Ok(_room) = guard.room.try_acquire() else {
        return ControlError::new(Kind::Busy, format!("{MAX_REQUESTS} requests are being answered already: try again")).into_response();
    };
    match tokio::time::timeout(guard.max_time, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ControlError::new(Kind::Timeout, format!("no answer within {:?}", guard.max_time)).into_response(),
    }
}

/// The same token, in a time that does not tell how much of it is right.
fn has_token(headers: &HeaderMap, token: &str) -> Result<(), ControlError> {
    let given = headers.get(AUTHORIZATION).and_then(|v| v.as_bytes().strip_prefix(b"Bearer "));
    match given {
        Some(given) if bool::from(given.ct_eq(token.as_bytes())) => Ok(()),
        Some(_) => Err(ControlError::new(Kind::Unauthorized, "the token is not the one in `admin.token`")),
        None => {
            let message = "a token is demanded: send `Authorization: Bearer …` with the value of `admin.token`";
            Err(ControlError::new(Kind::Unauthorized, message))
        }
    }
}

/// Without a token, only names of this machine: another site's page that points its own name at 127.0.0.1 is refused.
fn local_name(headers: &HeaderMap) -> Result<(), ControlError> {
    let host = headers.get(HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback()) {
        return Ok(());
    }
    Err(ControlError::new(Kind::Forbidden, format!("host {host:?} is not this machine: ask for localhost, or set `admin.token`")))
}

/// What changes something must not come from another site's page.
fn same_site(method: &Method, headers: &HeaderMap) -> Result<(), ControlError> {
    let Some(origin) = headers.get(ORIGIN).filter(|_| method != Method::GET) else {
        return Ok(());
    };
    let from = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, host)| host);
    let to = headers.get(HOST).and_then(|v| v.to_str().ok());
    if from.is_some() && from == to {
        return Ok(());
    }
    Err(ControlError::new(Kind::Forbidden, "the request comes from another site's page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(token: Option<&str>, method: Method, headers: &[(&'static str, &str)]) -> Option<Kind> {
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        Guard::new(token.map(Into::into)).admit(&method, &headers).err().map(|e| e.kind)
    }

    #[test]
    fn with_a_token_only_who_has_it() {
        assert_eq!(admit(Some("s"), Method::GET, &[("authorization", "Bearer s"), ("host", "far.example")]), None);
        assert_eq!(admit(Some("s"), Method::GET, &[("authorization", "Bearer t")]), Some(Kind::Unauthorized));
        assert_eq!(admit(Some("s"), Method::GET, &[("authorization", "Bearer ss")]), Some(Kind::Unauthorized));
        assert_eq!(admit(Some("s"), Method::GET, &[("host", "localhost")]), Some(Kind::Unauthorized));
    }

    #[test]
    fn without_a_token_only_names_of_this_machine() {
        for host in ["localhost:7070", "127.0.0.1:7070", "127.0.0.1", "[::1]:7070", "[::1]", "LOCALHOST"] {
            assert_eq!(admit(None, Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example:7070", "localhost.evil.example", "10.0.0.1", ""] {
            assert_eq!(admit(None, Method::GET, &[("host", host)]), Some(Kind::Forbidden), "{host}");
        }
    }

    #[test]
    fn other_sites_pages_change_nothing() {
        let host = ("host", "localhost:7070");
        assert_eq!(admit(None, Method::POST, &[host, ("origin", "http://localhost:7070")]), None);
        assert_eq!(admit(None, Method::POST, &[host]), None);
        assert_eq!(admit(None, Method::POST, &[host, ("origin", "http://evil.example")]), Some(Kind::Forbidden));
        assert_eq!(admit(None, Method::POST, &[host, ("origin", "null")]), Some(Kind::Forbidden));
    }
}
