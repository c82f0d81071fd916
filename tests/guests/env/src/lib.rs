//! Reaches for what a sandbox should not give (environment, arguments, files, sockets) and publishes what it got, one output each: the key
//! says what it tried, the payload what came of it.

use std::{fs, net::TcpStream};

use longshore_sdk::{Message, Outgoing};

#[longshore_sdk::handler]
fn handle(_message: &Message) -> Vec<Outgoing> {
    let variables: Vec<_> = std::env::vars().map(|(name, _)| name).collect();
    let arguments: Vec<_> = std::env::args().collect();
    vec![
        saw("environment", format!("{variables:?}")),
        saw("arguments", format!("{arguments:?}")),
        saw("read-file", told(fs::read_to_string("/etc/hostname"))),
        saw("write-file", told(fs::write("/tmp/longshore-sandbox", "here"))),
        saw("list-folder", told(fs::read_dir(".").map(|entries| entries.count()))),
        saw("connect", told(TcpStream::connect("127.0.0.1:80"))),
        saw("resolve", told(TcpStream::connect("localhost:80"))),
    ]
}

fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|error| format!("refused: {error}"), |_| "done".to_owned())
}

fn saw(tried: &str, came: String) -> Outgoing {
    Outgoing::output().key(tried).payload(came)
}
