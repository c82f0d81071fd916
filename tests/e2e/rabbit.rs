//! One RabbitMQ with TLS, users and virtual hosts for all tests that need such: it takes seconds to start.

use std::sync::LazyLock;

use longshore_testkit::servers::tls::Authority;
use longshore_testkit::servers::{RabbitMq, RabbitMqOptions};

/// What the user `host` may configure, write and read in the virtual host `rights`: what the page of RabbitMQ says for `declare = "create"`, with
/// queues alone.
const HOST: [&str; 3] = [r"^(orders|payments|orders\..*)$", r"^amq\.default$", r"^orders(\..*)?$"];

/// The server, and who signed its certificate. `None`: not installed, skip the test.
pub(crate) fn secured() -> Option<(&'static RabbitMq, &'static Authority)> {
    static SHARED: LazyLock<Option<(RabbitMq, Authority)>> = LazyLock::new(|| {
        let authority = Authority::new();
        let options = RabbitMqOptions::default().tls(&authority).virtual_host("locked").virtual_host("rights");
        let options = options.user("host", "secret").permit("host", "rights", HOST);
        let options = options.user("makes-nothing", "secret").permit("makes-nothing", "/", ["^$", ".*", ".*"]);
        let options = options.user("reads-nothing", "secret").permit("reads-nothing", "/", [".*", ".*", "^$"]);
        let options = options.user("writes-nothing", "secret").permit("writes-nothing", "/", [".*", "^$", ".*"]);
        Some((RabbitMq::start(&options)?, authority))
    });
    SHARED.as_ref().map(|(rabbit, authority)| (rabbit, authority))
}
