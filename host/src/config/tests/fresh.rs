//! The generated files under `reference/` are those that the source makes. `UPDATE=1` writes them again.

use std::fs;
use std::path::Path;

use longshore_brokers::ADAPTERS;

use crate::config::{environment, markdown, schema_text};

/// Adapters of a build with all features: others make other files.
const ALL: usize = 9;

fn check(name: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(name);
    if environment("UPDATE").is_some() {
        fs::write(&file, made).expect("the reference folder is there");
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == made, "{} is stale: run this test with UPDATE=1", file.display());
}

#[test]
fn the_schema_and_the_reference_page_are_fresh() {
    if ADAPTERS.len() == ALL {
        check("longshore.schema.json", &schema_text(ADAPTERS));
        check("configuration.md", &markdown(ADAPTERS));
    }
}
