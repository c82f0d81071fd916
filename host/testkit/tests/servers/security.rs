//! Users and certificates: who is let in, who is not.

use std::net::TcpStream;

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{Nats, NatsOptions, RabbitMq, RabbitMqOptions, Redis, RedisOptions};

use crate::wire::{amqp_login, connect, encrypt, nats_info, nats_login, redis};

/// Connection.OpenOk, and Connection.Close.
const OPEN_OK: (u16, u16) = (10, 41);
const CLOSE: (u16, u16) = (10, 50);
/// From the documentation of NATS; its seed plays no part here.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

#[test]
fn redis_lets_in_whom_its_users_and_its_authority_name() {
    let authority = Authority::new();
    let options = RedisOptions::default().tls(&authority).user("orders", "secret", "~orders* +@all").password("other");
    let Some(server) = Redis::start(&options) else { return };
    let open = || connect(server.tls_port()).expect("it listens");
    let mut client = encrypt(open(), authority.certificate(), None).expect("a handshake");
    assert!(redis(&mut client, "PING").expect("an answer").starts_with("-NOAUTH"));
    assert!(redis(&mut client, "AUTH orders wrong").expect("an answer").starts_with("-WRONGPASS"));
    assert_eq!(redis(&mut client, "AUTH orders secret").expect("an answer"), "+OK");
    assert_eq!(redis(&mut client, "SET orders:1 x").expect("an answer"), "+OK");
    assert!(redis(&mut client, "SET invoices:1 x").expect("an answer").starts_with("-NOPERM"));
    assert_distrusted(open());
}

#[test]
fn redis_wants_a_certificate_of_clients_where_it_is_told_to() {
    let authority = Authority::new();
    let Some(server) = Redis::start(&RedisOptions::default().tls(&authority).set("tls-auth-clients", "yes")) else { return };
    let (ping, trusted) = ("PING", authority.certificate());
    let as_client = |identity| encrypt(connect(server.tls_port())?, trusted, identity).and_then(|mut client| redis(&mut client, ping));
    assert_eq!(as_client(Some(authority.client("orders"))).expect("an answer"), "+PONG");
    as_client(None).expect_err("no certificate");
    as_client(Some(Authority::new().client("orders"))).expect_err("a certificate of somebody else");
}

#[test]
fn a_certificate_for_elsewhere_is_refused_here() {
    let authority = Authority::new();
    let elsewhere = authority.server_named(&["elsewhere.test"]);
    let certificate = elsewhere.certificate.display().to_string();
    let options = RedisOptions::default().tls(&authority).set("tls-cert-file", &certificate);
    let Some(server) = Redis::start(&options.set("tls-key-file", &elsewhere.key.display().to_string())) else { return };
    let refused = encrypt(connect(server.tls_port()).expect("it listens"), authority.certificate(), None);
    let why = refused.err().expect("another name").to_string();
    assert!(why.contains("elsewhere.test"), "{why}");
}

#[test]
fn rabbitmq_lets_in_whom_its_users_and_its_authority_name() {
    let authority = Authority::new();
    let options = RabbitMqOptions::default().tls(&authority).virtual_host("shop").user("orders", "secret");
    let Some(server) = RabbitMq::start(&options.permit("orders", "shop", ["", "^orders", ".*"])) else { return };
    let open = || connect(server.tls_port()).expect("it listens");
    let login = |user, password, host| {
        let mut client = encrypt(open(), authority.certificate(), None).expect("a handshake");
        amqp_login(&mut client, user, password, host)
    };
    assert_eq!(login("orders", "secret", "shop").expect("an answer"), OPEN_OK);
    assert_eq!(login("guest", "guest", "/").expect("an answer"), OPEN_OK);
    assert_eq!(login("orders", "secret", "/").expect("an answer"), CLOSE, "no right there");
    login("orders", "wrong", "shop").expect_err("a wrong password ends the connection");
    assert_distrusted(open());
}

#[test]
fn nats_lets_in_whom_its_users_and_its_authority_name() {
    let authority = Authority::new();
    let options = NatsOptions::default().tls(&authority).user("orders", "secret", "publish: \"orders.>\"").nkey(NKEY);
    let Some(server) = Nats::start(&options) else { return };
    let open = || {
        let mut connection = connect(server.port()).expect("it listens");
        assert!(nats_info(&mut connection).expect("INFO").contains("\"nonce\""), "it wants a signature of who has an NKey");
        connection
    };
    let login = |who: &str| {
        let mut client = encrypt(open(), authority.certificate(), None).expect("a handshake");
        nats_login(&mut client, who).expect("an answer")
    };
    assert_eq!(login(",\"user\":\"orders\",\"pass\":\"secret\""), "PONG");
    assert_eq!(login(",\"user\":\"orders\",\"pass\":\"wrong\""), "-ERR 'Authorization Violation'");
    assert_eq!(login(""), "-ERR 'Authorization Violation'");
    assert_distrusted(open());
}

#[test]
fn nats_lets_in_who_has_its_token() {
    let Some(server) = Nats::start(&NatsOptions::default().token("secret")) else { return };
    let login = |who: &str| {
        let mut client = connect(server.port()).expect("it listens");
        nats_info(&mut client).expect("INFO");
        nats_login(&mut client, who).expect("an answer")
    };
    assert_eq!(login(",\"auth_token\":\"secret\""), "PONG");
    assert_eq!(login(",\"auth_token\":\"wrong\""), "-ERR 'Authorization Violation'");
}

#[test]
fn nats_wants_a_certificate_of_clients_where_it_is_told_to() {
    let authority = Authority::new();
    let Some(server) = Nats::start(&NatsOptions::default().mutual_tls(&authority)) else { return };
    let login = |identity| {
        let mut connection = connect(server.port())?;
        nats_info(&mut connection)?;
        nats_login(&mut encrypt(connection, authority.certificate(), identity)?, "")
    };
    assert_eq!(login(Some(authority.client("orders"))).expect("an answer"), "PONG");
    login(None).expect_err("no certificate");
}

/// A client that trusts another authority does not believe this server.
pub(crate) fn assert_distrusted(connection: TcpStream) {
    let why = encrypt(connection, Authority::new().certificate(), None).err().expect("not trusted").to_string();
    assert!(why.contains("invalid peer certificate"), "{why}");
}
