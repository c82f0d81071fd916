//! `inspect`: what a component is, what it imports, and what it has to be granted.

use std::path::PathBuf;

use longshore_runtime::{Module, Runtime, Settings, World};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Column, Output, json};

/// Shows a component.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component's file
    wasm: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What a component is.
#[derive(Debug, Serialize)]
struct Inspected {
    file: PathBuf,
    world: String,
    name: Option<String>,
    version: Option<String>,
    digest: String,
    size: u64,
    imports: Vec<String>,
    /// Keys of the handler's table that what it imports is governed by.
    grants: Vec<&'static str>,
}

const ROWS: [Column<Inspected>; 8] = [
    ("file", |i| i.file.display().to_string()),
    ("world", |i| i.world.clone()),
    ("name", |i| super::output::text(i.name.as_deref())),
    ("version", |i| super::output::text(i.version.as_deref())),
    ("digest", |i| format!("sha256:{}", i.digest)),
    ("size", |i| format!("{} bytes", i.size)),
    ("imports", |i| listed(&i.imports)),
    ("grants", |i| listed(&i.grants)),
];

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let size = std::fs::metadata(&args.wasm).map_err(|e| Failure::not_found(format!("{}: {e}", args.wasm.display())))?.len();
    let runtime = Runtime::new(&Settings::default()).map_err(|e| Failure::failed(e.to_string()))?;
    let module = runtime.load(&args.wasm).map_err(|e| Failure::usage(e.to_string()))?;
    let inspected = Inspected {
        world: module.world().to_string(),
        name: module.name().map(Into::into),
        version: module.version().map(Into::into),
        digest: module.digest().to_string(),
        size,
        imports: module.imports().to_vec(),
        grants: grants(&module),
        file: args.wasm,
    };
    if args.output.is_json() { json(&inspected) } else { args.output.one(&inspected, &ROWS) }
}

/// Which keys of the configuration govern what the component imports. Several toolchains import every interface, used or not, so that a
/// grant named here may not be needed; one not named here never is.
pub(super) fn grants(module: &Module) -> Vec<&'static str> {
    const KEYS: [(&str, &str); 5] = [
        ("longshore:messaging/publisher", "publish = [\"topic\"], for each topic that it sends to at once"),
        ("longshore:messaging/cache", "stores = { cache = [\"bucket\"] }"),
        ("longshore:messaging/key-value", "stores = { key-value = [\"bucket\"] }"),
        ("longshore:messaging/lock", "stores = { locks = [\"name\"] }"),
        ("longshore:messaging/config", "config = { key = \"value\" }"),
    ];
    // What a handler answers to publish needs no import.
    let answers = (module.world() != World::Job).then_some("publish = [\"topic\"], for each topic that it answers a message to");
    let imported = |name: &str| module.imports().iter().any(|i| i.split('@').next() == Some(name));
    answers.into_iter().chain(KEYS.into_iter().filter(|(name, _)| imported(name)).map(|(_, key)| key)).collect()
}

fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => "none".into(),
        _ => items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\n             "),
    }
}
