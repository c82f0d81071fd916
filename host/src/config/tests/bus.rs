//! The words of the bus (groups, `mode`, patterns) are the same on every broker: each takes them, or refuses them by the flag that it lacks.

use longshore_brokers::ADAPTERS;
use longshore_core::{Flag, Registration};

use super::{Ask, FILE_NAME, Look, load};

/// What is said against an entry of `subscribe` on a broker of that kind; nothing where it is taken.
fn told(adapter: &Registration, entry: &str) -> Option<String> {
    // A queue that many read takes what an exchange gives it.
    let own = if adapter.name == "rabbitmq" { ", exchange = \"bus\"" } else { "" };
    let (kind, folder) = (adapter.name, tempfile::tempdir().expect("a folder"));
    let text = format!("[brokers.default]\ntype = \"{kind}\"\n[handlers.h]\ncomponent = \"h.wasm\"\nsubscribe = [{{ {entry}{own} }}]\n");
    std::fs::write(folder.path().join(FILE_NAME), text).expect("a file");
    let ask = Ask { folder: folder.path().into(), ..Ask::default() };
    load(&ask, ADAPTERS, &|_| None).err().map(|error| error.render(Look::Plain))
}

#[test]
fn every_broker_takes_the_words_of_the_bus_or_refuses_them_by_the_flag_that_it_lacks() {
    let words = [
        ("topic = \"t\", group = \"g\"", Flag::ConsumerGroups),
        ("topic = \"t\", mode = \"queue\"", Flag::ConsumerGroups),
        ("topic = \"t\", mode = \"broadcast\"", Flag::Broadcast),
        ("patterns = [\"user.*\", \"*.created\"]", Flag::Patterns),
    ];
    for adapter in ADAPTERS {
        assert_eq!(told(adapter, "topic = \"t\""), None, "{}: a topic alone is enough", adapter.name);
        for (entry, flag) in words {
            let told = told(adapter, entry);
            if adapter.capabilities.has(flag) {
                assert_eq!(told, None, "{}: {entry}", adapter.name);
            } else {
                let told = told.unwrap_or_default();
                let names_both = told.contains(&format!("({})", adapter.name)) && told.contains(&format!("lacks `{flag}`"));
                assert!(names_both, "{}: {entry}: {told}", adapter.name);
            }
        }
    }
}

#[test]
fn a_pattern_that_no_broker_serves_is_refused_on_every_broker() {
    for adapter in ADAPTERS {
        for bad in ["user.**.x", "us*r", "a..b"] {
            let told = told(adapter, &format!("patterns = [{bad:?}]")).unwrap_or_default();
            assert!(told.contains(bad), "{}: {bad}: {told}", adapter.name);
        }
    }
}
