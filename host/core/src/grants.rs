//! What a handler may use: where it may publish, the buckets that it may open and the locks that it may take, each bound to a broker or store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::broker::Publisher;
use crate::capabilities::Capabilities;
use crate::error::PublishError;
use crate::key_pattern::KeyPattern;
use crate::locks::Locks;
use crate::pattern::Pattern;
use crate::store::Bucket;

/// One broker that outputs can leave through.
#[derive(Clone)]
pub struct Outlet {
    /// The broker's name in the configuration.
    pub broker: String,
    /// Its publishing side.
    pub publisher: Arc<dyn Publisher>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Bytes of payload, key and headers that one message may have.
    pub max_message_size: usize,
    /// Messages that left through it, confirmed. All outlets of one broker share it.
    pub published: Arc<AtomicU64>,
}

/// One entry of `publish`: topics that the handler may publish to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Topics on the broker.
    pub topics: Pattern,
    /// The name that the guest says instead, where it was given one.
    pub alias: Option<String>,
    /// Index into [`Outlets::brokers`].
    pub broker: usize,
}

/// All that a handler may publish to.
#[derive(Clone, Default)]
pub struct Outlets {
    /// The brokers that grants name.
    pub brokers: Vec<Outlet>,
    /// The grants, in the order of the configuration.
    pub grants: Vec<Grant>,
    /// Topic of `destination.output`, as a guest would name it.
    pub output: Option<String>,
}

impl Outlets {
    /// The broker (an index into [`brokers`](Self::brokers)) and the broker's own topic for the name that a guest says.
    pub fn find<'a>(&'a self, topic: &'a str) -> Result<(usize, &'a str), PublishError> {
        for grant in &self.grants {
            match &grant.alias {
                Some(alias) if alias == topic => return Ok((grant.broker, grant.topics.as_str())),
                None if grant.topics.matches(topic) => return Ok((grant.broker, topic)),
                _ => {}
            }
        }
        Err(PublishError::Denied(format!("this handler may not publish to {topic:?}: add it to its `publish` list")))
    }
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlets").field("grants", &self.grants).field("output", &self.output).finish_non_exhaustive()
    }
}

/// One bucket that a handler may open.
#[derive(Clone)]
pub struct GrantedBucket {
    /// What the guest calls it.
    pub name: String,
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
}

/// Buckets of one kind that a handler may open, in the order of the configuration.
#[derive(Clone, Default)]
pub struct GrantedBuckets {
    list: Vec<GrantedBucket>,
    by_name: HashMap<String, usize>,
}

impl GrantedBuckets {
    /// These; of two by one name the first.
    pub fn new(list: Vec<GrantedBucket>) -> Self {
        let mut by_name = HashMap::new();
        for (index, granted) in list.iter().enumerate() {
            by_name.entry(granted.name.clone()).or_insert(index);
        }
        GrantedBuckets { list, by_name }
    }

    /// The number of the bucket that a guest calls so.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The bucket of that number.
    pub fn get(&self, index: usize) -> Option<&Arc<dyn Bucket>> {
        self.list.get(index).map(|granted| &granted.bucket)
    }
}

impl fmt::Debug for GrantedBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|granted| &granted.name)).finish()
    }
}

/// Locks that a handler may take: patterns of names in the order of the configuration, each with the locks of its store.
#[derive(Clone, Default)]
pub struct GrantedLocks(Vec<(KeyPattern, Arc<dyn Locks>)>);

impl GrantedLocks {
    /// These.
    pub fn new(list: Vec<(KeyPattern, Arc<dyn Locks>)>) -> Self {
        GrantedLocks(list)
    }

    /// Where a lock of that name is: in the store of the first pattern that means it.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Locks>> {
        self.0.iter().find(|(pattern, _)| pattern.matches(name)).map(|(_, locks)| locks)
    }
}

impl fmt::Debug for GrantedLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(pattern, _)| pattern)).finish()
    }
}

/// All that a handler may use of stores.
#[derive(Debug, Clone, Default)]
pub struct GrantedStores {
    /// Caches.
    pub cache: GrantedBuckets,
    /// Key-value buckets.
    pub key_value: GrantedBuckets,
    /// Locks.
    pub locks: GrantedLocks,
}
