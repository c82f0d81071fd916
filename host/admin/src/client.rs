//! The same seam from outside: asks a host over HTTP.

mod http;

use serde::Serialize;

use crate::control::{
    Answer, BrokerControl, DeadLetterControl, GroupControl, HandlerControl, LockControl, MessageControl, StoreControl, TopicControl,
};
use crate::model::{
    Begin, BrokerCapabilities, BrokerStatus, Browse, Count, Created, DeadLetter, DeadLetterFilter, Group, HandlerStatus, Host, InBucket,
    KeyList, Line, Lock, LockList, NewTopic, Paused, Ping, Publish, Published, Received, Redrive, Redriven, Request, SeekGroup, SetValue,
    Sought, Status, Take, Topic, Value,
};
use http::{Call, segment};

/// Asks one host.
#[derive(Debug, Clone)]
pub struct Client {
    http: http::Http,
}

impl Client {
    /// A client of the host at `address` (`host:port`).
    pub fn new(address: impl Into<String>, token: Option<String>) -> Self {
        Client { http: http::Http::new(address.into(), token) }
    }

    /// Who the host is; no broker is asked for it.
    pub fn host(&self) -> Answer<'_, Host> {
        self.http.call(Call::get("host"))
    }

    /// Where it asks.
    pub fn address(&self) -> &str {
        self.http.address()
    }
}

#[derive(Serialize)]
struct OnBroker<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'a str>,
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'a str>,
    after: u64,
    newest: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    wait: String,
}

#[derive(Default, Serialize)]
struct OfStore<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fence: Option<u64>,
}

#[derive(Serialize)]
struct Share<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<&'a str>,
    from: Begin,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    wait: String,
}

fn millis(millis: u64) -> String {
    format!("{millis}ms")
}

impl BrokerControl for Client {
    fn status(&self) -> Answer<'_, Status> {
        self.http.call(Call::get("status"))
    }

    fn brokers(&self) -> Answer<'_, Vec<BrokerStatus>> {
        self.http.call(Call::get("brokers"))
    }

    fn ping<'a>(&'a self, broker: &'a str) -> Answer<'a, Ping> {
        self.http.call(Call::get(format!("brokers/{}/ping", segment(broker))))
    }

    fn capabilities<'a>(&'a self, broker: &'a str) -> Answer<'a, BrokerCapabilities> {
        self.http.call(Call::get(format!("brokers/{}/capabilities", segment(broker))))
    }
}

impl HandlerControl for Client {
    fn handlers(&self) -> Answer<'_, Vec<HandlerStatus>> {
        self.http.call(Call::get("handlers"))
    }

    fn pause<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        self.http.call(Call::post(format!("handlers/{}/pause", segment(name))))
    }

    fn resume<'a>(&'a self, name: &'a str) -> Answer<'a, Paused> {
        self.http.call(Call::post(format!("handlers/{}/resume", segment(name))))
    }
}

impl MessageControl for Client {
    fn publish(&self, publish: Publish) -> Answer<'_, Vec<Published>> {
        self.http.call(Call::post("messages").body(&publish))
    }

    fn browse(&self, browse: Browse) -> Answer<'_, Vec<Received>> {
        let Browse { broker, topic, after, newest, limit, wait_ms } = &browse;
        let part = Part { broker: broker.as_deref(), after: *after, newest: *newest, limit: *limit, wait: millis(*wait_ms) };
        self.http.call(Call::get(format!("topics/{}/messages", segment(topic))).query(&part))
    }

    fn take(&self, take: Take) -> Answer<'_, Vec<Received>> {
        let Take { broker, topic, group, from, limit, wait_ms } = &take;
        let share = Share { broker: broker.as_deref(), from: *from, limit: *limit, wait: millis(*wait_ms) };
        self.http.call(Call::post(format!("topics/{}/groups/{}/take", segment(topic), segment(group))).query(&share))
    }

    fn request(&self, request: Request) -> Answer<'_, Line> {
        self.http.call(Call::post("request").body(&request))
    }
}

impl TopicControl for Client {
    fn topics<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Topic>> {
        self.http.call(Call::get("topics").query(&OnBroker { broker }))
    }

    fn topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, Topic> {
        self.http.call(Call::get(format!("topics/{}", segment(topic))).query(&OnBroker { broker }))
    }

    fn create_topic(&self, topic: NewTopic) -> Answer<'_, Created> {
        self.http.call(Call::post("topics").body(&topic))
    }

    fn delete_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, ()> {
        self.http.call(Call::delete(format!("topics/{}", segment(topic))).query(&OnBroker { broker }))
    }

    fn purge_topic<'a>(&'a self, broker: Option<&'a str>, topic: &'a str) -> Answer<'a, Count> {
        self.http.call(Call::delete(format!("topics/{}/messages", segment(topic))).query(&OnBroker { broker }))
    }
}

impl GroupControl for Client {
    fn groups<'a>(&'a self, broker: Option<&'a str>) -> Answer<'a, Vec<Group>> {
        self.http.call(Call::get("groups").query(&OnBroker { broker }))
    }

    fn group<'a>(&'a self, broker: Option<&'a str>, group: &'a str) -> Answer<'a, Vec<Group>> {
        self.http.call(Call::get(format!("groups/{}", segment(group))).query(&OnBroker { broker }))
    }

    fn seek(&self, seek: SeekGroup) -> Answer<'_, Sought> {
        self.http.call(Call::post("seek").body(&seek))
    }
}

impl DeadLetterControl for Client {
    fn dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Vec<DeadLetter>> {
        self.http.call(Call::get("dlq").query(&filter))
    }

    fn count_dead_letters(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        self.http.call(Call::get("dlq/count").query(&filter))
    }

    fn dead_letter<'a>(&'a self, broker: Option<&'a str>, id: &'a str) -> Answer<'a, DeadLetter> {
        self.http.call(Call::get(format!("dlq/messages/{}", segment(id))).query(&OnBroker { broker }))
    }

    fn redrive(&self, redrive: Redrive) -> Answer<'_, Redriven> {
        self.http.call(Call::post("dlq/redrive").body(&redrive))
    }

    fn discard(&self, filter: DeadLetterFilter) -> Answer<'_, Count> {
        self.http.call(Call::post("dlq/discard").body(&filter))
    }
}

impl StoreControl for Client {
    fn value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, Value> {
        self.http.call(Call::get(value_path(bucket, key)).query(&of_store(bucket)))
    }

    fn set_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str, value: SetValue) -> Answer<'a, ()> {
        self.http.call(Call::post(value_path(bucket, key)).query(&of_store(bucket)).body(&value))
    }

    fn delete_value<'a>(&'a self, bucket: &'a InBucket, key: &'a str) -> Answer<'a, ()> {
        self.http.call(Call::delete(value_path(bucket, key)).query(&of_store(bucket)))
    }

    fn delete_matching<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str) -> Answer<'a, Count> {
        self.http.call(Call::delete(keys_path(bucket)).query(&OfStore { pattern: Some(pattern), ..of_store(bucket) }))
    }

    fn keys<'a>(&'a self, bucket: &'a InBucket, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, KeyList> {
        self.http.call(Call::get(keys_path(bucket)).query(&OfStore { pattern: Some(pattern), cursor, ..of_store(bucket) }))
    }
}

impl LockControl for Client {
    fn locks<'a>(&'a self, store: Option<&'a str>, pattern: &'a str, cursor: Option<&'a str>) -> Answer<'a, LockList> {
        self.http.call(Call::get("locks").query(&OfStore { store, pattern: Some(pattern), cursor, ..OfStore::default() }))
    }

    fn lock<'a>(&'a self, store: Option<&'a str>, name: &'a str) -> Answer<'a, Lock> {
        self.http.call(Call::get(lock_path(name)).query(&OfStore { store, ..OfStore::default() }))
    }

    fn release_lock<'a>(&'a self, store: Option<&'a str>, name: &'a str, fence: Option<u64>) -> Answer<'a, Lock> {
        self.http.call(Call::delete(lock_path(name)).query(&OfStore { store, fence, ..OfStore::default() }))
    }
}

fn lock_path(name: &str) -> String {
    format!("locks/{}", segment(name))
}

fn of_store(bucket: &InBucket) -> OfStore<'_> {
    OfStore { store: bucket.store.as_deref(), ..OfStore::default() }
}

fn keys_path(bucket: &InBucket) -> String {
    format!("stores/{}/{}/keys", bucket.kind.name(), segment(&bucket.bucket))
}

fn value_path(bucket: &InBucket, key: &str) -> String {
    format!("stores/{}/{}/values/{}", bucket.kind.name(), segment(&bucket.bucket), segment(key))
}
