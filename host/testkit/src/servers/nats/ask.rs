//! One question to NATS and its answer, for doing to JetStream what somebody else would, without any adapter's client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long the answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Where it is to go.
const INBOX: &str = "_INBOX.longshore-test";

/// What is answered to `payload` on `subject`, by the protocol of clients: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.
///
/// # Errors
/// What is wrong with the connection, or that nobody answers.
pub(super) fn ask(port: u16, subject: &str, payload: &str) -> Result<String, String> {
    exchange(port, subject, payload).map_err(|why| format!("{subject} on port {port}: {why}"))
}

fn exchange(port: u16, subject: &str, payload: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWER))?;
    let connect = r#"CONNECT {"verbose":false,"headers":true,"no_responders":true}"#;
    let question = format!("{connect}\r\nSUB {INBOX} 1\r\nPUB {subject} {INBOX} {}\r\n{payload}\r\n", payload.len());
    connection.write_all(question.as_bytes())?;
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("MSG") => return read(&mut reader, words.last().copied().unwrap_or_default()),
            Some("HMSG") => return Err(io::Error::other("nobody listens there")),
            Some("-ERR") | None => return Err(io::Error::other(line.trim().to_owned())),
            _ => {}
        }
    }
}

fn read(reader: &mut impl Read, length: &str) -> io::Result<String> {
    let length = length.parse().map_err(|_| io::Error::other(format!("not a length: {length}")))?;
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
