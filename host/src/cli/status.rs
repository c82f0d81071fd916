//! `status`: the host, its brokers, its stores and its subscriptions.

use longshore_admin::model::{BrokerStatus, StoreStatus, SubscriptionStatus};

use super::App;
use super::failure::Failure;
use super::handlers::SUBSCRIPTIONS;
use super::output::{Column, Output, json, line, number, text, time};
use super::session::{Need, Session};

/// Shows the host.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: Output,
}

const STORES: [Column<StoreStatus>; 6] = [
    ("store", |s| s.name.clone()),
    ("type", |s| s.kind.clone()),
    ("status", |s| s.status.name().into()),
    ("ping ms#", |s| s.ping_ms.map_or_else(|| "–".into(), |ms| format!("{ms:.1}"))),
    ("dropped#", |s| number(s.dropped)),
    ("error", |s| text(s.error.as_deref())),
];

const BROKERS: [Column<BrokerStatus>; 8] = [
    ("broker", |b| b.name.clone()),
    ("type", |b| b.kind.clone()),
    ("status", |b| b.status.name().into()),
    ("published#", |b| number(b.published)),
    ("consumed#", |b| number(b.consumed)),
    ("messages#", |b| number(b.messages)),
    ("groups#", |b| number(b.groups)),
    ("error", |b| text(b.error.as_deref())),
];

pub(super) async fn run(app: &App<'_>, args: Args) -> Result<(), Failure> {
    let (status, is_host) = Session::with(app, Need::All, async |s| Ok((s.control.status().await?, s.is_host))).await?;
    if args.output.is_json() {
        return json(&serde_json::json!({ "running": is_host, "status": status }));
    }
    let config = text(status.config.as_deref());
    match (is_host, status.ready) {
        (false, _) => line(&format!("no host runs on {config}"))?,
        (true, true) => {
            line(&format!("host {} (process {}) on {config}, since {}, ready", status.version, status.pid, time(Some(status.started_at))))?
        }
        (true, false) => {
            line(&format!(
                "host {} (process {}) on {config}, since {}, not ready:",
                status.version,
                status.pid,
                time(Some(status.started_at))
            ))?;
            status.missing.iter().try_for_each(|what| line(&format!("  {what}")))?;
        }
    }
    line("")?;
    args.output.list(&status.brokers, &BROKERS)?;
    if is_host {
        if !status.stores.is_empty() {
            line("")?;
            args.output.list(&status.stores, &STORES)?;
        }
        line("")?;
        let subscriptions: Vec<SubscriptionStatus> = status.handlers.into_iter().flat_map(|h| h.subscriptions).collect();
        args.output.list(&subscriptions, &SUBSCRIPTIONS)?;
    }
    Ok(())
}
