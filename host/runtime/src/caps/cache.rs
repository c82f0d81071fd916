//! `cache`: values that may vanish. A call waits for its store on the guest's fiber: no thread waits with it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, KeyPattern, Left};
use wasmtime::component::Resource;

use super::buckets::{self, only, ttl};
use crate::bindings::cache::{Host, HostBucket, Page};
use crate::bindings::types::Error;
use crate::state::State;

/// A bucket that a guest has opened. There is no value of it: a handle says all.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Cached {}

type Handle = Resource<Cached>;

impl State {
    fn cache(&self, handle: &Handle) -> Result<Arc<dyn Bucket>, Error> {
        buckets::bucket(&self.granted.stores.cache, handle)
    }
}

impl Host for State {}

impl HostBucket for State {
    async fn open(&mut self, name: String) -> Result<Handle, Error> {
        buckets::open(&self.granted.stores.cache, &name, "cache")
    }

    async fn get(&mut self, this: Handle, key: String) -> Result<Option<Vec<u8>>, Error> {
        only(self.cache(&this)?.get(&[key]).await?)
    }

    async fn get_many(&mut self, this: Handle, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        Ok(self.cache(&this)?.get(&keys).await?)
    }

    async fn set(&mut self, this: Handle, key: String, value: Vec<u8>, span: Option<u64>) -> Result<(), Error> {
        Ok(self.cache(&this)?.set(&[(key, value)], ttl(span)?).await?)
    }

    async fn set_many(&mut self, this: Handle, entries: Vec<(String, Vec<u8>)>, span: Option<u64>) -> Result<(), Error> {
        Ok(self.cache(&this)?.set(&entries, ttl(span)?).await?)
    }

    async fn add(&mut self, this: Handle, key: String, value: Vec<u8>, span: Option<u64>) -> Result<bool, Error> {
        Ok(self.cache(&this)?.swap(&key, None, &value, ttl(span)?).await?)
    }

    async fn delete(&mut self, this: Handle, key: String) -> Result<bool, Error> {
        Ok(self.cache(&this)?.delete(&[key]).await? > 0)
    }

    async fn delete_matching(&mut self, this: Handle, pattern: String) -> Result<u64, Error> {
        Ok(self.cache(&this)?.delete_matching(&KeyPattern::new(pattern)).await?)
    }

    async fn increment(&mut self, this: Handle, key: String, by: i64, span: Option<u64>) -> Result<i64, Error> {
        Ok(self.cache(&this)?.increment(&key, by, ttl(span)?).await?)
    }

    async fn compare_and_set(
        &mut self,
        this: Handle,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        span: Option<u64>,
    ) -> Result<bool, Error> {
        Ok(self.cache(&this)?.swap(&key, expected.as_deref(), &value, ttl(span)?).await?)
    }

    async fn ttl(&mut self, this: Handle, key: String) -> Result<Option<u64>, Error> {
        match self.cache(&this)?.left(&key).await? {
            Left::Missing => Err(Error::Invalid(format!("there is no {key:?}"))),
            Left::Forever => Ok(None),
            Left::Span(left) => Ok(Some(millis(left))),
        }
    }

    async fn keys(&mut self, this: Handle, pattern: String, cursor: Option<String>) -> Result<Page, Error> {
        let page = self.cache(&this)?.keys(&KeyPattern::new(pattern), cursor.as_deref()).await?;
        Ok(Page { keys: page.keys, next: page.next })
    }

    async fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
