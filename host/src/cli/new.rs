//! `new`: a handler's project that builds, tests and runs as it is.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::failure::Failure;
use super::output::line;

/// The SDK of the checkout that this binary was built from, as long as none is published.
const SDK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/rust");

/// Files of the Rust project: where, and what with `{{…}}` to fill in.
const RUST: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../templates/rust/lib.rs.txt")),
    ("cases/names.toml", include_str!("../../templates/rust/cases.toml.txt")),
    ("longshore.toml", include_str!("../../templates/rust/longshore.toml.txt")),
    ("README.md", include_str!("../../templates/rust/README.md.txt")),
    (".gitignore", include_str!("../../templates/rust/gitignore.txt")),
];

/// Makes a handler's project in a folder of its name.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name; a path makes it elsewhere
    name: PathBuf,
    /// The handler's language
    #[arg(long, value_enum, default_value_t)]
    lang: Language,
}

/// Languages that there is a template for.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Language {
    /// Rust
    #[default]
    Rust,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let name = args.name.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    check(name)?;
    let sdk = Path::new(SDK).canonicalize().map_err(|e| {
        Failure::failed(format!(
            "the SDK is not where this binary was built from ({SDK}: {e}): build longshore in a checkout and try again"
        ))
    })?;
    fs::create_dir_all(args.name.parent().unwrap_or(Path::new("")))
        .and_then(|()| fs::create_dir(&args.name))
        .map_err(|e| Failure::failed(format!("cannot make the folder {}: {e}", args.name.display())))?;
    let Language::Rust = args.lang;
    for (file, template) in RUST {
        write(&args.name.join(file), &filled(template, name, &sdk))?;
    }
    line(&format!("made {0}; next: cd {0} && longshore run --build", args.name.display()))
}

/// A name that Cargo and the configuration take as it is.
fn check(name: &str) -> Result<(), Failure> {
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    match good {
        true => Ok(()),
        false => Err(Failure::usage(format!("{name:?} is no name for a project: write letters, digits, - and _, beginning with a letter"))),
    }
}

fn filled(template: &str, name: &str, sdk: &Path) -> String {
    let sdk = sdk.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let values = [("{{name}}", name), ("{{handler}}", name), ("{{crate}}", &name.replace('-', "_")), ("{{sdk}}", &sdk)];
    values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .map_err(|e| Failure::failed(format!("cannot write {}: {e}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Ask, load};

    #[test]
    fn the_project_is_whole_and_its_configuration_good() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("my-greeter");
        assert!(run(Args { name: project.clone(), lang: Language::Rust }).is_ok(), "made");
        for (file, _) in RUST {
            let text = fs::read_to_string(project.join(file)).unwrap();
            assert!(!text.contains("{{"), "{file}: {text}");
        }
        let ask = Ask { folder: project.clone(), ..Ask::default() };
        let config = load(&ask, longshore_brokers::ADAPTERS, &|_| None).unwrap_or_else(|e| panic!("{e}"));
        let handler = &config.handlers["my-greeter"];
        assert_eq!(handler.component.file(), Some(project.join("target/wasm32-wasip2/release/my_greeter.wasm").as_path()));
        assert_eq!(handler.subscriptions[0].retry.max_attempts, 5);
    }

    #[test]
    fn what_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        assert!(run(Args { name: folder.path().into(), lang: Language::Rust }).is_err());
    }

    #[test]
    fn names_are_those_that_cargo_takes() {
        assert!(check("greeter-2").is_ok());
        for bad in ["", "2greeter", "a b", "ä", "."] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
