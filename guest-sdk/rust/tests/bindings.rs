//! The checked-in bindings are what the generator makes of `wit/` today. `BLESS=1 cargo test -p longshore-sdk --test bindings` writes
//! them anew. They carry no docs: nobody reads them there, and a better sentence in `wit/` is no reason to generate again.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wit_bindgen_core::{
    Files, WorldGenerator,
    wit_parser::{Docs, Resolve, TypeDefKind},
};
use wit_bindgen_rust::{Opts, Ownership, WithOption};

/// The interfaces that both worlds import; `job` takes them from the bindings of `batched`.
const SHARED: [&str; 8] = ["types", "publisher", "delivery", "cache", "key-value", "lock", "logging", "config"];

#[test]
fn bindings_are_fresh() -> Result<()> {
    check("batched", Vec::new())?;
    check("job", SHARED.map(from_batched).to_vec())
}

fn from_batched(interface: &str) -> (String, WithOption) {
    let module = interface.replace('-', "_");
    (
        format!("longshore:messaging/{interface}@0.1.0"),
        WithOption::Path(format!("crate::bindings::batched::longshore::messaging::{module}")),
    )
}

fn check(world: &str, with: Vec<(String, WithOption)>) -> Result<()> {
    let fresh = generate(world, with)?;
    let path = root().join(format!("src/bindings/{world}.rs"));
    if std::env::var_os("BLESS").is_some() {
        return std::fs::write(&path, fresh).with_context(|| path.display().to_string());
    }
    let present = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(present == fresh, "{} is stale: run this test with BLESS=1", path.display());
    Ok(())
}

fn generate(world: &str, with: Vec<(String, WithOption)>) -> Result<String> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("../../wit"))?;
    let world_id = resolve.select_world(&[package], Some(world))?;
    strip_docs(&mut resolve);
    let options = Opts {
        format: true,
        ownership: Ownership::Borrowing { duplicate_if_necessary: true },
        runtime_path: Some("wit_bindgen::rt".to_owned()),
        with,
        generate_all: true,
        export_macro_name: Some(format!("export_{world}_world")),
        pub_export_macro: true,
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world_id, &mut files)?;
    let (_, source) = files.iter().next().context("the generator wrote nothing")?;
    Ok(String::from_utf8(source.to_vec())?)
}

fn strip_docs(resolve: &mut Resolve) {
    for (_, interface) in resolve.interfaces.iter_mut() {
        interface.docs = Docs::default();
        interface.functions.values_mut().for_each(|function| function.docs = Docs::default());
    }
    for (_, defined) in resolve.types.iter_mut() {
        defined.docs = Docs::default();
        match &mut defined.kind {
            TypeDefKind::Record(record) => record.fields.iter_mut().for_each(|field| field.docs = Docs::default()),
            TypeDefKind::Variant(variant) => variant.cases.iter_mut().for_each(|case| case.docs = Docs::default()),
            TypeDefKind::Enum(list) => list.cases.iter_mut().for_each(|case| case.docs = Docs::default()),
            _ => {}
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
