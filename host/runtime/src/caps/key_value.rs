//! `key-value`: values that stay. As `cache`, without times.

use std::sync::Arc;

use longshore_core::{Bucket, KeyPattern};
use wasmtime::component::Resource;

use super::buckets::{self, only};
use crate::bindings::cache::Page;
use crate::bindings::key_value::{Host, HostBucket};
use crate::bindings::types::Error;
use crate::state::State;

/// A bucket that a guest has opened. There is no value of it: a handle says all.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum Kept {}

type Handle = Resource<Kept>;

impl State {
    fn kept(&self, handle: &Handle) -> Result<Arc<dyn Bucket>, Error> {
        buckets::bucket(&self.granted.stores.key_value, handle)
    }
}

impl Host for State {}

impl HostBucket for State {
    async fn open(&mut self, name: String) -> Result<Handle, Error> {
        buckets::open(&self.granted.stores.key_value, &name, "key-value")
    }

    async fn get(&mut self, this: Handle, key: String) -> Result<Option<Vec<u8>>, Error> {
        only(self.kept(&this)?.get(&[key]).await?)
    }

    async fn get_many(&mut self, this: Handle, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        Ok(self.kept(&this)?.get(&keys).await?)
    }

    async fn set(&mut self, this: Handle, key: String, value: Vec<u8>) -> Result<(), Error> {
        Ok(self.kept(&this)?.set(&[(key, value)], None).await?)
    }

    async fn set_many(&mut self, this: Handle, entries: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        Ok(self.kept(&this)?.set(&entries, None).await?)
    }

    async fn add(&mut self, this: Handle, key: String, value: Vec<u8>) -> Result<bool, Error> {
        Ok(self.kept(&this)?.swap(&key, None, &value, None).await?)
    }

    async fn delete(&mut self, this: Handle, key: String) -> Result<bool, Error> {
        Ok(self.kept(&this)?.delete(&[key]).await? > 0)
    }

    async fn delete_matching(&mut self, this: Handle, pattern: String) -> Result<u64, Error> {
        Ok(self.kept(&this)?.delete_matching(&KeyPattern::new(pattern)).await?)
    }

    async fn increment(&mut self, this: Handle, key: String, by: i64) -> Result<i64, Error> {
        Ok(self.kept(&this)?.increment(&key, by, None).await?)
    }

    async fn compare_and_set(&mut self, this: Handle, key: String, expected: Option<Vec<u8>>, value: Vec<u8>) -> Result<bool, Error> {
        Ok(self.kept(&this)?.swap(&key, expected.as_deref(), &value, None).await?)
    }

    async fn keys(&mut self, this: Handle, pattern: String, cursor: Option<String>) -> Result<Page, Error> {
        let page = self.kept(&this)?.keys(&KeyPattern::new(pattern), cursor.as_deref()).await?;
        Ok(Page { keys: page.keys, next: page.next })
    }

    async fn drop(&mut self, _: Handle) -> wasmtime::Result<()> {
        Ok(())
    }
}
