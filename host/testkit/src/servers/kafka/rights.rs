//! Giving users rights, as an administrator does. <https://kafka.apache.org/protocol>

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::Kafka;
use crate::servers::patience;

const DESCRIBE_ACLS: i16 = 29;
const CREATE_ACLS: i16 = 30;
/// The last version of both without compact fields.
const VERSION: i16 = 1;
/// In a filter.
const ANY: u8 = 1;
const ALLOW: u8 = 3;
/// How long a right may take to be in force.
const SOON: Duration = Duration::from_secs(10);

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The topic of that name.
    Topic(&'a str),
    /// All topics that begin so.
    Topics(&'a str),
    /// The group of that name.
    Group(&'a str),
    /// All transactional ids that begin so.
    Transactions(&'a str),
}

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "Kafka's own words")]
#[repr(u8)]
pub enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    DescribeConfigs = 10,
    AlterConfigs = 11,
}

impl Kafka {
    /// Gives a user rights, and waits until they are in force.
    ///
    /// # Panics
    /// When the server does not take them: it was started without [`KafkaOptions::with_rights`](super::KafkaOptions::with_rights).
    pub fn permit(&self, user: &str, resource: Resource<'_>, operations: &[Operation]) {
        for operation in operations {
            let mut right = resource.field();
            right.extend([string(&format!("User:{user}")), string("*"), vec![*operation as u8, ALLOW]].concat());
            let answer = self.ask(CREATE_ACLS, &[&1i32.to_be_bytes()[..], &right].concat()).expect("an answer");
            // Behind the time of throttling and the count: an error, and its words.
            assert_eq!(answer[8..10], [0, 0], "{}", String::from_utf8_lossy(&answer));
            let mut filter = resource.field();
            filter.extend([string(&format!("User:{user}")), string("*"), vec![*operation as u8, ANY]].concat());
            let told = || if self.tells(&filter) { Ok(()) } else { Err(format!("{operation:?} of {user:?} is not in force")) };
            patience::wait(SOON, told).unwrap_or_else(|why| panic!("{why}"));
        }
    }

    /// Whether there is a right of that kind.
    fn tells(&self, filter: &[u8]) -> bool {
        let answer = self.ask(DESCRIBE_ACLS, filter).expect("an answer");
        // Behind the time of throttling: an error and its words, none as a rule, and the count.
        answer[4..6] == [0, 0] && answer[8..12] != [0; 4]
    }

    /// One request over the port of whom nothing is forbidden, and its answer behind the head.
    fn ask(&self, api: i16, body: &[u8]) -> io::Result<Vec<u8>> {
        // Correlation, and no client's name.
        let head = [&api.to_be_bytes()[..], &VERSION.to_be_bytes(), &1i32.to_be_bytes(), &(-1i16).to_be_bytes()].concat();
        let length = u32::try_from(head.len() + body.len()).expect("short").to_be_bytes();
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()))?;
        connection.set_read_timeout(Some(SOON))?;
        connection.write_all(&[&length[..], &head, body].concat())?;
        let mut length = [0; 4];
        connection.read_exact(&mut length)?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut answer)?;
        Ok(answer.split_off(4))
    }
}

impl Resource<'_> {
    /// Kind, name and whether the name is whole.
    fn field(&self) -> Vec<u8> {
        const TOPIC: u8 = 2;
        const GROUP: u8 = 3;
        const TRANSACTIONAL_ID: u8 = 5;
        const LITERAL: u8 = 3;
        const PREFIXED: u8 = 4;
        let (kind, name, pattern) = match self {
            Resource::Topic(name) => (TOPIC, name, LITERAL),
            Resource::Topics(name) => (TOPIC, name, PREFIXED),
            Resource::Group(name) => (GROUP, name, LITERAL),
            Resource::Transactions(name) => (TRANSACTIONAL_ID, name, PREFIXED),
        };
        [vec![kind], string(name), vec![pattern]].concat()
    }
}

fn string(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).expect("short").to_be_bytes()[..], text.as_bytes()].concat()
}
