//! Just enough of Kafka's protocol to be let in and to ask where topics are. <https://kafka.apache.org/protocol>

use std::io;

use crate::wire::Stream;

const METADATA: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;

/// Who is there, and who leads the first partition of the topic that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Number and port.
    pub(crate) brokers: Vec<(i32, u16)>,
    pub(crate) leader: Option<i32>,
}

/// Metadata, version 4.
pub(crate) fn metadata(stream: &mut impl Stream, topic: Option<&str>, may_make: bool) -> io::Result<Metadata> {
    let mut body = i32::from(topic.is_some()).to_be_bytes().to_vec();
    body.extend(topic.iter().flat_map(|topic| string(topic)));
    body.push(u8::from(may_make));
    let answer = ask(stream, METADATA, 4, &body)?;
    let mut fields = Fields(&answer);
    let _throttled = fields.int();
    let mut brokers = Vec::new();
    for _ in 0..fields.int() {
        let (id, _host, port, _rack) = (fields.int(), fields.text(), fields.int(), fields.text());
        brokers.push((id, u16::try_from(port).expect("a port")));
    }
    let (_cluster, _controller) = (fields.text(), fields.int());
    let mut leader = None;
    if fields.int() > 0 {
        let (error, _name, _internal, partitions) = (fields.short(), fields.text(), fields.take(1), fields.int());
        if error == 0 && partitions > 0 {
            let (_error, _index) = (fields.short(), fields.int());
            leader = Some(fields.int()).filter(|leader| *leader >= 0);
        }
    }
    Ok(Metadata { brokers, leader })
}

/// SaslHandshake, version 1, and one SaslAuthenticate, version 0: what the server answers to `first`, or its error code.
pub(crate) fn authenticate(stream: &mut impl Stream, mechanism: &str, first: &[u8]) -> io::Result<Result<Vec<u8>, i16>> {
    let answer = ask(stream, SASL_HANDSHAKE, 1, &string(mechanism).collect::<Vec<u8>>())?;
    assert_eq!(Fields(&answer).short(), 0, "{mechanism} is known");
    let mut body = i32::try_from(first.len()).expect("short").to_be_bytes().to_vec();
    body.extend(first);
    let answer = ask(stream, SASL_AUTHENTICATE, 0, &body)?;
    let mut fields = Fields(&answer);
    let (error, _why) = (fields.short(), fields.text());
    let length = fields.int();
    Ok(if error == 0 { Ok(fields.take(usize::try_from(length).unwrap_or(0)).to_vec()) } else { Err(error) })
}

/// One request and its answer, without their heads.
fn ask(stream: &mut impl Stream, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.extend(api.to_be_bytes());
    request.extend(version.to_be_bytes());
    // Correlation, and no client's name.
    request.extend(1i32.to_be_bytes());
    request.extend((-1i16).to_be_bytes());
    request.extend(body);
    let length = i32::try_from(request.len()).expect("short").to_be_bytes();
    stream.write_all(&[&length[..], &request].concat())?;
    stream.flush()?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4))
}

fn string(text: &str) -> impl Iterator<Item = u8> {
    let length = i16::try_from(text.len()).expect("short").to_be_bytes();
    length.into_iter().chain(text.as_bytes().to_vec())
}

/// What is left of an answer.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two"))
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four"))
    }

    /// A text or none.
    fn text(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.short()).unwrap_or(0);
        self.take(length)
    }
}
