//! `cache` and `kv`: values in the buckets of a store.

use std::time::Duration;

use clap::{Args, Subcommand};
use longshore_admin::control::StoreControl;
use longshore_admin::model::{BucketKind, Data, InBucket, SetValue};

use super::App;
use super::failure::Failure;
use super::output::{Output, json, line};
use super::session::{Need, Session};
use super::times::{millis, span};

/// What to do with values.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a value
    Get(Get),
    /// Set a value
    Set(Set),
    /// Remove a value, or all that match
    Delete(Delete),
    /// List keys
    Keys(Keys),
}

#[derive(Debug, Args)]
struct On {
    /// The bucket
    bucket: String,
    /// The store
    #[arg(long)]
    store: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    on: On,
    /// The key
    key: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    on: On,
    /// The key
    key: String,
    /// The value
    value: String,
    /// When it goes: 1h; only in a cache
    #[arg(long, value_parser = span, value_name = "SPAN")]
    ttl: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    on: On,
    /// The key
    #[arg(required_unless_present = "matching", conflicts_with = "matching")]
    key: Option<String>,
    /// All keys that match; `*` stands for any characters
    #[arg(long, value_name = "PATTERN")]
    matching: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(flatten)]
    on: On,
    /// The keys; `*` stands for any characters
    #[arg(default_value = "*")]
    pattern: String,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(app: &App<'_>, kind: BucketKind, command: Command) -> Result<(), Failure> {
    match command {
        Command::Get(args) => get(app, kind, args).await,
        Command::Set(args) => {
            let value = SetValue { value: Data::from(args.value.as_str()), ttl_ms: args.ttl.map(millis) };
            within(app, kind, args.on, async |control, bucket| Ok(control.set_value(bucket, &args.key, value).await?)).await
        }
        Command::Delete(args) => delete(app, kind, args).await,
        Command::Keys(args) => keys(app, kind, args).await,
    }
}

async fn get(app: &App<'_>, kind: BucketKind, args: Get) -> Result<(), Failure> {
    let value = within(app, kind, args.on, async |control, bucket| Ok(control.value(bucket, &args.key).await?)).await?;
    match args.output.is_json() {
        true => json(&value),
        false => line(&value.value.to_string()),
    }
}

async fn delete(app: &App<'_>, kind: BucketKind, args: Delete) -> Result<(), Failure> {
    let Delete { on, key, matching } = args;
    within(app, kind, on, async |control, bucket| match (&key, &matching) {
        (Some(key), _) => Ok(control.delete_value(bucket, key).await?),
        (None, pattern) => {
            let count = control.delete_matching(bucket, pattern.as_deref().unwrap_or_default()).await?.count;
            line(&format!("{count} removed"))
        }
    })
    .await
}

async fn keys(app: &App<'_>, kind: BucketKind, args: Keys) -> Result<(), Failure> {
    within(app, kind, args.on, async |control, bucket| {
        let mut cursor = None;
        loop {
            let page = control.keys(bucket, &args.pattern, cursor.as_deref()).await?;
            page.keys.iter().try_for_each(|key| if args.output.is_json() { json(key) } else { line(key) })?;
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    })
    .await
}

async fn within<T>(
    app: &App<'_>,
    kind: BucketKind,
    on: On,
    work: impl AsyncFnOnce(&dyn StoreControl, &InBucket) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let bucket = InBucket { store: on.store, kind, bucket: on.bucket };
    let store = bucket.store.clone();
    Session::with(app, Need::Store(store.as_deref()), async |session| work(&*session.control, &bucket).await).await
}
