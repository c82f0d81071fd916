//! A bucket in a file: what is asked, carried to the thread that answers it.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Bucket, Clock, KeyPage, KeyPattern, Left, StoreAnswer, StoreError};
use rusqlite::Connection;

use super::Store;
use super::rows::{Kind, Reading, Writing};
use crate::shelf::{self, Swap};

type Result<T> = std::result::Result<T, StoreError>;

/// One bucket.
pub(super) struct InFile {
    pub(super) file: Arc<Store>,
    pub(super) kind: Kind,
    pub(super) name: Arc<str>,
    pub(super) clock: Clock,
}

impl InFile {
    /// Answers from what stands.
    async fn read<R: Send + 'static>(&self, work: impl FnOnce(&Reading<'_>, &str, u64) -> Result<R> + Send + 'static) -> Result<R> {
        let (kind, name, now) = (self.kind, self.name.clone(), self.clock.now());
        self.file.reader.read(move |connection: &Connection| work(&Reading { connection, kind }, &name, now)).await
    }

    /// Changes rows and answers once that stands.
    async fn write<R, W>(&self, mut work: W) -> Result<R>
    where
        R: Send + 'static,
        W: FnMut(&mut Writing<'_>, &str, u64) -> Result<R> + Send + 'static,
    {
        let (kind, name, now) = (self.kind, self.name.clone(), self.clock.now());
        self.file.write(move |rows| work(&mut rows.writing(kind), &name, now)).await
    }
}

impl Bucket for InFile {
    fn get<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, Vec<Option<Vec<u8>>>> {
        let keys = keys.to_vec();
        Box::pin(self.read(move |rows, name, now| shelf::get(rows, name, &keys, now)))
    }

    fn set<'a>(&'a self, entries: &'a [(String, Vec<u8>)], ttl: Option<Duration>) -> StoreAnswer<'a, ()> {
        let entries = entries.to_vec();
        Box::pin(self.write(move |rows, name, now| shelf::set(rows, name, &entries, ttl, now)))
    }

    fn swap<'a>(&'a self, key: &'a str, expected: Option<&'a [u8]>, value: &'a [u8], ttl: Option<Duration>) -> StoreAnswer<'a, bool> {
        let (key, expected, value) = (key.to_owned(), expected.map(<[u8]>::to_vec), value.to_vec());
        Box::pin(
            self.write(move |rows, name, now| {
                shelf::swap(rows, name, &key, &Swap { expected: expected.as_deref(), value: &value, ttl }, now)
            }),
        )
    }

    fn increment<'a>(&'a self, key: &'a str, by: i64, ttl: Option<Duration>) -> StoreAnswer<'a, i64> {
        let key = key.to_owned();
        Box::pin(self.write(move |rows, name, now| shelf::increment(rows, name, &key, by, ttl, now)))
    }

    fn delete<'a>(&'a self, keys: &'a [String]) -> StoreAnswer<'a, u64> {
        let keys = keys.to_vec();
        Box::pin(self.write(move |rows, name, now| shelf::delete(rows, name, &keys, now)))
    }

    fn left<'a>(&'a self, key: &'a str) -> StoreAnswer<'a, Left> {
        let key = key.to_owned();
        Box::pin(self.read(move |rows, name, now| shelf::left(rows, name, &key, now)))
    }

    fn keys<'a>(&'a self, pattern: &'a KeyPattern, cursor: Option<&'a str>) -> StoreAnswer<'a, KeyPage> {
        let (pattern, cursor) = (pattern.clone(), cursor.map(str::to_owned));
        Box::pin(self.read(move |rows, name, now| shelf::keys(rows, name, &pattern, cursor.as_deref(), now)))
    }
}
