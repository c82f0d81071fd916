//! The server: health, refusals, bounds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::Host;

fn is_json_error(body: &str, kind: &str) -> bool {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body["error"]["kind"] == kind && body["error"]["message"].is_string()
}

#[test]
fn live_at_once_and_ready_when_nothing_is_missing() {
    let host = Host::closed(None);
    assert_eq!(host.get("/livez"), (200, "ok\n".into()));
    assert_eq!(host.get("/healthz"), (200, "ok\n".into()));
    let need = host.readiness.need("subscription billing/orders: not confirmed yet");
    host.readiness.started();
    let (status, body) = host.get("/readyz");
    assert_eq!((status, body.contains("billing/orders")), (503, true));
    need.met();
    assert_eq!(host.get("/readyz"), (200, r#"{"ready":true,"missing":[]}"#.into()));
    host.readiness.stop();
    assert_eq!(host.get("/readyz").0, 503);
    assert_eq!(host.get("/livez").0, 200);
}

#[test]
fn the_api_says_that_the_host_starts_until_it_is_open() {
    let (status, body) = Host::closed(None).get("/api/v1/status");
    assert_eq!((status, is_json_error(&body, "unreachable")), (503, true), "{body}");
}

#[test]
fn unknown_paths_and_methods_are_json_errors() {
    let host = Host::start(None);
    let (status, body) = host.get("/nowhere");
    assert_eq!((status, is_json_error(&body, "not-found")), (404, true), "{body}");
    let (status, body) = host.ask("POST", "/livez", "", "");
    assert_eq!((status, is_json_error(&body, "method-not-allowed")), (405, true), "{body}");
    let (status, body) = host.ask("PUT", "/api/v1/topics", "", "");
    assert_eq!((status, is_json_error(&body, "method-not-allowed")), (405, true), "{body}");
}

#[test]
fn bad_requests_say_what_was_expected() {
    let host = Host::start(None);
    let check = |method: &str, path: &str, body: &str, status: u16, expected: &str| {
        let (got, answer) = host.ask(method, path, "content-type: application/json\r\n", body);
        assert!(got == status && answer.contains(expected), "{method} {path}: {got} {answer}");
    };
    check("POST", "/api/v1/topics/t/messages", r#"{"payload":7}"#, 400, "expected text");
    check("POST", "/api/v1/topics/t/messages", r#"{"payload":""#, 400, "EOF");
    check("POST", "/api/v1/topics/t/messages?delay=5", r#"{"payload":""}"#, 400, "write a duration");
    check("GET", "/api/v1/topics/t/messages?limit=x", "", 400, "limit");
    check("GET", "/api/v1/topics?brokr=x", "", 400, "brokr");
    check("GET", "/api/v1/topics/missing", "", 404, "not-found");
    check("GET", "/api/v1/brokers/panics/ping", "", 500, "failed");
}

#[test]
fn a_body_without_json_type_is_refused() {
    let (status, body) = Host::start(None).ask("POST", "/api/v1/seek", "content-type: text/plain\r\n", "{}");
    assert_eq!((status, is_json_error(&body, "invalid")), (400, true), "{body}");
}

#[test]
fn one_message_is_published_by_its_topic() {
    let host = Host::start(None);
    let answer =
        host.ask("POST", "/api/v1/topics/a%2Fb/messages?delay=2s", "content-type: application/json\r\n", r#"{"payload":"x","key":"k"}"#);
    assert_eq!(answer, (200, r#"{"id":"id-0"}"#.into()));
    let asked = host.fake.last();
    assert!(asked.contains(r#"topic: Some("a/b")"#) && asked.contains("delay_ms: 2000"), "{asked}");
}

#[test]
fn with_a_token_only_probes_and_the_page_are_open() {
    let host = Host::start(Some("secret"));
    for open in ["/livez", "/healthz", "/", "/api/v1/openapi.json"] {
        assert_eq!(host.get(open).0, 200, "{open}");
    }
    for closed in ["/api/v1/status", "/metrics"] {
        let (status, body) = host.get(closed);
        assert_eq!((status, is_json_error(&body, "unauthorized")), (401, true), "{closed}");
        assert_eq!(host.ask("GET", closed, "authorization: Bearer secreT\r\n", "").0, 401, "{closed}");
        assert_eq!(host.ask("GET", closed, "authorization: Bearer secret\r\n", "").0, 200, "{closed}");
    }
}

#[test]
fn metrics_are_what_the_host_renders() {
    assert_eq!(Host::closed(None).get("/metrics"), (200, "longshore_up 1\n".into()));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let (status, page) = Host::start(None).get("/");
    assert_eq!(status, 200);
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains(" src="));
}

#[test]
fn a_blocked_data_plane_delays_neither_health_nor_metrics() {
    let host = Host::start(None);
    let mut waiting = TcpStream::connect(host.address()).unwrap();
    waiting.write_all(b"GET /api/v1/brokers/blocks/ping HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    host.readiness.started();
    let start = Instant::now();
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(host.get(path).0, 200, "{path}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn waiting_requests_are_bounded_and_health_still_answers() {
    let host = Host::start(None);
    let hang = || {
        let mut stream = TcpStream::connect(host.address()).unwrap();
        stream.write_all(b"GET /api/v1/brokers/hung/ping HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..64).map(|_| hang()).collect();
    // Until all of them are being answered, some of ours may still be let in.
    let deadline = Instant::now() + Duration::from_secs(10);
    while host.get("/api/v1/handlers").0 == 200 {
        assert!(Instant::now() < deadline, "requests are never refused");
    }
    let (status, body) = host.get("/api/v1/handlers");
    assert_eq!((status, is_json_error(&body, "busy")), (503, true), "{body}");
    assert_eq!(host.get("/livez").0, 200);
    assert_eq!(host.get("/metrics").0, 200);
    waiting.clear();
    while host.get("/api/v1/handlers").0 != 200 {
        assert!(Instant::now() < deadline, "gone requests still hold their place");
    }
}

#[test]
fn headers_and_bodies_are_bounded() {
    let host = Host::start(None);
    let many: String = (0..100).map(|i| format!("x-{i}: 1\r\n")).collect();
    assert_eq!(host.raw(&format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{many}\r\n")).0, 431);
    let headers = "POST /api/v1/seek HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{headers}content-length: 99999999999\r\n\r\n").as_bytes()).unwrap();
    let _ = stream.write_all(&vec![b' '; 17 << 20]);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer before the whole body");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn stopping_ends_the_server_within_its_grace() {
    let host = Host::start(None);
    let _idle = TcpStream::connect(host.address()).unwrap();
    let address = host.address();
    let start = Instant::now();
    drop(host);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(TcpStream::connect(address).is_err());
}
