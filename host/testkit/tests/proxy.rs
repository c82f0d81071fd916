//! The fault proxy does to connections what it is told, in front of a plain echo server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use longshore_testkit::proxy::{Direction, Proxy, Traffic};
use tokio::time::Instant;

/// How long something may take that is to happen.
const SOON: Duration = Duration::from_secs(10);
/// How long is waited for something that must not happen.
const NEVER: Duration = Duration::from_millis(200);

/// An echo server, and a proxy in front of it.
fn proxy() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || listener.incoming().flatten().for_each(|client| drop(thread::spawn(move || echo(client)))));
    Proxy::start(port)
}

fn echo(mut client: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        if client.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("it listens");
    client.set_read_timeout(Some(SOON)).expect("a socket");
    client
}

/// Sends `text` and waits for its echo.
fn say(client: &mut TcpStream, text: &str) -> std::io::Result<()> {
    client.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer)?;
    assert_eq!(answer, text.as_bytes());
    Ok(())
}

/// What arrives until the connection ends, and how it ends.
fn rest(client: &mut TcpStream) -> (usize, Option<ErrorKind>) {
    let (mut buffer, mut total) = ([0; 4096], 0);
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return (total, None),
            Ok(length) => total += length,
            Err(why) => return (total, Some(why.kind())),
        }
    }
}

/// Nothing arrives on `client`, and it is not closed.
fn is_silent(client: &mut TcpStream) -> bool {
    client.set_read_timeout(Some(NEVER)).expect("a socket");
    let answer = client.read(&mut [0; 1]);
    client.set_read_timeout(Some(SOON)).expect("a socket");
    answer.is_err_and(|why| matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

#[test]
fn passes_what_both_sides_say_and_counts_connections() {
    let proxy = proxy();
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    say(&mut one, "hello").expect("an echo");
    say(&mut other, &"x".repeat(100_000)).expect("an echo");
    assert_eq!((proxy.accepted(), proxy.open()), (2, 2));
    one.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(rest(&mut one), (0, None), "an end is passed on");
    drop(other);
    wait_until("both are closed", || proxy.open() == 0);
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn cuts_what_is_open_cleanly_and_passes_what_comes() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.existing(Traffic::Cut);
    assert_eq!(rest(&mut client), (0, None));
    say(&mut connect(&proxy), "again").expect("an echo");
}

#[test]
fn cuts_cleanly_also_while_the_client_sends() {
    let proxy = proxy();
    proxy.coming(Traffic::Hang);
    let mut client = connect(&proxy);
    client.write_all(&[b'x'; 10_000]).expect("it goes into buffers");
    proxy.all(Traffic::Cut);
    assert_eq!(rest(&mut client), (0, None));
    assert_eq!(rest(&mut connect(&proxy)), (0, None), "what comes is cut too");
}

#[test]
fn what_has_connected_is_open_before_it_is_accepted() {
    let proxy = proxy();
    for _ in 0..20 {
        let mut client = connect(&proxy);
        proxy.existing(Traffic::Cut);
        assert_eq!(rest(&mut client), (0, None));
    }
}

#[test]
fn resets_what_is_open() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.existing(Traffic::Reset);
    assert_eq!(rest(&mut client), (0, Some(ErrorKind::ConnectionReset)));
    wait_until("it is closed", || proxy.open() == 0);
}

#[test]
fn resets_what_comes_where_it_is_told_and_leaves_what_is_open() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.coming(Traffic::Reset);
    assert_eq!(rest(&mut connect(&proxy)), (0, Some(ErrorKind::ConnectionReset)));
    say(&mut client, "still here").expect("an echo");
}

#[test]
fn refuses_new_connections_until_it_accepts_again() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.refuse();
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    say(&mut client, "still here").expect("an echo");
    proxy.accept();
    say(&mut connect(&proxy), "again").expect("an echo");
}

#[test]
fn hangs_without_closing_and_loses_nothing() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.all(Traffic::Hang);
    client.write_all(b"later").expect("it goes into buffers");
    let mut new = connect(&proxy);
    new.write_all(b"later").expect("it goes into buffers");
    assert!(is_silent(&mut client) && is_silent(&mut new));
    proxy.all(Traffic::Pass);
    for client in [&mut client, &mut new] {
        let mut answer = [0; 5];
        client.read_exact(&mut answer).expect("what was held back");
        assert_eq!(&answer, b"later");
    }
}

#[test]
fn delays_each_way_by_the_same_time_at_any_rate() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    let delay = Duration::from_millis(100);
    proxy.all(Traffic::Delay(delay));
    let start = Instant::now();
    say(&mut client, &"x".repeat(200_000)).expect("an echo");
    let took = start.elapsed();
    assert!(took >= 2 * delay, "{took:?} is less than there and back");
    assert!(took < 10 * delay, "{took:?} for 13 chunks: the delay is paid once, not for each");
}

#[test]
fn slows_to_so_many_bytes_a_second() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    proxy.all(Traffic::Slow(10_000));
    let start = Instant::now();
    say(&mut client, &"x".repeat(5_000)).expect("an echo");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(480), "{took:?} is too fast");
    client.write_all(&[b'x'; 100_000]).expect("it goes into buffers");
    proxy.all(Traffic::Pass);
    let mut answer = vec![0; 100_000];
    client.read_exact(&mut answer).expect("in much less than the ten seconds that it would have taken");
}

#[test]
fn cuts_in_the_middle_of_what_the_server_says() {
    let proxy = proxy();
    let mut client = connect(&proxy);
    say(&mut client, "hello").expect("an echo");
    proxy.existing(Traffic::CutAfter(Direction::ToClient, 7));
    client.write_all(b"0123456789").expect("sent");
    assert_eq!(rest(&mut client), (7, None));
    say(&mut connect(&proxy), "again").expect("an echo");
}

#[test]
fn cuts_in_the_middle_of_what_the_client_says() {
    let proxy = proxy();
    proxy.coming(Traffic::CutAfter(Direction::ToServer, 3));
    let mut client = connect(&proxy);
    client.write_all(b"0123456789").expect("sent");
    let (echoed, end) = rest(&mut client);
    assert!(echoed <= 3 && end.is_none(), "{echoed} bytes were echoed, then {end:?}");
}

#[test]
fn a_client_of_a_server_that_does_not_run_is_told() {
    let proxy = Proxy::start(longshore_testkit::servers::free_port());
    assert_eq!(rest(&mut connect(&proxy)).0, 0);
    wait_until("it is closed", || proxy.open() == 0);
}

#[tokio::test]
async fn it_can_be_told_from_within_a_runtime() {
    let proxy = proxy();
    proxy.all(Traffic::Delay(Duration::from_millis(1)));
    say(&mut connect(&proxy), "hello").expect("an echo, though the test blocks its runtime");
}
