//! Just enough of each protocol to see that a server lets somebody in, or does not.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use longshore_testkit::servers::tls::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const FRAME_END: u8 = 0xCE;
/// A client's properties: a table "capabilities" of its own with "connection.blocked", true.
const CAPABILITIES: [u8; 39] = *b"\x0ccapabilitiesF\x00\x00\x00\x15\x12connection.blockedt\x01";

/// A connection, plain or not.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWER))?;
    Ok(connection)
}

/// Starts TLS on `connection` with a client that trusts the authority in the file `trusted`, and says who it is by `identity`.
pub(crate) fn encrypt(connection: TcpStream, trusted: &Path, identity: Option<Identity>) -> io::Result<impl Stream + use<>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).expect("a certificate")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_file(&identity.certificate).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
            config.with_client_auth_cert(vec![certificate], key).expect("they fit")
        }
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(client, connection);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

/// What a Redis answers to one inline command, up to 256 bytes.
pub(crate) fn redis(stream: &mut impl Stream, command: &str) -> io::Result<String> {
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 256];
    match stream.read(&mut answer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned()),
    }
}

/// Reads the line that a NATS server begins with.
pub(crate) fn nats_info(stream: &mut impl Stream) -> io::Result<String> {
    let info = line(stream)?;
    assert!(info.starts_with("INFO "), "{info}");
    Ok(info)
}

/// Says who it is to a NATS server, in its JSON, and returns what that says to a PING.
pub(crate) fn nats_login(stream: &mut impl Stream, who: &str) -> io::Result<String> {
    stream.write_all(format!("CONNECT {{\"verbose\":false,\"pedantic\":false{who}}}\r\nPING\r\n").as_bytes())?;
    line(stream)
}

/// Logs in to a RabbitMQ by PLAIN and opens a virtual host: `Ok` is the method that answers, Connection.OpenOk if all is well.
pub(crate) fn amqp_login(stream: &mut impl Stream, user: &str, password: &str, host: &str) -> io::Result<(u16, u16)> {
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    assert_eq!(method(stream)?, (10, 10), "Connection.Start");
    let mut start_ok = vec![0, 10, 0, 11];
    start_ok.extend(long(&CAPABILITIES).into_iter().chain(short("PLAIN")));
    let response = format!("\0{user}\0{password}");
    start_ok.extend(long(response.as_bytes()).into_iter().chain(short("en_US")));
    send(stream, 0, &start_ok)?;
    let tune = method(stream)?;
    if tune != (10, 30) {
        return Ok(tune);
    }
    // TuneOk: 2,047 channels, frames of 128 KiB, no heartbeat.
    send(stream, 0, &[0, 10, 0, 31, 7, 255, 0, 2, 0, 0, 0, 0])?;
    let mut open = vec![0, 10, 0, 40];
    open.extend(short(host).into_iter().chain([0, 0]));
    send(stream, 0, &open)?;
    method(stream)
}

/// Publishes an empty message that no queue gets, on a channel of its own. Not confirmed.
pub(crate) fn amqp_publish(stream: &mut impl Stream) -> io::Result<()> {
    send(stream, 1, &[0, 20, 0, 10, 0])?;
    assert_eq!(method(stream)?, (20, 11), "Channel.OpenOk");
    let mut publish = vec![0, 60, 0, 40, 0, 0];
    publish.extend(short("").into_iter().chain(short("nowhere")).chain([0]));
    send(stream, 1, &publish)?;
    frame(stream, HEADER, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// Class and method of the next frame, a method frame.
pub(crate) fn method(stream: &mut impl Stream) -> io::Result<(u16, u16)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    assert_eq!(head[0], METHOD, "a method frame");
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
    let mut payload = vec![0; length + 1];
    stream.read_exact(&mut payload)?;
    Ok((u16::from_be_bytes([payload[0], payload[1]]), u16::from_be_bytes([payload[2], payload[3]])))
}

fn send(stream: &mut impl Stream, channel: u8, arguments: &[u8]) -> io::Result<()> {
    frame(stream, METHOD, channel, arguments)
}

fn frame(stream: &mut impl Stream, kind: u8, channel: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![kind, 0, channel];
    frame.extend(long(payload).into_iter().chain([FRAME_END]));
    stream.write_all(&frame)
}

fn long(bytes: &[u8]) -> Vec<u8> {
    u32::try_from(bytes.len()).expect("short").to_be_bytes().into_iter().chain(bytes.iter().copied()).collect()
}

fn short(text: &str) -> Vec<u8> {
    [u8::try_from(text.len()).expect("short")].into_iter().chain(text.bytes()).collect()
}

fn line(stream: &mut impl Stream) -> io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
