//! `locks`: who holds what, and letting it go by force.

use clap::{Args, Subcommand};
use longshore_admin::model::Lock;
use longshore_core::Span;

use super::App;
use super::confirm::Confirm;
use super::failure::Failure;
use super::output::{Column, Output, line, text};
use super::session::{Need, Session};

/// What to do with locks.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the locks that are held
    List(List),
    /// End the lease of whoever holds a lock; what it protects must refuse the fence of that one from then on
    Release(Release),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Their names; `*` stands for any characters
    #[arg(default_value = "*")]
    pattern: String,
    /// The store
    #[arg(long)]
    store: Option<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Release {
    /// The lock
    name: String,
    /// The store
    #[arg(long)]
    store: Option<String>,
    /// Only if it is still this grant
    #[arg(long)]
    fence: Option<u64>,
    #[command(flatten)]
    confirm: Confirm,
}

const COLUMNS: [Column<Lock>; 7] = [
    ("name", |l| l.name.clone()),
    ("fence#", |l| l.fence.to_string()),
    ("held for#", |l| span(l.age_ms)),
    ("lease left#", |l| span(l.left_ms)),
    ("host", |l| l.host.clone()),
    ("handler", |l| l.handler.clone()),
    ("message", |l| text(Some(&l.message))),
];

pub(super) async fn run(app: &App<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(app, args).await,
        Command::Release(args) => release(app, args).await,
    }
}

async fn list(app: &App<'_>, args: List) -> Result<(), Failure> {
    let List { pattern, store, output } = args;
    let store = store.as_deref();
    let locks = Session::with(app, Need::Store(store), async |session| {
        let (mut locks, mut cursor) = (Vec::new(), None);
        loop {
            let page = session.control.locks(store, &pattern, cursor.as_deref()).await?;
            locks.extend(page.locks);
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        locks.sort_by(|a: &Lock, b| a.name.cmp(&b.name));
        // A page may have again what the one before had.
        locks.dedup_by(|a, b| a.name == b.name);
        Ok(locks)
    })
    .await?;
    output.list(&locks, &COLUMNS)
}

async fn release(app: &App<'_>, args: Release) -> Result<(), Failure> {
    let Release { name, store, fence, confirm } = args;
    let store = store.as_deref();
    let released = Session::with(app, Need::Store(store), async |session| {
        let held = session.control.lock(store, &name).await?;
        let who = if held.handler.is_empty() { &held.host } else { &held.handler };
        confirm.ask(&format!("{who} has held {name:?} for {}. End that?", span(held.age_ms)))?;
        Ok(session.control.release_lock(store, &name, Some(fence.unwrap_or(held.fence))).await?)
    })
    .await?;
    line(&format!("released {} ({} on {}, fence {})", released.name, released.handler, released.host, released.fence))
}

fn span(millis: u64) -> String {
    Span::from_millis(millis).to_string()
}
