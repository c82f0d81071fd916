//! `wit/` parses, and every item in it says what it is.

use std::path::Path;

use anyhow::Result;
use wit_bindgen_core::wit_parser::{Docs, Resolve, Type, TypeDefKind};

#[test]
fn every_item_of_the_wit_package_is_documented() -> Result<()> {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"))?;
    let mut items = Vec::new();
    for (_, world) in resolve.worlds.iter() {
        items.push((format!("world {}", world.name), &world.docs));
    }
    for (_, interface) in resolve.interfaces.iter() {
        let name = interface.name.clone().unwrap_or_default();
        let functions = interface.functions.values().map(|function| (format!("{name}.{}", function.name), &function.docs));
        items.extend(functions);
        items.push((name, &interface.docs));
    }
    for (_, defined) in resolve.types.iter() {
        // Those without a name are written inside others; those that stand for another of the same name come from a `use`.
        let Some(name) = &defined.name else { continue };
        if !is_alias(&resolve, name, &defined.kind) {
            items.push((name.clone(), &defined.docs));
        }
        items.extend(parts(&defined.kind).into_iter().map(|(part, docs)| (format!("{name}.{part}"), docs)));
    }
    let silent: Vec<_> = items.iter().filter(|(_, docs)| docs.is_empty()).map(|(item, _)| item).collect();
    assert!(items.len() > 100, "only {} items were found", items.len());
    assert!(silent.is_empty(), "without a word: {silent:?}");
    Ok(())
}

fn is_alias(resolve: &Resolve, name: &str, kind: &TypeDefKind) -> bool {
    matches!(kind, TypeDefKind::Type(Type::Id(id)) if resolve.types[*id].name.as_deref() == Some(name))
}

fn parts(kind: &TypeDefKind) -> Vec<(&str, &Docs)> {
    match kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| (field.name.as_str(), &field.docs)).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect(),
        TypeDefKind::Enum(list) => list.cases.iter().map(|case| (case.name.as_str(), &case.docs)).collect(),
        _ => Vec::new(),
    }
}
