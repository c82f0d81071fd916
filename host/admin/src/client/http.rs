//! One call over one connection: small, no pool, no TLS. A host is asked a few times, mostly on the same machine.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::control::Answer;
use crate::error::{ControlError, Kind};
use crate::extract::ErrorBody;

/// How long a connection may take.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// How long an answer may take: more than the host allows itself, so that the host's own "no" comes first.
const ANSWER_TIME: Duration = Duration::from_secs(70);
/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 30;
/// What is escaped in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> impl Display {
    utf8_percent_encode(name, SEGMENT)
}

/// What is asked.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Result<Bytes, String>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Call { method: Method::GET, path: path.into(), body: Ok(Bytes::new()) }
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Call { method: Method::POST, ..Call::get(path) }
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Call { method: Method::DELETE, ..Call::get(path) }
    }

    pub(super) fn query<T: Serialize>(mut self, query: &T) -> Self {
        match serde_urlencoded::to_string(query) {
            Ok(query) if query.is_empty() => {}
            Ok(query) => self.path = format!("{}?{query}", self.path),
            Err(e) => self.body = Err(e.to_string()),
        }
        self
    }

    pub(super) fn body<T: Serialize>(self, body: &T) -> Self {
        Call { body: serde_json::to_vec(body).map(Into::into).map_err(|e| e.to_string()), ..self }
    }
}

/// Where to ask.
#[derive(Debug, Clone)]
pub(super) struct Http {
    address: String,
    token: Option<String>,
}

impl Http {
    pub(super) fn new(address: String, token: Option<String>) -> Self {
        Http { address, token }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks and reads the answer.
    pub(super) fn call<T: DeserializeOwned + Send>(&self, call: Call) -> Answer<'_, T> {
        Box::pin(async move {
            let (status, body) = match tokio::time::timeout(ANSWER_TIME, self.exchange(call)).await {
                Ok(answer) => answer?,
                Err(_) => return Err(self.error(Kind::Timeout, format_args!("no answer within {ANSWER_TIME:?}"))),
            };
            if status.is_success() {
                let body = if body.is_empty() { Bytes::from_static(b"null") } else { body };
                return serde_json::from_slice(&body).map_err(|e| self.error(Kind::Failed, format_args!("cannot read its answer: {e}")));
            }
            match serde_json::from_slice::<ErrorBody>(&body) {
                Ok(no) => Err(no.error),
                Err(_) => Err(self.error(Kind::Failed, format_args!("it answered {status}, so it is probably no Longshore host"))),
            }
        })
    }

    async fn exchange(&self, call: Call) -> Result<(StatusCode, Bytes), ControlError> {
        let unreachable = |e: &dyn Display| self.error(Kind::Unreachable, e);
        let mut request = Request::builder().method(call.method).uri(format!("/api/v1/{}", call.path)).header(HOST, &self.address);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = call.body.map_err(|e| self.error(Kind::Invalid, &e))?;
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(body));
        let request = request.map_err(|e| self.error(Kind::Invalid, &e))?;

        let stream = match tokio::time::timeout(CONNECT_TIME, TcpStream::connect(&self.address)).await {
            Ok(stream) => stream.map_err(|e| unreachable(&e))?,
            Err(_) => return Err(unreachable(&format_args!("no connection within {CONNECT_TIME:?}"))),
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| unreachable(&e))?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await.map_err(|e| unreachable(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|e| unreachable(&e))?;
        Ok((status, body.to_bytes()))
    }

    fn error(&self, kind: Kind, what: impl Display) -> ControlError {
        ControlError::new(kind, format!("host at {}: {what}", self.address))
    }
}
