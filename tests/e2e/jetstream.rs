//! Questions to JetStream's API, as the server's own tools ask them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::{Value, json};

use super::host::DEADLINE;

/// Asks something of a server whose user `all` has the password `secret`.
///
/// # Panics
/// When it is refused.
pub(crate) fn ask(port: u16, subject: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let body = body.to_string();
    let user = r#"{"verbose":false,"user":"all","pass":"secret"}"#;
    write!(stream, "CONNECT {user}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n", body.len()).expect("sent");
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).expect("it answers") > 0, "{subject}: no answer");
        if let Some(size) = line.strip_prefix("MSG ").and_then(|rest| rest.trim().rsplit(' ').next()) {
            let mut answer = vec![0; size.parse().expect("a size")];
            lines.read_exact(&mut answer).expect("the whole answer");
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert!(answer["error"].is_null(), "{subject}: {answer}");
            return answer;
        }
    }
}

/// Makes a stream.
pub(crate) fn stream(port: u16, name: &str, keys: Value) {
    let mut config = json!({ "name": name, "storage": "file", "allow_direct": true });
    config.as_object_mut().expect("a table").extend(keys.as_object().expect("a table").clone());
    ask(port, &format!("$JS.API.STREAM.CREATE.{name}"), &config);
}

/// Makes a durable consumer: with explicit acknowledgement, half a minute for it and no end of deliveries, but for what `keys` say.
pub(crate) fn consumer(port: u16, stream: &str, name: &str, keys: Value) {
    let mut config =
        json!({ "durable_name": name, "ack_policy": "explicit", "ack_wait": 30_000_000_000_u64, "max_deliver": -1, "max_ack_pending": -1 });
    config.as_object_mut().expect("a table").extend(keys.as_object().expect("a table").clone());
    let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}");
    ask(port, &subject, &json!({ "stream_name": stream, "config": config }));
}
