//! A control that remembers what it was asked, and a raw way to speak HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_admin::control::{
    Answer, BrokerControl, DeadLetterControl, GroupControl, HandlerControl, LockControl, MessageControl, StoreControl, TopicControl,
};
use longshore_admin::model::*;
use longshore_admin::{Control, ControlError, Listener, Readiness, Serve, Server};

/// Answers from what it was asked; the broker named `hung` never answers, the one named `panics` panics.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Fake {
    fn answer<T: Send + 'static>(&self, asked: impl std::fmt::Debug, answer: T) -> Answer<'_, T> {
        self.asked.lock().unwrap().push(format!("{asked:?}"));
        Box::pin(async move { Ok(answer) })
    }

    pub(crate) fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

pub(crate) fn line(payload: &str) -> Line {
    Line { payload: Some(payload.into()), ..Line::default() }
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic { name: name.into(), broker: "default".into(), messages: 3, bytes: None, delayed: 0, first: Some(1), last: Some(3), groups: 1 }
}

impl BrokerControl for Fake {
    fn status(&self) -> Answer<'_, Status> {
        let status = Status {
            version: "1".into(),
            pid: 7,
            config: None,
            started_at: 0,
            ready: true,
            missing: vec![],
            brokers: vec![],
            stores: vec![],
            handlers: vec![],
        };
        self.answer("status", status)
    }

    fn brokers(&self) -> Answer<'_, Vec<BrokerStatus>> {
        self.answer("brokers", vec![])
    }

    fn ping<'a>(&'a self, broker: &'a str) -> Answer<'a, Ping> {
        match broker {
            "hung" => Box::pin(std::future::pending()),
            "panics" => Box::pin(async { panic!("on purpose") }),
            "blocks" => Box::pin(async {
                std::thread::sleep(Duration::from_secs(3600));
                unreachable!()
            }),
            _ => self.answer(("ping", broker), Ping { broker: broker.into(), up: true, took_ms: 1.0, error: None }),
        }
    }

    fn capabilities<'a>(&'a self, broker: &'a str) -> Answer<'a, BrokerCapabilities> {
        let flags = vec![("publish".into(), Provided::Broker), ("delay".into(), Provided::Host)];
        self.answer(("capabilities", broker), BrokerCapabilities { broker: Some(broker.into()), kind: "fake".into(), tier: None, flags })
    }
}

impl HandlerControl for Fake {
    fn handlers(&self) -> Answer<'_, Vec<HandlerStatus>> {
        self.answer("handlers", vec![])
    }

    fn pause<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        self.answer(("pause", name), Paused { subscriptions: vec![name.into()], paused: true })
    }

    fn resume<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        self.answer(("resume", name), Paused { subscriptions: vec![name.into()], paused: false })
    }
}

impl MessageControl for Fake {
    fn publish(&self, publish: Publish) -> Answer<'_, Vec<Published>> {
        let answer = |(i, m): (usize, &ToPublish)| match &m.message.payload {
            Some(_) => Published::of(Ok(format!("id-{i}"))),
            None => Published::of(Err(ControlError::unsupported("no tombstones here"))),
        };
        let answers = publish.messages.iter().enumerate().map(answer).collect();
        self.answer(publish, answers)
    }

    fn browse(&self, browse: Browse) -> Answer<'_, Vec<Received>> {
        let received = Received { position: browse.after + 1, message: line("browsed") };
        self.answer(browse, vec![received])
    }

    fn take(&self, take: Take) -> Answer<'_, Vec<Received>> {
        self.answer(take, vec![])
    }

    fn request(&self, request: Request) -> Answer<'_, Line> {
        self.answer(request, line("answered"))
    }
}

impl StoreControl for Fake {
    fn value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, Value> {
        self.answer((bucket, key), Value { key: key.into(), value: Data(vec![0xff]), ttl_ms: Some(7) })
    }

    fn set_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str, value: SetValue) -> Answer<'a, ()> {
        self.answer((bucket, key, value), ())
    }

    fn delete_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, ()> {
        self.answer((bucket, key), ())
    }

    fn delete_matching<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str) -> Answer<'a, Count> {
        self.answer((bucket, pattern), Count { count: 3 })
    }

    fn keys<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, KeyList> {
        self.answer((bucket, pattern, cursor), KeyList { keys: vec!["k".into()], next: Some("n".into()) })
    }
}

pub(crate) fn lock(name: &str) -> Lock {
    let text = |text: &str| text.to_owned();
    Lock { name: name.into(), host: text("a/7"), handler: text("billing"), message: text("m1"), fence: 9, age_ms: 3, left_ms: 5 }
}

impl LockControl for Fake {
    fn locks<'a>(&'a self, store: Option<&'a str>, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, LockList> {
        self.answer((store, pattern, cursor), LockList { locks: vec![lock("l")], next: Some("n".into()) })
    }

    fn lock<'a>(&'a self, store: Option<&'a str>, name: &'a str) -> Answer<'a, Lock> {
        self.answer((store, name), lock(name))
    }

    fn release_lock<'a>(&'a self, store: Option<&'a str>, name: &'a str, fence: Option<u64>) -> Answer<'a, Lock> {
        self.answer((store, name, fence), lock(name))
    }
}

impl TopicControl for Fake {
    fn topics<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Topic>> {
        self.answer(("topics", broker), vec![topic("a")])
    }

    fn topic<'a>(&'a self, broker: Option<&'a str>, name: &'a str) -> Answer<'a, Topic> {
        if name == "missing" {
            return Box::pin(async { Err(ControlError::not_found("no topic \"missing\"")) });
        }
        self.answer(("topic", broker, name), topic(name))
    }

    fn create_topic(&self, topic: NewTopic) -> Answer<'_, Created> {
        self.answer(topic, Created { created: true })
    }

    fn delete_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, ()> {
        self.answer(("delete", broker, topic), ())
    }

    fn purge_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, Count> {
        self.answer(("purge", broker, topic), Count { count: 3 })
    }
}

impl GroupControl for Fake {
    fn groups<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Group>> {
        self.answer(("groups", broker), vec![])
    }

    fn group<'a>(&'a self, broker: Option<&'a str>, group: &'a str) -> Answer<'a, Vec<Group>> {
        self.answer(("group", broker, group), vec![])
    }

    fn seek(&self, seek: SeekGroup) -> Answer<'_, Sought> {
        self.answer(seek, Sought { position: 9 })
    }
}

impl DeadLetterControl for Fake {
    fn dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Vec<DeadLetter>> {
        self.answer(filter, vec![])
    }

    fn count_dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        self.answer(("count", filter), Count { count: 4 })
    }

    fn dead_letter<'a>(&'a self, broker: Option<&'a str>, id: &'a str) -> Answer<'a, DeadLetter> {
        let letter = DeadLetter {
            id: id.into(),
            broker: "default".into(),
            topic: "t".into(),
            position: 1,
            facts: DeadFacts::default(),
            message: line("dead"),
        };
        self.answer(("dead", broker, id), letter)
    }

    fn redrive(&self, redrive: Redrive) -> Answer<'_, Redriven> {
        self.answer(redrive, Redriven { count: 5, skipped: 0 })
    }

    fn discard(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        self.answer(("discard", filter), Count { count: 6 })
    }
}

/// Who it says that it is.
pub(crate) fn who() -> longshore_admin::model::Host {
    longshore_admin::model::Host { version: "1".into(), pid: 7, config: Some("/etc/longshore.toml".into()) }
}

/// A server with a fake behind it, on a runtime of its own for the data plane.
pub(crate) struct Host {
    pub(crate) fake: Arc<Fake>,
    pub(crate) readiness: Readiness,
    pub(crate) server: Server,
    data: Option<tokio::runtime::Runtime>,
}

impl Host {
    pub(crate) fn start(token: Option<&str>) -> Self {
        let host = Host::closed(token);
        host.server.open(Arc::clone(&host.fake) as Arc<dyn Control>, host.data.as_ref().unwrap().handle().clone());
        host
    }

    /// Its API is not open yet.
    pub(crate) fn closed(token: Option<&str>) -> Self {
        let readiness = Readiness::new();
        let metrics: longshore_admin::Metrics = Arc::new(|| "longshore_up 1\n".into());
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), token.map(Into::into)).expect("a free port");
        let server =
            Server::start(listener, Serve { readiness: readiness.clone(), host: who(), metrics: Some(metrics) }).expect("a server");
        let data = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Host { fake: Arc::default(), readiness, server, data: Some(data) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Status and body of one request.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, "", "")
    }

    pub(crate) fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test may have blocked the data plane for good.
        self.data.take().unwrap().shutdown_background();
    }
}
