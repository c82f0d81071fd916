//! One command to a Redis and its reply, for setting servers up and looking at them without any adapter's client.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long one reply may take.
const REPLY: Duration = Duration::from_secs(5);

/// The strings and numbers of the reply to `command`, nested lists one after another; a null is no string.
///
/// # Errors
/// The server's error, without its dash, or what is wrong with the connection.
pub(super) fn ask(port: u16, command: &[&str]) -> Result<Vec<String>, String> {
    exchange(port, command).unwrap_or_else(|why| Err(format!("port {port}: {why}")))
}

fn exchange(port: u16, command: &[&str]) -> io::Result<Result<Vec<String>, String>> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(REPLY))?;
    let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    connection.write_all(format!("*{}\r\n{words}", command.len()).as_bytes())?;
    let mut strings = Vec::new();
    Ok(reply(&mut BufReader::new(connection), &mut strings)?.map(|()| strings))
}

/// Reads one value in the second version of the protocol.
fn reply(reader: &mut impl BufRead, strings: &mut Vec<String>) -> io::Result<Result<(), String>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::UnexpectedEof)?;
    match kind {
        "-" => return Ok(Err(rest.to_owned())),
        "+" | ":" => strings.push(rest.to_owned()),
        "$" | "*" if rest == "-1" => {}
        "$" => {
            let mut bytes = vec![0; number(rest)? + "\r\n".len()];
            reader.read_exact(&mut bytes)?;
            strings.push(String::from_utf8_lossy(&bytes[..bytes.len() - "\r\n".len()]).into_owned());
        }
        "*" => {
            for _ in 0..number(rest)? {
                // An error within a list is a string of it.
                reply(reader, strings)?.unwrap_or_else(|error| strings.push(error));
            }
        }
        _ => return Err(io::Error::other(format!("not a reply: {line}"))),
    }
    Ok(Ok(()))
}

fn number(text: &str) -> io::Result<usize> {
    text.parse().map_err(|_| io::Error::other(format!("not a length: {text}")))
}
